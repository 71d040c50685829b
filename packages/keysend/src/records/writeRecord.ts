import { bytesToHex, hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { KeysendError } from '../keysendError.js';
import { isJsonValue, isWellFormed, type JsonObject } from './json.js';
import { type KnownRecord, knownRecord, type RecordName } from './knownRecords.js';
import { maxRecordBytes, readRecord } from './readRecord.js';
import { firstCustomType, lastCustomType } from './recordTypes.js';

/** Text; a time in nanoseconds; bytes as they are; an object, written as JSON. */
export type WritableValue = string | bigint | Uint8Array | JsonObject;

/**
 * The bytes of a record: text for texts, an object (or finished text) for JSON, a bigint for times, hex or bytes for
 * keys and signatures; text or bytes for a type that is not known.
 * @throws KeysendError `record_invalid`: for types that custom records cannot have, for the preimage (the wallet sets
 * it), for what is only read, and for a value that is not what the type promises.
 */
export function writeRecord(record: RecordName | bigint, value: WritableValue): Uint8Array {
  const known = knownRecord(record);
  const type = known?.type ?? record;
  if (typeof type !== 'bigint') throw invalid(type, 'there is no record of this name');
  checkRecordType(type);
  if (known?.written === 'never') throw invalid(type, 'it is read, but not to be written any more');
  const bytes = encode(known, type, value);
  if (bytes.length > maxRecordBytes) throw invalid(type, `a value has at most ${maxRecordBytes} bytes`);
  const { problem } = readRecord(type, bytes);
  if (problem !== undefined) throw invalid(type, `its value is not what it should be (${problem})`);
  return bytes;
}

/** @throws KeysendError `record_invalid` for a type that a payment's custom records cannot have. */
export function checkRecordType(type: bigint): void {
  if (type < firstCustomType || type > lastCustomType) {
    throw invalid(type, `custom records have types from ${firstCustomType} to 2^64 - 1`);
  }
  if (knownRecord(type)?.written === 'wallet') throw invalid(type, 'it is set by the wallet');
}

/**
 * Checks the types of all records that are to go with a payment.
 * @throws KeysendError `record_invalid`
 */
export function checkRecords(records: ReadonlyMap<bigint, Uint8Array>): void {
  for (const type of records.keys()) checkRecordType(type);
}

function encode(known: KnownRecord | undefined, type: bigint, value: WritableValue): Uint8Array {
  if (value instanceof Uint8Array) return value.slice();
  const encoding = known?.encoding ?? 'text';
  switch (encoding) {
    case 'text':
      if (typeof value !== 'string') throw invalid(type, 'its value is a text');
      return encodeText(type, value);
    case 'json':
    case 'signed_json':
      if (typeof value === 'string') return encodeText(type, value);
      if (!isJsonValue(value)) throw invalid(type, 'its value is an object that JSON can say');
      return encodeText(type, JSON.stringify(value));
    case 'time':
      if (typeof value !== 'bigint' || value < 0n || value >= 1n << 64n) {
        throw invalid(type, 'its value is a time in nanoseconds, a bigint');
      }
      return hexToBytes(value.toString(16).padStart(16, '0'));
    case 'bytes':
    case 'public_key':
    case 'signature':
    case 'preimage':
      if (typeof value !== 'string' || !/^(?:[0-9a-f]{2})+$/i.test(value)) {
        throw invalid(type, 'its value is bytes, or hex');
      }
      return hexToBytes(value);
  }
}

function encodeText(type: bigint, text: string): Uint8Array {
  if (!isWellFormed(text)) throw invalid(type, 'its text has half a character (a lone surrogate)');
  return utf8ToBytes(text);
}

function invalid(record: bigint | string, reason: string): KeysendError {
  return new KeysendError('record_invalid', `record ${record}: ${reason}`);
}

/** The types that what is written by the toolkit itself would collide with. */
const ownTypes: ReadonlySet<string> = new Set(['boostagram', 'payment_batch']);
/** Far above any account's name, and small enough to leave room for a boostagram. */
const maxAccountBytes = 512;

/**
 * The record that says which account behind a node is meant: `customKey` and `customValue` of a value block or of a
 * keysend address. Empty where both are absent or empty.
 * @param source the key is a decimal type, the value is sent as UTF-8.
 * @throws KeysendError `record_invalid` where only one is there, or either cannot be sent: a payment without it would
 * reach nobody's account.
 */
export function accountRecords({
  customKey = '',
  customValue = '',
}: {
  readonly customKey?: string | undefined;
  readonly customValue?: string | undefined;
}): ReadonlyMap<bigint, Uint8Array> {
  if (customKey === '' && customValue === '') return new Map();
  return new Map([accountRecord(customKey, customValue)]);
}

/** One such record: type and value. @throws KeysendError `record_invalid` */
export function accountRecord(customKey: string, customValue: string): readonly [bigint, Uint8Array] {
  const key = customKey.trim();
  if (!/^[1-9][0-9]{0,19}$/.test(key)) {
    throw new KeysendError(
      'record_invalid',
      `a custom key is a record's type in decimal digits: ${JSON.stringify(customKey.slice(0, 40))} is none`,
    );
  }
  const type = BigInt(key);
  checkRecordType(type);
  if (ownTypes.has(knownRecord(type)?.name ?? '')) {
    throw invalid(type, 'it holds the boostagram, so that it cannot name an account');
  }
  if (customValue === '') throw invalid(type, 'the custom value, which names the account, is empty');
  const bytes = encodeText(type, customValue);
  if (bytes.length > maxAccountBytes) {
    throw invalid(type, `a custom value has at most ${maxAccountBytes} bytes`);
  }
  return [type, bytes];
}

/** Records as they go into JSON: hex by decimal type, ascending. */
export function recordsToHex(records: ReadonlyMap<bigint, Uint8Array>): Record<string, string> {
  const sorted = [...records].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(sorted.map(([type, bytes]) => [type.toString(), bytesToHex(bytes)]));
}

/**
 * Reads what `recordsToHex` wrote.
 * @throws KeysendError `record_invalid`
 */
export function recordsFromHex(records: Readonly<Record<string, string>>): Map<bigint, Uint8Array> {
  const read = new Map<bigint, Uint8Array>();
  for (const [key, hex] of Object.entries(records)) {
    if (!/^(?:0|[1-9][0-9]{0,19})$/.test(key)) {
      throw new KeysendError('record_invalid', `${JSON.stringify(key.slice(0, 40))} is no record's type`);
    }
    if (!/^(?:[0-9a-f]{2})*$/i.test(hex)) {
      throw new KeysendError('record_invalid', `record ${key}: its value is not hex`);
    }
    read.set(BigInt(key), hexToBytes(hex));
  }
  return read;
}
