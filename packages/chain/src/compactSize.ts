import type { ByteReader, ByteWriter } from '@rivulet/core/bytes';

/** Writes Bitcoin's variable-length integer. */
export function writeCompactSize(writer: ByteWriter, value: number): void {
  if (value < 0xfd) writer.u8(value);
  else if (value <= 0xffff) writer.u8(0xfd).u16Le(value);
  else writer.u8(0xfe).u32Le(value);
}

/** Reads Bitcoin's variable-length integer. Lengths are checked by whoever reads that many bytes. */
export function readCompactSize(reader: ByteReader): number {
  const first = reader.u8();
  if (first < 0xfd) return first;
  if (first === 0xfd) return reader.u16Le();
  return first === 0xfe ? reader.u32Le() : Number(reader.u64Le());
}
