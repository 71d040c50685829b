import type { ProofRecord } from './proofRecord.js';

/** Which payment a proof or a receipt is of. */
export interface ProvenPayment {
  /** 64 hex digits. */
  readonly paymentHash: string;
  /** The node that it is for, 66 hex digits. */
  readonly recipient: string;
  /** What the recipient gets, all parts together. */
  readonly amountMsat: bigint;
}

/*
 * The texts are one line of printable ASCII without quotes and backslashes: what every node signs as it is, whatever
 * carries the text to it (Core Lightning's `signmessage` leaves the escapes of JSON in place). No value holds a space,
 * and every field is there in every text, so that no two meanings share a text. The first word keeps a signature of
 * one kind from being taken for another.
 */

/** What the sender of a keysend signs. */
export function senderText(
  payment: ProvenPayment,
  given: {
    readonly record: Omit<ProofRecord, 'covered' | 'signed'>;
    readonly sender: string;
    readonly signedAtMs: number;
    readonly digest: string;
  },
): string {
  const { record, sender, signedAtMs, digest } = given;
  return [
    'keysend-sender/1',
    ...paymentWords(payment),
    `sender=${sender}`,
    `signed_at_ms=${signedAtMs}`,
    `records=${digest}`,
    `nonce=${record.nonce ?? '-'}`,
    `reply_to=${record.replyTo ?? '-'}`,
  ].join(' ');
}

/** What the recipient of a keysend signs when it has settled it. */
export function receiptText(
  receipt: ProvenPayment & {
    readonly receivedAtMs: number;
    readonly nonce: string;
    readonly sender?: string | undefined;
    /** The digest of the records that the sender named. */
    readonly records: string;
  },
): string {
  return [
    'keysend-receipt/1',
    ...paymentWords(receipt),
    `received_at_ms=${receipt.receivedAtMs}`,
    `nonce=${receipt.nonce}`,
    `sender=${receipt.sender ?? '-'}`,
    `records=${receipt.records}`,
  ].join(' ');
}

function paymentWords({ paymentHash, recipient, amountMsat }: ProvenPayment): string[] {
  return [`payment_hash=${paymentHash}`, `recipient=${recipient}`, `amount_msat=${amountMsat}`];
}
