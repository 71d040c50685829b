import {
  ByteReader,
  ByteWriter,
  bytesToHex,
  hexToBytes,
  readBigSize,
  writeBigSize,
} from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { decodeTlvStream, encodeTlvStream } from '@rivulet/core/wire';
import { KeysendError } from '../keysendError.js';
import { firstCustomType, keysendRecordType } from '../records/recordTypes.js';
import { signatureLength } from './signatureBytes.js';

/** The record that says who sends a keysend, and that a receipt is wanted: "ksig". Odd: whoever does not know it ignores it. */
export const senderProofType = 1_802_725_735n;

const version = 1;
const nonceLength = 16;
const keyLength = 33;
const maxCovered = 32;

/** What the record holds; every field of it is in the text that is signed. */
export interface ProofRecord {
  readonly signed?: {
    /** 66 hex digits. */
    readonly sender: string;
    /** 65 bytes. */
    readonly signature: Uint8Array;
    readonly signedAtMs: number;
  };
  /** The types of the records that the digest is of, ascending. */
  readonly covered: readonly bigint[];
  /** 32 hex digits: what a receipt has to repeat. No receipt is wanted where it is absent. */
  readonly nonce?: string;
  /** The node that the receipt is to be sent to, 66 hex digits. */
  readonly replyTo?: string;
}

/** The fields inside, as a TLV stream. All have to be known: what version 1 does not name is not signed. */
const fields = {
  version: 0n,
  sender: 2n,
  signature: 4n,
  signedAt: 6n,
  covered: 8n,
  nonce: 9n,
  replyTo: 11n,
} as const;
const fieldTypes: ReadonlySet<bigint> = new Set(Object.values(fields));

/** @throws KeysendError `request_invalid` for a nonce or an address of replies of another form. */
export function encodeProofRecord(record: ProofRecord): Uint8Array {
  const { signed, covered, nonce, replyTo } = record;
  const types = new ByteWriter();
  for (const type of covered) writeBigSize(types, type);
  return encodeTlvStream([
    { type: fields.version, value: Uint8Array.of(version) },
    ...(signed === undefined
      ? []
      : [
          { type: fields.sender, value: hexToBytes(signed.sender) },
          { type: fields.signature, value: signed.signature },
          { type: fields.signedAt, value: new ByteWriter(8).u64(BigInt(signed.signedAtMs)).finish() },
        ]),
    { type: fields.covered, value: types.finish() },
    ...(nonce === undefined ? [] : [{ type: fields.nonce, value: hexToBytes(checkNonce(nonce)) }]),
    ...(replyTo === undefined ? [] : [{ type: fields.replyTo, value: hexToBytes(checkReplyTo(replyTo)) }]),
  ]);
}

export type ProofRecordFault = 'malformed' | 'version_unknown';

/** Reads the record strictly: whatever deviates is a fault, so that each record has one meaning and one form. */
export function decodeProofRecord(value: Uint8Array): ProofRecord | ProofRecordFault {
  try {
    const found = new Map(decodeTlvStream(value).map((field) => [field.type, field.value]));
    const versionBytes = found.get(fields.version);
    if (versionBytes?.length !== 1) return 'malformed';
    if (versionBytes[0] !== version) return 'version_unknown';
    for (const type of found.keys()) if (!fieldTypes.has(type)) return 'malformed';
    const covered = decodeCovered(found.get(fields.covered));
    const signed = decodeSigned(found);
    const nonce = found.get(fields.nonce);
    const replyTo = found.get(fields.replyTo);
    if (covered === undefined || signed === 'malformed') return 'malformed';
    if (nonce !== undefined && nonce.length !== nonceLength) return 'malformed';
    if (replyTo !== undefined && !isKey(replyTo)) return 'malformed';
    return {
      covered,
      ...(signed === undefined ? {} : { signed }),
      ...(nonce === undefined ? {} : { nonce: bytesToHex(nonce) }),
      ...(replyTo === undefined ? {} : { replyTo: bytesToHex(replyTo) }),
    };
  } catch {
    return 'malformed';
  }
}

function decodeSigned(found: ReadonlyMap<bigint, Uint8Array>): ProofRecord['signed'] | 'malformed' {
  const sender = found.get(fields.sender);
  const signature = found.get(fields.signature);
  const signedAt = found.get(fields.signedAt);
  if (sender === undefined && signature === undefined && signedAt === undefined) return undefined;
  if (
    sender === undefined ||
    !isKey(sender) ||
    signature?.length !== signatureLength ||
    signedAt?.length !== 8
  )
    return 'malformed';
  const signedAtMs = Number(new ByteReader(signedAt).u64());
  if (!Number.isSafeInteger(signedAtMs)) return 'malformed';
  return { sender: bytesToHex(sender), signature, signedAtMs };
}

function isKey(bytes: Uint8Array): boolean {
  return bytes.length === keyLength && (bytes[0] === 2 || bytes[0] === 3);
}

function decodeCovered(value: Uint8Array | undefined): bigint[] | undefined {
  if (value === undefined) return undefined;
  const reader = new ByteReader(value);
  const types: bigint[] = [];
  while (reader.left > 0) {
    const type = readBigSize(reader);
    const previous = types.at(-1);
    if (!isCoverable(type) || (previous !== undefined && type <= previous) || types.length >= maxCovered)
      return undefined;
    types.push(type);
  }
  return types;
}

/** Whether a proof can cover a record of this type. */
export function isCoverable(type: bigint): boolean {
  return type >= firstCustomType && type !== keysendRecordType && type !== senderProofType;
}

/** The records of a payment that a proof covers: all that are custom but the preimage and the proof itself, ascending. */
export function coverableTypes(types: Iterable<bigint>): bigint[] {
  const covered = [...types].filter(isCoverable).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  if (covered.length > maxCovered) {
    throw new KeysendError(
      'records_too_large',
      `a proof covers at most ${maxCovered} records, and these are ${covered.length}`,
    );
  }
  return covered;
}

/**
 * SHA-256, in hex, of the covered records as the TLV stream that they are in the onion.
 * @returns `undefined` where one of them is not there.
 */
export function recordsDigest(
  records: ReadonlyMap<bigint, Uint8Array>,
  covered: readonly bigint[],
): string | undefined {
  const stream: { type: bigint; value: Uint8Array }[] = [];
  for (const type of covered) {
    const value = records.get(type);
    if (value === undefined) return undefined;
    stream.push({ type, value });
  }
  return bytesToHex(sha256(encodeTlvStream(stream)));
}

export function checkNonce(nonce: string): string {
  if (/^[0-9a-f]{32}$/.test(nonce)) return nonce;
  throw new KeysendError(
    'request_invalid',
    `the nonce of a receipt has ${nonceLength} bytes: 32 lower-case hex digits`,
  );
}

function checkReplyTo(nodeId: string): string {
  if (/^0[23][0-9a-f]{64}$/.test(nodeId)) return nodeId;
  throw new KeysendError(
    'request_invalid',
    'a receipt is sent back to a node id: 66 lower-case hex digits that begin with 02 or 03',
  );
}
