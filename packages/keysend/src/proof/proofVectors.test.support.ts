import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import { signAsNode } from './nodeSignature.js';
import { decodeProofRecord, recordsDigest, senderProofType } from './proofRecord.js';
import { withHighS } from './proofs.test.support.js';
import { senderText } from './proofText.js';
import { encodeReceiptRecord, type Receipt, signedReceiptText } from './receipt.js';
import { createReceiptRequest, createSenderProof, type ReceiptWish } from './senderProof.js';
import { signatureFromText, signatureToText } from './signatureBytes.js';

export interface PaymentJson {
  readonly paymentHash: string;
  readonly recipient: string;
  readonly amountMsat: string;
  readonly records: Readonly<Record<string, string>>;
}

export interface ProofVectors {
  readonly senderProofs: {
    readonly valid: readonly (PaymentJson & {
      readonly name: string;
      readonly privateKey: string;
      readonly sender: string;
      readonly signedAtMs: number;
      readonly receipt?: ReceiptWish;
      readonly digest: string;
      readonly text: string;
      readonly signature: string;
      readonly value: string;
    })[];
    readonly unsigned: readonly (PaymentJson & {
      readonly name: string;
      readonly receipt: ReceiptWish;
      readonly digest: string;
      readonly value: string;
    })[];
    readonly invalid: readonly (PaymentJson & { readonly name: string; readonly reason: string })[];
  };
  readonly receipts: {
    readonly valid: readonly {
      readonly name: string;
      readonly privateKey: string;
      readonly text: string;
      readonly value: string;
      readonly receipt: Receipt;
    }[];
    readonly invalid: readonly {
      readonly name: string;
      readonly reason: string;
      readonly receipt: unknown;
      readonly expected?: Readonly<Record<string, string>>;
    }[];
  };
}

const senderKey = '11'.repeat(32);
const recipientKey = '22'.repeat(32);
const otherKey = '33'.repeat(32);
const nodeOf = (key: string): string => bytesToHex(secp256k1.publicKey(hexToBytes(key)));
const preimage = '44'.repeat(32);
const hashOf = (hex: string): string => bytesToHex(sha256(hexToBytes(hex)));
const sign = (key: string) => async (text: string) => signAsNode(text, hexToBytes(key));

function recordsOf(json: Readonly<Record<string, string>>): Map<bigint, Uint8Array> {
  return new Map(Object.entries(json).map(([type, hex]) => [BigInt(type), hexToBytes(hex)]));
}

export function paymentOf(json: PaymentJson) {
  const { paymentHash, recipient } = json;
  return { paymentHash, recipient, amountMsat: BigInt(json.amountMsat), records: recordsOf(json.records) };
}

/** Makes all the vectors from fixed keys: what fixtures/proofs.json holds. */
export async function makeProofVectors(): Promise<ProofVectors> {
  const boost = bytesToHex(utf8ToBytes('{"action":"boost","message":"great show","sender_name":"Ann"}'));
  const base = { paymentHash: hashOf(preimage), recipient: nodeOf(recipientKey), amountMsat: '21000' };
  const nonce = '000102030405060708090a0b0c0d0e0f';
  const cases: { name: string; payment: PaymentJson; receipt?: ReceiptWish }[] = [
    { name: 'no records, no receipt wanted', payment: { ...base, records: {} } },
    { name: 'a boostagram', payment: { ...base, records: { '7629169': boost } } },
    {
      name: 'two records, a receipt wanted over HTTP',
      payment: { ...base, records: { '696969': bytesToHex(utf8ToBytes('ann')), '7629169': boost } },
      receipt: { nonce },
    },
    {
      name: 'a message, a receipt wanted by keysend',
      payment: { ...base, amountMsat: '1', records: { '34349334': bytesToHex(utf8ToBytes('grüße')) } },
      receipt: { nonce, replyTo: nodeOf(senderKey) },
    },
  ];
  const signedAtMs = 1_795_000_000_000;
  const valid = await Promise.all(
    cases.map(async ({ name, payment, receipt }) => {
      const given = { sender: nodeOf(senderKey), signedAtMs, ...(receipt === undefined ? {} : { receipt }) };
      const value = await createSenderProof({ ...paymentOf(payment), ...given }, sign(senderKey));
      const record = decodeProofRecord(value);
      if (typeof record === 'string') throw new Error(record);
      const digest = recordsDigest(recordsOf(payment.records), record.covered)!;
      const text = senderText(paymentOf(payment), { record, ...given, digest });
      const signature = signatureToText(record.signed!.signature);
      return {
        name,
        privateKey: senderKey,
        ...payment,
        ...given,
        digest,
        text,
        signature,
        value: bytesToHex(value),
      };
    }),
  );
  const unsigned = cases.flatMap(({ name, payment, receipt }) => {
    if (receipt === undefined) return [];
    const records = recordsOf(payment.records);
    const digest = recordsDigest(
      records,
      [...records.keys()].sort((a, b) => (a < b ? -1 : 1)),
    )!;
    return [{ name, ...payment, receipt, digest, value: bytesToHex(createReceiptRequest(records, receipt)) }];
  });
  return {
    senderProofs: { valid, unsigned, invalid: invalidProofs(valid[3]!) },
    receipts: makeReceipts({ ...base, nonce, records: valid[2]!.digest }),
  };
}

type ValidProof = ProofVectors['senderProofs']['valid'][number];

function invalidProofs(proof: ValidProof): ProofVectors['senderProofs']['invalid'] {
  const { paymentHash, recipient, amountMsat, records, value } = proof;
  const payment = { paymentHash, recipient, amountMsat, records };
  const withValue = (changed: string): PaymentJson => ({
    ...payment,
    records: { ...records, [`${senderProofType}`]: changed },
  });
  const swap = (from: string, to: string): PaymentJson => {
    if (value.split(from).length !== 2) throw new Error(`${from} is not there once`);
    return withValue(value.replace(from, to));
  };
  const right = withValue(value);
  const signature = bytesToHex(signatureFromText(proof.signature)!);
  const header = Number.parseInt(signature.slice(0, 2), 16);
  const resigned = (text: string, key = senderKey): PaymentJson =>
    swap(signature, bytesToHex(signatureFromText(signAsNode(text, hexToBytes(key)))!));
  const { text } = proof;
  return [
    {
      name: 'another payment hash',
      reason: 'signature_wrong',
      ...right,
      paymentHash: hashOf('45'.repeat(32)),
    },
    { name: 'another recipient', reason: 'signature_wrong', ...right, recipient: nodeOf(otherKey) },
    { name: 'another amount', reason: 'signature_wrong', ...right, amountMsat: '2' },
    { name: 'another time', reason: 'signature_wrong', ...swap('0608000001a1', '0608000001a2') },
    { name: 'another nonce', reason: 'signature_wrong', ...swap('0910000102', '0910000103') },
    {
      name: 'replies to another node',
      reason: 'signature_wrong',
      ...swap(`0b21${proof.receipt!.replyTo!}`, `0b21${nodeOf(otherKey)}`),
    },
    {
      name: 'another sender',
      reason: 'signature_wrong',
      ...swap(`0221${proof.sender}`, `0221${nodeOf(otherKey)}`),
    },
    {
      name: 'another record',
      reason: 'signature_wrong',
      ...right,
      records: { ...right.records, '34349334': hexOf('hello') },
    },
    {
      name: 'a record that is covered is missing',
      reason: 'record_missing',
      ...right,
      records: { [`${senderProofType}`]: value },
    },
    {
      name: 'a message that is not covered',
      reason: 'content_not_covered',
      ...right,
      records: { ...right.records, '7629169': hexOf('{}') },
    },
    {
      name: 'a high s',
      reason: 'signature_wrong',
      ...swap(signature, bytesToHex(signatureFromText(withHighS(proof.signature))!)),
    },
    {
      name: 'another recovery id',
      reason: 'signature_wrong',
      ...swap(signature, (31 + ((header - 31) ^ 1)).toString(16) + signature.slice(2)),
    },
    {
      name: 'a recovery id that is none',
      reason: 'signature_wrong',
      ...swap(signature, `23${signature.slice(2)}`),
    },
    { name: 'signed by another key', reason: 'signature_wrong', ...resigned(text, otherKey) },
    {
      name: 'signed for another domain',
      reason: 'signature_wrong',
      ...resigned(text.replace('keysend-sender/1', 'keysend-receipt/1')),
    },
    { name: 'signed with a line feed behind', reason: 'signature_wrong', ...resigned(`${text}\n`) },
    { name: 'a byte behind', reason: 'malformed', ...withValue(`${value}00`) },
    { name: 'a field that nobody knows behind', reason: 'malformed', ...withValue(`${value}0d0100`) },
    { name: 'cut off', reason: 'malformed', ...withValue(value.slice(0, -2)) },
    { name: 'empty', reason: 'malformed', ...withValue('') },
    { name: 'another version', reason: 'version_unknown', ...swap('0001010221', '0001020221') },
    { name: 'a nonce of 15 bytes', reason: 'malformed', ...swap('0910000102', '090f0102') },
    { name: 'a signature without its sender', reason: 'malformed', ...swap(`0221${proof.sender}`, '') },
    {
      name: 'covered types that descend',
      reason: 'malformed',
      ...swap('0805fe020c2116', '080afe020c2116fe020c2115'),
    },
    {
      name: 'replies to what is no key',
      reason: 'malformed',
      ...swap(`0b21${proof.receipt!.replyTo!}`, `0b2104${proof.receipt!.replyTo!.slice(2)}`),
    },
  ];
}

function hexOf(text: string): string {
  return bytesToHex(utf8ToBytes(text));
}

function makeReceipts(payment: {
  paymentHash: string;
  recipient: string;
  amountMsat: string;
  nonce: string;
  records: string;
}): ProofVectors['receipts'] {
  const make = (name: string, extra: Partial<Receipt> = {}) => {
    const unsigned = {
      type: 'keysend-receipt',
      version: 1,
      ...payment,
      receivedAtMs: 1_795_000_001_234,
      ...extra,
    } as const;
    const text = signedReceiptText(unsigned);
    const receipt: Receipt = { ...unsigned, signature: signAsNode(text, hexToBytes(recipientKey)) };
    return { name, privateKey: recipientKey, text, value: bytesToHex(encodeReceiptRecord(receipt)), receipt };
  };
  const valid = [
    make('of a sender that did not sign'),
    make('of a sender that signed', { sender: nodeOf(senderKey) }),
    make('the smallest amount', { amountMsat: '1' }),
  ];
  const shown = valid[1]!;
  const { receipt } = shown;
  const bytes = signatureFromText(receipt.signature)!;
  const wrongId = signatureToText(concatBytes(Uint8Array.of(31 + ((bytes[0]! - 31) ^ 1)), bytes.subarray(1)));
  const wrong = (name: string, changed: object) => ({
    name,
    reason: 'signature_wrong',
    receipt: { ...receipt, ...changed },
  });
  const { sender: _, ...anonymous } = receipt;
  const unexpected = (reason: string, expected: Readonly<Record<string, string>>) => ({
    name: reason,
    reason,
    receipt,
    expected,
  });
  return {
    valid: [
      ...valid,
      { ...shown, name: 'with the preimage of the payer', receipt: { ...receipt, preimage } },
    ],
    invalid: [
      wrong('another payment hash', { paymentHash: hashOf('45'.repeat(32)) }),
      wrong('another recipient', { recipient: nodeOf(otherKey) }),
      wrong('another amount', { amountMsat: '21001' }),
      wrong('another time', { receivedAtMs: receipt.receivedAtMs + 1 }),
      wrong('another nonce', { nonce: 'ff'.repeat(16) }),
      wrong('another sender', { sender: nodeOf(otherKey) }),
      { name: 'without its sender', reason: 'signature_wrong', receipt: anonymous },
      wrong('other records', { records: hashOf('') }),
      wrong('a high s', { signature: withHighS(receipt.signature) }),
      wrong('another recovery id', { signature: wrongId }),
      wrong('signed by another key', { signature: signAsNode(shown.text, hexToBytes(otherKey)) }),
      wrong('signed for another domain', {
        signature: signAsNode(
          shown.text.replace('keysend-receipt/1', 'keysend-sender/1'),
          hexToBytes(recipientKey),
        ),
      }),
      {
        name: 'a preimage of another payment',
        reason: 'preimage_wrong',
        receipt: { ...receipt, preimage: '45'.repeat(32) },
      },
      { name: 'a field that nobody knows', reason: 'malformed', receipt: { ...receipt, note: 'x' } },
      {
        name: 'an amount with a leading zero',
        reason: 'malformed',
        receipt: { ...receipt, amountMsat: '021000' },
      },
      { name: 'an amount of nothing', reason: 'malformed', receipt: { ...receipt, amountMsat: '0' } },
      {
        name: 'hex in capitals',
        reason: 'malformed',
        receipt: { ...receipt, paymentHash: receipt.paymentHash.toUpperCase() },
      },
      { name: 'another version', reason: 'malformed', receipt: { ...receipt, version: 2 } },
      { name: 'no object', reason: 'malformed', receipt: 'receipt' },
      unexpected('other_payment', { paymentHash: hashOf('45'.repeat(32)) }),
      unexpected('other_recipient', { recipient: nodeOf(otherKey) }),
      unexpected('other_amount', { amountMsat: '20999' }),
      unexpected('other_nonce', { nonce: 'ff'.repeat(16) }),
      unexpected('other_sender', { sender: nodeOf(otherKey) }),
      unexpected('other_records', { records: hashOf('') }),
    ],
  };
}
