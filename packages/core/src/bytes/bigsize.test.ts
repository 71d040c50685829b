import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readBigSize, writeBigSize } from './bigsize.js';
import { ByteReader, UnexpectedEndError } from './byteReader.js';
import { ByteWriter } from './byteWriter.js';
import { hexToBytes } from './hex.js';
import { IntegerError } from './integers.js';

function encode(value: bigint): Uint8Array {
  const writer = new ByteWriter();
  writeBigSize(writer, value);
  return writer.finish();
}

describe('BigSize', () => {
  test('every value round-trips in its shortest form', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
        const bytes = encode(value);
        expect(readBigSize(new ByteReader(bytes))).toBe(value);
        const shortest = value < 0xfdn ? 1 : value < 2n ** 16n ? 3 : value < 2n ** 32n ? 5 : 9;
        expect(bytes.length).toBe(shortest);
      }),
    );
  });

  test.each(['fd00fc', 'fe0000ffff', 'ff00000000ffffffff'])('%s is refused: a shorter form exists', (hex) => {
    expect(() => readBigSize(new ByteReader(hexToBytes(hex)))).toThrow(IntegerError);
  });

  test.each(['', 'fd', 'fd01', 'fe010203', 'ff01020304050607'])('"%s" ends too early', (hex) => {
    expect(() => readBigSize(new ByteReader(hexToBytes(hex)))).toThrow(UnexpectedEndError);
  });

  test.each([-1n, 2n ** 64n])('%s cannot be written', (value) => {
    expect(() => encode(value)).toThrow(IntegerError);
  });
});
