import { ByteReader, ByteWriter, bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { decodeTlvStream, encodeTlvStream } from '@rivulet/core/wire';
import * as z from 'zod/mini';
import { KeysendError } from '../keysendError.js';
import { verifyNodeSignature } from './nodeSignature.js';
import { receiptText } from './proofText.js';
import { signatureFromText, signatureLength, signatureToText } from './signatureBytes.js';

const hash = z.string().check(z.regex(/^[0-9a-f]{64}$/));
const nodeId = z.string().check(z.regex(/^0[23][0-9a-f]{64}$/));

/** A receipt as a JSON file: signed by the recipient over every field but the last two. */
export const receiptSchema = z.strictObject({
  type: z.literal('keysend-receipt'),
  version: z.literal(1),
  paymentHash: hash,
  /** The node that was paid, and whose signature this is. */
  recipient: nodeId,
  /** Digits, in msat. */
  amountMsat: z.string().check(z.regex(/^[1-9]\d{0,19}$/)),
  receivedAtMs: z.int().check(z.gte(0)),
  /** What the sender asked with. */
  nonce: z.string().check(z.regex(/^[0-9a-f]{32}$/)),
  /** Who the sender proved to be. */
  sender: z.optional(nodeId),
  /** SHA-256 of the records that came with the payment. */
  records: hash,
  /** zbase32, as `verifymessage` of every node takes it. */
  signature: z.string().check(z.regex(/^[a-z0-9]{104}$/)),
  /** Added by whoever paid, to show that it was they: whoever has it can pass the receipt off as their own. */
  preimage: z.optional(hash),
});

export type Receipt = z.infer<typeof receiptSchema>;

/** The text under a receipt's signature. */
export function signedReceiptText(receipt: Omit<Receipt, 'signature'>): string {
  return receiptText({ ...receipt, amountMsat: BigInt(receipt.amountMsat) });
}

/** What the payer knows of its payment, and so must find in the receipt. */
export interface ReceiptExpectation {
  readonly paymentHash?: string | undefined;
  readonly recipient?: string | undefined;
  readonly amountMsat?: bigint | undefined;
  readonly nonce?: string | undefined;
  readonly sender?: string | undefined;
  readonly records?: string | undefined;
}

export type ReceiptFault =
  | 'malformed'
  | 'signature_wrong'
  | 'preimage_wrong'
  | 'other_payment'
  | 'other_recipient'
  | 'other_amount'
  | 'other_nonce'
  | 'other_sender'
  | 'other_records';

export type ReceiptVerdict =
  | {
      readonly status: 'valid';
      readonly receipt: Receipt;
      /** The preimage of the payment is there and is the right one. */
      readonly hasPreimage: boolean;
    }
  | { readonly status: 'invalid'; readonly reason: ReceiptFault };

/**
 * Checks a receipt with nothing but itself: the form, the recipient's signature, the preimage where it is there, and
 * what is expected. Without `expected`, it says that this node states to have received this payment; that the payment
 * was yours, only a preimage or an expectation says. Never throws.
 */
export function verifyReceipt(
  value: unknown,
  given: { readonly expected?: ReceiptExpectation } = {},
): ReceiptVerdict {
  const parsed = z.safeParse(receiptSchema, value);
  if (!parsed.success) return { status: 'invalid', reason: 'malformed' };
  const receipt = parsed.data;
  if (verifyNodeSignature(signedReceiptText(receipt), receipt.signature) !== receipt.recipient) {
    return { status: 'invalid', reason: 'signature_wrong' };
  }
  const { preimage } = receipt;
  if (preimage !== undefined && bytesToHex(sha256(hexToBytes(preimage))) !== receipt.paymentHash) {
    return { status: 'invalid', reason: 'preimage_wrong' };
  }
  const reason = deviation(receipt, given.expected ?? {});
  if (reason !== undefined) return { status: 'invalid', reason };
  return { status: 'valid', receipt, hasPreimage: preimage !== undefined };
}

function deviation(receipt: Receipt, expected: ReceiptExpectation): ReceiptFault | undefined {
  const differs = (key: 'paymentHash' | 'recipient' | 'nonce' | 'sender' | 'records'): boolean =>
    expected[key] !== undefined && expected[key] !== receipt[key];
  if (differs('paymentHash')) return 'other_payment';
  if (differs('recipient')) return 'other_recipient';
  if (expected.amountMsat !== undefined && expected.amountMsat !== BigInt(receipt.amountMsat)) {
    return 'other_amount';
  }
  if (differs('nonce')) return 'other_nonce';
  if (differs('sender')) return 'other_sender';
  if (differs('records')) return 'other_records';
  return undefined;
}

/** The receipt of a JSON file. @throws KeysendError `receipt_invalid` */
export function parseReceipt(text: string): Receipt {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new KeysendError('receipt_invalid', 'this is no receipt: it is no JSON');
  }
  const parsed = z.safeParse(receiptSchema, value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue === undefined || issue.path.length === 0 ? '' : ` (at ${issue.path.join('.')})`;
  throw new KeysendError('receipt_invalid', `this is no keysend receipt of version 1${where}`);
}

/** The record that brings a receipt back in a keysend: "krec". */
export const receiptRecordType = 1_802_659_171n;

const version = 1;
const fields = { version: 0n, paymentHash: 2n, receivedAt: 4n, signature: 6n } as const;

/** The compact form: what the payer cannot know itself, 114 bytes. The rest of the text comes from the payer's own memory. */
export interface CompactReceipt {
  readonly paymentHash: string;
  readonly receivedAtMs: number;
  /** zbase32. */
  readonly signature: string;
}

export function encodeReceiptRecord({ paymentHash, receivedAtMs, signature }: CompactReceipt): Uint8Array {
  const bytes = signatureFromText(signature);
  if (bytes === undefined) throw new KeysendError('receipt_invalid', 'the receipt has no signature');
  return encodeTlvStream([
    { type: fields.version, value: Uint8Array.of(version) },
    { type: fields.paymentHash, value: hexToBytes(paymentHash) },
    { type: fields.receivedAt, value: new ByteWriter(8).u64(BigInt(receivedAtMs)).finish() },
    { type: fields.signature, value: bytes },
  ]);
}

/** `undefined` for anything but the one form of version 1. */
export function decodeReceiptRecord(value: Uint8Array): CompactReceipt | undefined {
  try {
    const found = decodeTlvStream(value);
    const [first, paymentHash, receivedAt, signature] = found;
    const types = Object.values(fields);
    if (found.length !== types.length || found.some(({ type }, at) => type !== types[at])) return undefined;
    if (first?.value.length !== 1 || first.value[0] !== version) return undefined;
    if (paymentHash?.value.length !== 32 || receivedAt?.value.length !== 8) return undefined;
    if (signature?.value.length !== signatureLength) return undefined;
    const receivedAtMs = Number(new ByteReader(receivedAt.value).u64());
    if (!Number.isSafeInteger(receivedAtMs)) return undefined;
    return {
      paymentHash: bytesToHex(paymentHash.value),
      receivedAtMs,
      signature: signatureToText(signature.value),
    };
  } catch {
    return undefined;
  }
}
