import type { ByteReader, ByteWriter } from '../bytes/index.js';
import { TransactionError } from './transactionError.js';

/** The number of bytes of Bitcoin's variable-length integer for `value`. */
export function compactSizeLength(value: number): number {
  if (value < 0xfd) return 1;
  return value <= 0xffff ? 3 : 5;
}

/** Writes Bitcoin's variable-length integer (little endian; not the BigSize of BOLT 1). */
export function writeCompactSize(writer: ByteWriter, value: number): void {
  if (value < 0xfd) writer.u8(value);
  else if (value <= 0xffff) writer.u8(0xfd).u16Le(value);
  else writer.u8(0xfe).u32Le(value);
}

/**
 * Reads Bitcoin's variable-length integer; nothing in a transaction needs more than 32 bits.
 * @throws TransactionError when it is longer than it has to be, or has 64 bits.
 */
export function readCompactSize(reader: ByteReader): number {
  const first = reader.u8();
  if (first < 0xfd) return first;
  if (first === 0xff) throw new TransactionError('a length of the transaction has 64 bits');
  const value = first === 0xfd ? reader.u16Le() : reader.u32Le();
  if (value < 0xfd || (first === 0xfe && value <= 0xffff)) {
    throw new TransactionError('a length of the transaction is not encoded in its shortest form');
  }
  return value;
}
