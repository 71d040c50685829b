import { ByteReader, ByteWriter, bytesToUtf8 } from '../bytes/index.js';
import { publicCurve } from '../crypto/index.js';
import type { HintHop } from '../graph/index.js';
import type { FeatureBits } from '../wire/index.js';
import type { FallbackAddress } from './invoice.js';
import { InvoiceError } from './invoiceError.js';
import { bytesToWords, wordsToBits, wordsToBytes, wordsToInteger } from './words.js';

/** BOLT 11: the types of the tagged fields, by their letters. */
export const fieldTypes = {
  p: 1,
  r: 3,
  9: 5,
  x: 6,
  f: 9,
  d: 13,
  s: 16,
  n: 19,
  h: 23,
  c: 24,
  m: 27,
} as const;
export type FieldLetter = `${keyof typeof fieldTypes}`;

/** BOLT 11: `data_length` has 10 bits. */
export const maxFieldWords = 1023;

/** BOLT 11: 264 + 64 + 32 + 32 + 16 bits. */
const hintHopLength = 51;
const maxHintHops = Math.floor((maxFieldWords * 5) / 8 / hintHopLength);

export interface TaggedField {
  readonly type: number;
  readonly words: Uint8Array;
}

/** @throws InvoiceError `field_truncated` */
export function splitFields(words: Uint8Array): TaggedField[] {
  const fields: TaggedField[] = [];
  for (let at = 0; at < words.length; ) {
    const start = at + 3;
    const end = start + (words[at + 1] ?? 0) * 32 + (words[at + 2] ?? 0);
    if (start > words.length || end > words.length) {
      throw new InvoiceError(
        'field_truncated',
        'this invoice ends inside of a field: copy it again, all of it',
      );
    }
    fields.push({ type: words[at] as number, words: words.subarray(start, end) });
    at = end;
  }
  return fields;
}

export function joinFields(fields: readonly TaggedField[]): Uint8Array {
  const joined: number[] = [];
  for (const { type, words } of fields) joined.push(type, words.length >> 5, words.length & 31, ...words);
  return Uint8Array.from(joined);
}

export function invalidField(letter: FieldLetter, reason: string): InvoiceError {
  return new InvoiceError('field_invalid', `field ${letter} of the invoice is invalid: ${reason}`);
}

/** @throws InvoiceError `field_invalid` */
export function readBytes(letter: FieldLetter, words: Uint8Array): Uint8Array {
  const bytes = wordsToBytes(words);
  if (bytes === undefined) throw invalidField(letter, 'it is not padded with zeros to a whole byte');
  return bytes;
}

/** @throws InvoiceError `field_invalid` */
export function readText(letter: FieldLetter, words: Uint8Array): string {
  const text = bytesToUtf8(readBytes(letter, words));
  if (text === undefined) throw invalidField(letter, 'it is not UTF-8');
  return text;
}

/** @throws InvoiceError `field_invalid` */
export function readInteger(letter: FieldLetter, words: Uint8Array, max: number): number {
  checkMinimal(letter, words);
  const value = wordsToInteger(words);
  if (value === undefined || value > max) throw invalidField(letter, `its number is above ${max}`);
  return value;
}

/** @throws InvoiceError `field_invalid` */
export function readFeatures(letter: FieldLetter, words: Uint8Array): FeatureBits {
  checkMinimal(letter, words);
  return wordsToBits(words);
}

function checkMinimal(letter: FieldLetter, words: Uint8Array): void {
  // BOLT 11, reader: `c`, `x`, or `9` begins with 0 field elements: SHOULD treat the invoice as invalid
  if (words[0] === 0) throw invalidField(letter, 'it begins with zeros');
}

/** @throws InvoiceError `field_invalid` */
export function readNodeId(letter: FieldLetter, words: Uint8Array): Uint8Array {
  const nodeId = readBytes(letter, words);
  if (!publicCurve.isPublicKey(nodeId)) throw invalidField(letter, 'it holds no point on the curve');
  return nodeId;
}

/** `undefined` for what is to be skipped: an unknown version, or a program that cannot be of its version. */
export function readFallback(words: Uint8Array): FallbackAddress | undefined {
  const version = words[0];
  const program = wordsToBytes(words.subarray(1));
  if (version === undefined || program === undefined) return undefined;
  return isFallback({ version, program }) ? { version, program } : undefined;
}

/** Whether the version is known and the program has a length that it allows (BIP 141). */
export function isFallback({ version, program: { length } }: FallbackAddress): boolean {
  if (version === 17 || version === 18) return length === 20;
  if (version === 0) return length === 20 || length === 32;
  return Number.isInteger(version) && version > 0 && version <= 16 && length >= 2 && length <= 40;
}

/** @throws InvoiceError `field_invalid` */
export function readHint(words: Uint8Array): HintHop[] {
  const bytes = readBytes('r', words);
  if (bytes.length % hintHopLength !== 0)
    throw invalidField('r', `it is no row of ${hintHopLength} bytes each`);
  const reader = new ByteReader(bytes);
  const hops: HintHop[] = [];
  while (reader.left > 0) {
    const nodeId = reader.bytes(33);
    if (!publicCurve.isPublicKey(nodeId)) throw invalidField('r', 'it names a node by no point on the curve');
    hops.push({
      nodeId,
      shortChannelId: reader.u64(),
      feeBaseMsat: reader.u32(),
      feeProportionalMillionths: reader.u32(),
      cltvExpiryDelta: reader.u16(),
    });
  }
  return hops;
}

/** @throws InvoiceError `field_invalid` */
export function hintToWords(hops: readonly HintHop[]): Uint8Array {
  if (hops.length === 0 || hops.length > maxHintHops) {
    throw invalidField('r', `a way over unannounced channels has 1 to ${maxHintHops} hops`);
  }
  const writer = new ByteWriter(hops.length * hintHopLength);
  for (const hop of hops) {
    if (!publicCurve.isPublicKey(hop.nodeId)) throw invalidField('r', 'a hop has no valid node id');
    const { shortChannelId, feeBaseMsat, feeProportionalMillionths, cltvExpiryDelta } = hop;
    if (
      BigInt.asUintN(64, shortChannelId) !== shortChannelId ||
      !fits(feeBaseMsat, 32) ||
      !fits(feeProportionalMillionths, 32) ||
      !fits(cltvExpiryDelta, 16)
    ) {
      throw invalidField('r', 'the channel id, the fees or the CLTV delta of a hop do not fit');
    }
    writer
      .bytes(hop.nodeId)
      .u64(shortChannelId)
      .u32(feeBaseMsat)
      .u32(feeProportionalMillionths)
      .u16(cltvExpiryDelta);
  }
  return bytesToWords(writer.finish());
}

function fits(value: number, bits: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < 2 ** bits;
}
