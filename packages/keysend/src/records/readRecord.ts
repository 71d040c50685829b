import { bytesToHex, bytesToUtf8 } from '@rivulet/core/bytes';
import { publicCurve } from '@rivulet/core/crypto';
import { type JsonProblem, type JsonValue, parseJson } from './json.js';
import { type KnownRecord, knownRecord, type RecordName } from './knownRecords.js';

export type RecordProblem = 'utf8_invalid' | 'length_invalid' | 'key_invalid' | 'too_large' | JsonProblem;

/** What a record says, as far as it could be read. */
export type RecordValue =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'json'; readonly json: JsonValue }
  | { readonly kind: 'signed_json'; readonly json: JsonValue; readonly signature: Uint8Array }
  /** 66 hex digits. */
  | { readonly kind: 'public_key'; readonly nodeId: string }
  | { readonly kind: 'time'; readonly atNs: bigint }
  /** An unknown type, a signature, or what could not be read. */
  | { readonly kind: 'bytes' };

/** A record that was read: its bytes are always there, whatever was wrong with them. */
export interface KnownValue {
  readonly type: bigint;
  readonly name?: RecordName;
  readonly bytes: Uint8Array;
  readonly value: RecordValue;
  /** Why the value is less than the type promises. */
  readonly problem?: RecordProblem;
}

/** No onion carries as much; what wallets and webhooks bring is bounded by it. */
export const maxRecordBytes = 65_536;

const preimageLength = 32;
const publicKeyLength = 33;
const timeLength = 8;
/** The longest that DER takes. */
const maxSignatureLength = 72;
/** A compact signature. */
const minSignatureLength = 64;

/** Reads a record as leniently as can be: what is wrong is told in `problem`, and nothing is thrown or lost. */
export function readRecord(type: bigint, bytes: Uint8Array): KnownValue {
  const known = knownRecord(type);
  if (known === undefined) return { type, bytes, value: { kind: 'bytes' } };
  const { name } = known;
  const read = readValue(known, bytes);
  return typeof read === 'string'
    ? { type, name, bytes, value: { kind: 'bytes' }, problem: read }
    : { type, name, bytes, value: read };
}

function readValue({ encoding }: KnownRecord, bytes: Uint8Array): RecordValue | RecordProblem {
  if (bytes.length > maxRecordBytes) return 'too_large';
  switch (encoding) {
    case 'bytes':
      return { kind: 'bytes' };
    case 'text': {
      const text = bytesToUtf8(bytes);
      return text === undefined ? 'utf8_invalid' : { kind: 'text', text };
    }
    case 'json': {
      const text = bytesToUtf8(bytes);
      if (text === undefined) return 'utf8_invalid';
      const parsed = parseJson(text);
      return 'problem' in parsed ? parsed.problem : { kind: 'json', json: parsed.json };
    }
    case 'signed_json':
      return readSignedJson(bytes);
    case 'preimage':
      return bytes.length === preimageLength ? { kind: 'bytes' } : 'length_invalid';
    case 'public_key':
      if (bytes.length !== publicKeyLength) return 'length_invalid';
      return publicCurve.isPublicKey(bytes)
        ? { kind: 'public_key', nodeId: bytesToHex(bytes) }
        : 'key_invalid';
    case 'signature':
      return bytes.length >= minSignatureLength && bytes.length <= maxSignatureLength
        ? { kind: 'bytes' }
        : 'length_invalid';
    case 'time':
      return bytes.length === timeLength
        ? { kind: 'time', atNs: BigInt(`0x${bytesToHex(bytes)}`) }
        : 'length_invalid';
  }
}

const openBrace = 0x7b;
const closeBrace = 0x7d;
const quote = 0x22;
const backslash = 0x5c;

/** An object, up to the brace that closes it, and whatever follows. */
function readSignedJson(bytes: Uint8Array): RecordValue | RecordProblem {
  const end = endOfObject(bytes);
  if (end === undefined) return 'json_invalid';
  const text = bytesToUtf8(bytes.subarray(0, end));
  if (text === undefined) return 'utf8_invalid';
  const parsed = parseJson(text);
  if ('problem' in parsed) return parsed.problem;
  return { kind: 'signed_json', json: parsed.json, signature: bytes.slice(end) };
}

function endOfObject(bytes: Uint8Array): number | undefined {
  if (bytes[0] !== openBrace) return undefined;
  let depth = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (inString) {
      if (byte === backslash) i++;
      else if (byte === quote) inString = false;
    } else if (byte === quote) {
      inString = true;
    } else if (byte === openBrace) {
      depth++;
    } else if (byte === closeBrace) {
      depth--;
      if (depth === 0) return i + 1;
    }
  }
  return undefined;
}

/** All records of a payment, in the order of their types. */
export function readRecords(records: ReadonlyMap<bigint, Uint8Array>): KnownValue[] {
  return [...records]
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([type, bytes]) => readRecord(type, bytes));
}

/** A record as plain JSON: for APIs, logs and pages. */
export interface RecordJson {
  /** Decimal digits: types do not fit into JSON's numbers. */
  readonly type: string;
  readonly name?: RecordName;
  /** For people. */
  readonly meaning?: string;
  readonly text?: string;
  readonly json?: JsonValue;
  readonly atNs?: string;
  /** The bytes, always. */
  readonly hex: string;
  readonly problem?: RecordProblem;
}

/** A record that was read, as plain JSON; `hex` says everything, the other fields what could be understood. */
export function recordToJson({ type, name, bytes, value, problem }: KnownValue): RecordJson {
  const meaning = knownRecord(type)?.meaning;
  return {
    type: type.toString(),
    ...(name === undefined ? {} : { name }),
    ...(meaning === undefined ? {} : { meaning }),
    ...(value.kind === 'text' ? { text: value.text } : {}),
    ...(value.kind === 'json' || value.kind === 'signed_json' ? { json: value.json } : {}),
    ...(value.kind === 'public_key' ? { text: value.nodeId } : {}),
    ...(value.kind === 'time' ? { atNs: value.atNs.toString() } : {}),
    hex: bytesToHex(bytes),
    ...(problem === undefined ? {} : { problem }),
  };
}
