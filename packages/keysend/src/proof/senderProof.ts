import { KeysendError } from '../keysendError.js';
import { verifyNodeSignature } from './nodeSignature.js';
import {
  coverableTypes,
  decodeProofRecord,
  encodeProofRecord,
  isCoverable,
  type ProofRecord,
  recordsDigest,
  senderProofType,
} from './proofRecord.js';
import { type ProvenPayment, senderText } from './proofText.js';
import { signatureFromText, signatureLength, signatureToText } from './signatureBytes.js';

/** A keysend as its sender makes it, or as its recipient finds it. */
export interface PaymentWithRecords extends ProvenPayment {
  /** All custom records; the preimage may be among them and is left aside. */
  readonly records: ReadonlyMap<bigint, Uint8Array>;
}

/** A node's `signmessage`: resolves with 104 characters of zbase32. */
export type SignText = (text: string) => Promise<string>;

/** A receipt that is asked for. */
export interface ReceiptWish {
  /** 16 random bytes as 32 hex digits, new for every payment: only who has it gets the receipt. */
  readonly nonce: string;
  /** The node that the receipt is to be sent to by keysend, 66 hex digits; nothing is sent where it is absent. */
  readonly replyTo?: string;
}

export interface SenderProofRequest extends PaymentWithRecords {
  /** The key that signs: the node's, 66 hex digits. */
  readonly sender: string;
  readonly signedAtMs: number;
  readonly receipt?: ReceiptWish;
}

/**
 * Makes the value of the record `senderProofType`: who sends this payment, bound to its hash, amount, recipient and to
 * all the records given. Needs the payment's hash, and so a wallet whose preimage the caller chooses.
 * @throws KeysendError `request_invalid`; `signature_invalid` where `sign` signed with another key than `sender`.
 */
export async function createSenderProof(request: SenderProofRequest, sign: SignText): Promise<Uint8Array> {
  const { sender, signedAtMs } = request;
  checkPayment(request);
  checkKey(sender, 'the sender');
  if (!Number.isSafeInteger(signedAtMs) || signedAtMs < 0) {
    throw new KeysendError('request_invalid', `${signedAtMs} is no time in whole milliseconds`);
  }
  const record = wishedRecord(request);
  const digest = recordsDigest(request.records, record.covered) as string;
  // Checks the nonce and where replies go, before anything is signed.
  encodeProofRecord(record);
  const text = senderText(request, { record, sender, signedAtMs, digest });
  const signature = await sign(text);
  const bytes = signatureFromText(signature);
  const signer = verifyNodeSignature(text, signature);
  if (bytes === undefined || signer === undefined) {
    throw new KeysendError(
      'signature_invalid',
      'the wallet gave no signature in the form of Lightning nodes',
    );
  }
  if (signer !== sender) {
    throw new KeysendError(
      'signature_invalid',
      `the wallet signs as ${signer}, not as ${sender}: give its own node id`,
    );
  }
  return encodeProofRecord({ ...record, signed: { sender, signature: bytes, signedAtMs } });
}

/** The value of the same record where a receipt is wanted, and the sender says nothing of who it is. */
export function createReceiptRequest(
  records: ReadonlyMap<bigint, Uint8Array>,
  receipt: ReceiptWish,
): Uint8Array {
  return encodeProofRecord(wishedRecord({ records, receipt }));
}

/** How many bytes of the onion such a record takes, with its type and length. */
export function senderProofSize(given: {
  readonly types: Iterable<bigint>;
  readonly signed: boolean;
  readonly receipt?: { readonly replyTo?: string };
}): number {
  const { types, signed, receipt } = given;
  const value = encodeProofRecord({
    covered: coverableTypes(types),
    ...(signed
      ? { signed: { sender: '02'.repeat(33), signature: new Uint8Array(signatureLength), signedAtMs: 0 } }
      : {}),
    ...(receipt === undefined ? {} : { nonce: '00'.repeat(16) }),
    ...(receipt?.replyTo === undefined ? {} : { replyTo: receipt.replyTo }),
  });
  const lengthOfLength = value.length < 0xfd ? 1 : 3;
  return 5 + lengthOfLength + value.length;
}

export type SenderProofFault =
  | 'malformed'
  | 'version_unknown'
  /** A record that it covers did not arrive. */
  | 'record_missing'
  /** A record that people read as the sender's words is not covered. */
  | 'content_not_covered'
  /** Of another payment, another amount, another recipient, changed, or by another key. */
  | 'signature_wrong';

export type SenderProofVerdict =
  | {
      readonly status: 'valid';
      /** Whose payment it is, 66 hex digits. */
      readonly nodeId: string;
      readonly signedAtMs: number;
      readonly nonce?: string;
      readonly replyTo?: string;
      /** What the signature says nothing of: records that a wallet added. */
      readonly uncovered: readonly bigint[];
    }
  | { readonly status: 'invalid'; readonly reason: SenderProofFault }
  /** Nobody claims to have sent it; a receipt may be asked for all the same. */
  | { readonly status: 'absent' };

/**
 * What people read as the sender's own words: boostagrams, tip notes, batches and messages. A signed payment in which
 * one of them is not covered would lend the signer's name to words that somebody else put there.
 */
const contentTypes: ReadonlySet<bigint> = new Set([
  7_629_168n,
  7_629_169n,
  7_629_171n,
  7_629_173n,
  34_349_334n,
  133_773_310n,
]);

/** Who sent a keysend, if it says so. Pure: no clock, no network. Never throws. */
export function verifySenderProof(payment: PaymentWithRecords): SenderProofVerdict {
  const found = readProof(payment);
  if (found === undefined) return { status: 'absent' };
  if (typeof found === 'string') return { status: 'invalid', reason: found };
  const { record, nodeId } = found;
  if (record.signed === undefined || nodeId === undefined) return { status: 'absent' };
  const covered = new Set(record.covered);
  return {
    status: 'valid',
    nodeId,
    signedAtMs: record.signed.signedAtMs,
    ...(record.nonce === undefined ? {} : { nonce: record.nonce }),
    ...(record.replyTo === undefined ? {} : { replyTo: record.replyTo }),
    uncovered: [...payment.records.keys()].filter((type) => isCoverable(type) && !covered.has(type)),
  };
}

/** The receipt that a keysend asks for, and what of it goes into the receipt. */
export interface ReceiptRequest extends ReceiptWish {
  /** The sender, where it proved who it is. */
  readonly sender?: string;
  /** The digest of the records that the sender named. */
  readonly records: string;
}

/** The receipt that a keysend asks for; `undefined` where it asks for none, or its record is wrong in any way. */
export function readReceiptRequest(payment: PaymentWithRecords): ReceiptRequest | undefined {
  const found = readProof(payment);
  if (found === undefined || typeof found === 'string' || found.record.nonce === undefined) return undefined;
  const { record, digest, nodeId } = found;
  return {
    nonce: found.record.nonce,
    ...(record.replyTo === undefined ? {} : { replyTo: record.replyTo }),
    ...(nodeId === undefined ? {} : { sender: nodeId }),
    records: digest,
  };
}

function readProof(
  payment: PaymentWithRecords,
): undefined | SenderProofFault | { record: ProofRecord; digest: string; nodeId: string | undefined } {
  const value = payment.records.get(senderProofType);
  if (value === undefined) return undefined;
  const record = decodeProofRecord(value);
  if (typeof record === 'string') return record;
  const digest = recordsDigest(payment.records, record.covered);
  if (digest === undefined) return 'record_missing';
  if (record.signed === undefined) return { record, digest, nodeId: undefined };
  const { sender, signature, signedAtMs } = record.signed;
  for (const type of payment.records.keys()) {
    if (contentTypes.has(type) && !record.covered.includes(type)) return 'content_not_covered';
  }
  const text = senderText(payment, { record, sender, signedAtMs, digest });
  if (verifyNodeSignature(text, signatureToText(signature)) !== sender) return 'signature_wrong';
  return { record, digest, nodeId: sender };
}

function wishedRecord(given: {
  readonly records: ReadonlyMap<bigint, Uint8Array>;
  readonly receipt?: ReceiptWish;
}): ProofRecord {
  const { records, receipt } = given;
  return {
    covered: coverableTypes(records.keys()),
    ...(receipt === undefined ? {} : { nonce: receipt.nonce }),
    ...(receipt?.replyTo === undefined ? {} : { replyTo: receipt.replyTo }),
  };
}

/** @throws KeysendError `request_invalid` */
export function checkPayment({ paymentHash, recipient, amountMsat }: ProvenPayment): void {
  if (!/^[0-9a-f]{64}$/.test(paymentHash)) {
    throw new KeysendError('request_invalid', 'a payment hash has 64 lower-case hex digits');
  }
  checkKey(recipient, 'the recipient');
  if (amountMsat <= 0n) throw new KeysendError('request_invalid', `${amountMsat} msat cannot be paid`);
}

function checkKey(nodeId: string, who: string): void {
  if (/^0[23][0-9a-f]{64}$/.test(nodeId)) return;
  throw new KeysendError(
    'request_invalid',
    `${who} must be a node id: 66 lower-case hex digits that begin with 02 or 03`,
  );
}
