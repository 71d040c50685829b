import { bytesToHex, hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { signAsNode } from './nodeSignature.js';
import { senderProofType } from './proofRecord.js';
import {
  createSenderProof,
  type SenderProofRequest,
  senderProofSize,
  verifySenderProof,
} from './senderProof.js';

const key = new Uint8Array(32).fill(7);
const sender = bytesToHex(secp256k1.publicKey(key));
const recipient = bytesToHex(secp256k1.publicKey(new Uint8Array(32).fill(8)));
const sign = async (text: string) => signAsNode(text, key);
const boostagram = 7_629_169n;

function request(given: Partial<SenderProofRequest> = {}): SenderProofRequest {
  return {
    paymentHash: bytesToHex(sha256(new Uint8Array(32))),
    recipient,
    amountMsat: 1_000n,
    records: new Map([[boostagram, utf8ToBytes('{}')]]),
    sender,
    signedAtMs: 1_700_000_000_000,
    ...given,
  };
}

async function proven(given: Partial<SenderProofRequest> = {}) {
  const made = request(given);
  const value = await createSenderProof(made, sign);
  return { ...made, records: new Map([...made.records, [senderProofType, value]]) };
}

describe('a sender proof', () => {
  test('says which records a wallet has added', async () => {
    const payment = await proven();
    payment.records.set(696_969n, utf8ToBytes('ann'));
    payment.records.set(5_482_373_484n, new Uint8Array(32));
    expect(verifySenderProof(payment)).toMatchObject({
      status: 'valid',
      nodeId: sender,
      uncovered: [696_969n],
    });
  });

  test('does not lend its name to words that were added', async () => {
    const payment = await proven({ records: new Map() });
    expect(verifySenderProof(payment).status).toBe('valid');
    payment.records.set(34_349_334n, utf8ToBytes('send more'));
    expect(verifySenderProof(payment)).toEqual({ status: 'invalid', reason: 'content_not_covered' });
  });

  test('covers the preimage in no case, which is a secret until it is settled', async () => {
    const records = new Map([[5_482_373_484n, new Uint8Array(32)]]);
    const payment = await proven({ records });
    expect(verifySenderProof({ ...payment, records: new Map([...payment.records].slice(1)) })).toMatchObject({
      status: 'valid',
    });
  });

  test('is valid in one form: any other byte anywhere makes it invalid', async () => {
    const payment = await proven({ receipt: { nonce: '01'.repeat(16), replyTo: sender } });
    const value = payment.records.get(senderProofType)!;
    fc.assert(
      fc.property(fc.nat(value.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const changed = Uint8Array.from(value);
        changed[at]! ^= change;
        const records = new Map([...payment.records, [senderProofType, changed]]);
        expect(verifySenderProof({ ...payment, records }).status).not.toBe('valid');
      }),
    );
  });

  test('that is noise is invalid, and no exception', async () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        const records = new Map([[senderProofType, noise]]);
        expect(['invalid', 'absent']).toContain(verifySenderProof({ ...request(), records }).status);
      }),
    );
  });

  test('of a payment with more records than a proof covers is refused when it is made, and read all the same', async () => {
    const many = new Map(
      Array.from({ length: 33 }, (_, i) => [70_001n + BigInt(i), new Uint8Array()] as const),
    );
    await expect(proven({ records: many })).rejects.toMatchObject({ code: 'records_too_large' });
    const payment = await proven({ records: new Map() });
    const verdict = verifySenderProof({ ...payment, records: new Map([...payment.records, ...many]) });
    expect(verdict).toMatchObject({ status: 'valid' });
    expect(verdict.status === 'valid' && verdict.uncovered).toHaveLength(33);
  });

  test('is not made with a wallet that signs as somebody else, or gives no signature', async () => {
    const other = async (text: string) => signAsNode(text, new Uint8Array(32).fill(9));
    await expect(createSenderProof(request(), other)).rejects.toThrow(/signs as 0[23]/);
    await expect(createSenderProof(request(), async () => 'd2k'.repeat(30))).rejects.toMatchObject({
      code: 'signature_invalid',
    });
  });

  test.each([
    ['a hash in capitals', { paymentHash: 'AB'.repeat(32) }],
    ['no recipient', { recipient: '' }],
    ['no amount', { amountMsat: 0n }],
    ['a time with a fraction', { signedAtMs: 1.5 }],
    ['a sender that is no key', { sender: `04${'ab'.repeat(32)}` }],
    ['a short nonce', { receipt: { nonce: '00' } }],
    ['a reply to what is no node', { receipt: { nonce: '00'.repeat(16), replyTo: 'ann@host.example' } }],
    ['a reply in capitals', { receipt: { nonce: '00'.repeat(16), replyTo: `02${'AB'.repeat(32)}` } }],
  ])('is not made of %s, and nothing is signed', async (_, given) => {
    let asked = 0;
    const made = createSenderProof(request(given), async (text) => {
      asked++;
      return sign(text);
    });
    await expect(made).rejects.toMatchObject({ code: 'request_invalid' });
    expect(asked).toBe(0);
  });

  test('of one record takes 128 bytes, 146 with a wish for a receipt over HTTP', () => {
    const types = [boostagram];
    expect(senderProofSize({ types, signed: true })).toBe(128);
    expect(senderProofSize({ types, signed: true, receipt: {} })).toBe(146);
    expect(senderProofSize({ types, signed: false, receipt: {} })).toBe(34);
    expect(senderProofSize({ types, signed: true, receipt: { replyTo: sender } })).toBe(181);
    expect(hexToBytes(sender)).toHaveLength(33);
  });
});
