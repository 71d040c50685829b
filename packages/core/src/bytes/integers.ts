import type { ByteReader } from './byteReader.js';
import type { ByteWriter } from './byteWriter.js';
import { RivuletError } from './rivuletError.js';

/** An integer that its type cannot hold, or that is written longer than BOLT 1 allows. */
export class IntegerError extends RivuletError<'integer_out_of_range' | 'integer_not_minimal'> {}

/** How many bytes a truncated or a signed integer may have. */
export type IntegerSize = 1 | 2 | 4 | 8;

/**
 * Reads a truncated unsigned integer (BOLT 1, `tu16`, `tu32`, `tu64`) that fills all that is left: big
 * endian without leading zero bytes; nothing at all is 0.
 * @param size the most bytes it may have: 2, 4 or 8.
 * @throws IntegerError on a leading zero byte or too many bytes.
 */
export function readTruncated(reader: ByteReader, size: IntegerSize): bigint {
  const length = reader.left;
  if (length > size) {
    throw new IntegerError(
      'integer_out_of_range',
      `a truncated integer has ${length} bytes; ${size} are allowed`,
    );
  }
  let value = 0n;
  for (let i = 0; i < length; i++) {
    const byte = reader.u8();
    // BOLT 1: leading zeros in truncated integers MUST be omitted.
    if (i === 0 && byte === 0) {
      throw new IntegerError('integer_not_minimal', 'a truncated integer starts with a zero byte');
    }
    value = (value << 8n) | BigInt(byte);
  }
  return value;
}

/**
 * Writes a truncated unsigned integer: as few bytes as it needs, none for 0.
 * @throws IntegerError `integer_out_of_range` when it is negative or needs more than `size` bytes.
 */
export function writeTruncated(writer: ByteWriter, value: bigint, size: IntegerSize): void {
  if (typeof value !== 'bigint' || value < 0n || value >> BigInt(8 * size) !== 0n) {
    throw new IntegerError('integer_out_of_range', `${value} does not fit in ${size} unsigned bytes`);
  }
  let length = 0;
  for (let left = value; left > 0n; left >>= 8n) length++;
  for (let i = length - 1; i >= 0; i--) writer.u8(Number((value >> BigInt(8 * i)) & 0xffn));
}

/** Reads a signed integer (BOLT 1, `s8` to `s64`): big-endian two's complement of `size` bytes. */
export function readSigned(reader: ByteReader, size: IntegerSize): bigint {
  let value = 0n;
  for (const byte of reader.bytes(size)) value = (value << 8n) | BigInt(byte);
  return BigInt.asIntN(8 * size, value);
}

/**
 * Writes a signed integer in big-endian two's complement of `size` bytes.
 * @throws IntegerError `integer_out_of_range`.
 */
export function writeSigned(writer: ByteWriter, value: bigint, size: IntegerSize): void {
  if (typeof value !== 'bigint' || BigInt.asIntN(8 * size, value) !== value) {
    throw new IntegerError('integer_out_of_range', `${value} does not fit in ${size} signed bytes`);
  }
  const unsigned = BigInt.asUintN(8 * size, value);
  for (let i = size - 1; i >= 0; i--) writer.u8(Number((unsigned >> BigInt(8 * i)) & 0xffn));
}
