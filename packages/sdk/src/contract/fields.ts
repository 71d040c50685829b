import { bytesToHex, hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { z } from 'zod';

/** All bitcoin that can exist, in millisatoshi (BOLT 1). */
const maxMsat = 2_100_000_000_000_000_000n;

/** An amount: decimal digits in JSON, which has no 64-bit integers, and a `bigint` in code. */
function amount(unit: string, maximum: bigint) {
  return z.codec(
    z.string().regex(/^(0|[1-9][0-9]{0,19})$/, `expected a whole number of ${unit} as a string of digits`),
    z.bigint().min(0n).max(maximum, `more ${unit} than there are`),
    { decode: (text) => BigInt(text), encode: (value) => value.toString() },
  );
}

/** Millisatoshi. */
export const msat = amount('millisatoshi', maxMsat);

/** Satoshi. */
export const sat = amount('satoshi', maxMsat / 1000n);

/** A whole number that is text in a query string. */
export const queryInteger = z.codec(
  z.string().regex(/^[0-9]{1,15}$/, 'expected a whole number'),
  z.int().min(0),
  { decode: (text) => Number(text), encode: (value) => value.toString() },
);

/** Bytes as lower-case hex; stays text. */
export function hex(length?: number) {
  const digits = length === undefined ? '([0-9a-f]{2})*' : `[0-9a-f]{${2 * length}}`;
  const wanted = length === undefined ? 'hex digits' : `${2 * length} hex digits`;
  return z.string().regex(new RegExp(`^${digits}$`), `expected ${wanted} in lower case`);
}

/** A node's public key: 66 hex digits. */
export const nodeId = z
  .string()
  .regex(/^0[23][0-9a-f]{64}$/, 'expected a node id: 66 hex digits in lower case that start with 02 or 03');

/** A host name or IP address without port. */
export const host = z.string().min(1).max(253);

export const port = z.int().min(1).max(65_535);

/** A transaction id in the order that people see. */
export const txidHex = hex(32);

const maxRecordType = 0xffff_ffff_ffff_ffffn;

/** Custom records of a payment: in JSON an object from a type's decimal digits to its value's hex digits. */
export const records = z.codec(
  z
    .record(z.string().regex(/^[1-9][0-9]{0,19}$/, 'expected a record type: decimal digits'), hex().max(2600))
    // Here, for what is said of the keys of a map does not reach the caller.
    .refine(
      (object) => Object.keys(object).every((type) => BigInt(type) <= maxRecordType),
      'a record type has 64 bits: at most 18446744073709551615',
    ),
  z.map(
    z.bigint().max(maxRecordType),
    z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'expected bytes'),
  ),
  {
    decode: (object) =>
      new Map(Object.entries(object).map(([type, value]) => [BigInt(type), hexToBytes(value)])),
    encode: (map) =>
      Object.fromEntries(Array.from(map, ([type, value]) => [type.toString(), bytesToHex(value)])),
  },
);

/** What an invoice is for: as much as fits in it (BOLT 11), in bytes, as a letter may take four. */
export const description = z
  .string()
  .refine(
    (text) => utf8ToBytes(text).length <= 639,
    'too long: a description has at most 639 bytes of UTF-8, where letters with accents take 2 and emoji 4',
  );

/** Milliseconds since 1970. */
export const timeMs = z.int().min(0);
