import type { ByteReader } from './byteReader.js';
import type { ByteWriter } from './byteWriter.js';
import { IntegerError } from './integers.js';

/** The largest value of `u64`, and so of a BigSize. */
const MAX_U64 = 0xffff_ffff_ffff_ffffn;

function notMinimal(value: bigint | number): IntegerError {
  return new IntegerError('integer_not_minimal', `a BigSize of ${value} is not in its shortest form`);
}

/**
 * Reads a BigSize (BOLT 1, appendix A): a big-endian integer of 1, 3, 5 or 9 bytes.
 * @throws IntegerError `integer_not_minimal` when a shorter form exists; UnexpectedEndError.
 */
export function readBigSize(reader: ByteReader): bigint {
  const first = reader.u8();
  if (first < 0xfd) return BigInt(first);
  if (first === 0xfd) {
    const value = reader.u16();
    if (value < 0xfd) throw notMinimal(value);
    return BigInt(value);
  }
  if (first === 0xfe) {
    const value = reader.u32();
    if (value < 0x1_0000) throw notMinimal(value);
    return BigInt(value);
  }
  const value = reader.u64();
  if (value < 0x1_0000_0000n) throw notMinimal(value);
  return value;
}

/**
 * Writes a BigSize in its shortest form.
 * @throws IntegerError `integer_out_of_range` for a negative value or one above 2^64 - 1.
 */
export function writeBigSize(writer: ByteWriter, value: bigint): void {
  if (typeof value !== 'bigint' || value < 0n || value > MAX_U64) {
    throw new IntegerError('integer_out_of_range', `${value} is no BigSize: it must be from 0 to 2^64 - 1`);
  }
  if (value < 0xfdn) writer.u8(Number(value));
  else if (value < 0x1_0000n) writer.u8(0xfd).u16(Number(value));
  else if (value < 0x1_0000_0000n) writer.u8(0xfe).u32(Number(value));
  else writer.u8(0xff).u64(value);
}
