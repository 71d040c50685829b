import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { describe, expect, test } from 'vitest';
import { signAsNode, verifyNodeSignature } from './nodeSignature.js';
import { senderProofType } from './proofRecord.js';
import { makeProofVectors, type ProofVectors, paymentOf } from './proofVectors.test.support.js';
import { decodeReceiptRecord, encodeReceiptRecord, signedReceiptText, verifyReceipt } from './receipt.js';
import {
  createReceiptRequest,
  createSenderProof,
  readReceiptRequest,
  senderProofSize,
  verifySenderProof,
} from './senderProof.js';

const file = new URL('../../fixtures/proofs.json', import.meta.url);
const { senderProofs, receipts } = JSON.parse(readFileSync(file, 'utf8')) as ProofVectors;

test('the vectors of the specification are those that its code makes', async () => {
  await expect(`${JSON.stringify(await makeProofVectors(), null, 2)}\n`).toMatchFileSnapshot(
    fileURLToPath(file),
  );
});

describe('sender proofs', () => {
  test.each(senderProofs.valid)('are made: $name', async (vector) => {
    const { sender, signedAtMs, receipt, value, privateKey, text, signature } = vector;
    const payment = paymentOf(vector);
    const given = { sender, signedAtMs, ...(receipt === undefined ? {} : { receipt }) };
    const signed: string[] = [];
    const made = await createSenderProof({ ...payment, ...given }, async (asked) => {
      signed.push(asked);
      return signAsNode(asked, hexToBytes(privateKey));
    });
    expect(bytesToHex(made)).toBe(value);
    expect(signed).toEqual([text]);
    expect(text).toMatch(/^[\x20-\x7e]+$/);
    expect(text).not.toMatch(/["\\]/);
    expect(verifyNodeSignature(text, signature)).toBe(sender);
  });

  test.each(senderProofs.valid)('are understood: $name', (vector) => {
    const { receipt, sender, signedAtMs, value, digest } = vector;
    const payment = paymentOf(vector);
    payment.records.set(senderProofType, hexToBytes(value));
    expect(verifySenderProof(payment)).toEqual({
      status: 'valid',
      nodeId: sender,
      signedAtMs,
      ...receipt,
      uncovered: [],
    });
    expect(readReceiptRequest(payment)).toEqual(receipt && { ...receipt, sender, records: digest });
  });

  test.each(senderProofs.unsigned)('that only ask for a receipt: $name', (vector) => {
    const { receipt, value, digest } = vector;
    const payment = paymentOf(vector);
    expect(bytesToHex(createReceiptRequest(payment.records, receipt))).toBe(value);
    payment.records.set(senderProofType, hexToBytes(value));
    expect(verifySenderProof(payment)).toEqual({ status: 'absent' });
    expect(readReceiptRequest(payment)).toEqual({ ...receipt, records: digest });
  });

  test.each(senderProofs.invalid)('are refused with the reason: $name', ({ reason, ...vector }) => {
    const payment = paymentOf(vector);
    expect(verifySenderProof(payment)).toEqual({ status: 'invalid', reason });
    expect(readReceiptRequest(payment)).toBeUndefined();
  });

  test.each(senderProofs.valid)(
    'take as many bytes as is said before: $name',
    ({ records, receipt, value }) => {
      const types = Object.keys(records).map(BigInt);
      const size = senderProofSize({ types, signed: true, ...(receipt === undefined ? {} : { receipt }) });
      // A type of five bytes, a length of one or three.
      const bytes = value.length / 2;
      expect(size).toBe(5 + (bytes < 253 ? 1 : 3) + bytes);
    },
  );
});

describe('receipts', () => {
  test.each(receipts.valid)('are verified: $name', ({ receipt, text, privateKey, value }) => {
    expect(signedReceiptText(receipt)).toBe(text);
    expect(signAsNode(text, hexToBytes(privateKey))).toBe(receipt.signature);
    const hasPreimage = receipt.preimage !== undefined;
    expect(verifyReceipt(receipt)).toEqual({ status: 'valid', receipt, hasPreimage });
    const { paymentHash, receivedAtMs, signature } = receipt;
    expect(bytesToHex(encodeReceiptRecord(receipt))).toBe(value);
    expect(decodeReceiptRecord(hexToBytes(value))).toEqual({ paymentHash, receivedAtMs, signature });
  });

  test.each(receipts.invalid)('are refused with the reason: $name', ({ receipt, reason, expected = {} }) => {
    const { amountMsat, ...texts } = expected;
    const given = { ...texts, ...(amountMsat === undefined ? {} : { amountMsat: BigInt(amountMsat) }) };
    expect(verifyReceipt(receipt, { expected: given })).toEqual({ status: 'invalid', reason });
  });

  test('in the compact form have one form', () => {
    const { value } = receipts.valid[0]!;
    for (const bad of [
      '',
      `${value}00`,
      `${value}070100`,
      value.slice(0, -2),
      value.replace(/^000101/, '000102'),
    ]) {
      expect(decodeReceiptRecord(hexToBytes(bad))).toBeUndefined();
    }
  });
});
