import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteReader } from './byteReader.js';
import { ByteWriter } from './byteWriter.js';
import { bytesToHex, hexToBytes } from './hex.js';
import {
  IntegerError,
  type IntegerSize,
  readSigned,
  readTruncated,
  writeSigned,
  writeTruncated,
} from './integers.js';

const sizes: IntegerSize[] = [1, 2, 4, 8];

describe('truncated integers', () => {
  test('every value round-trips without leading zero bytes', () => {
    fc.assert(
      fc.property(fc.constantFrom(...sizes), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (size, any) => {
        const value = BigInt.asUintN(8 * size, any);
        const writer = new ByteWriter();
        writeTruncated(writer, value, size);
        const bytes = writer.finish();
        expect(bytes[0]).not.toBe(0);
        expect(readTruncated(new ByteReader(bytes), size)).toBe(value);
      }),
    );
  });

  test('zero is no byte at all', () => {
    const writer = new ByteWriter();
    writeTruncated(writer, 0n, 8);
    expect(writer.finish()).toEqual(new Uint8Array());
  });

  test.each([
    ['00', 8],
    ['0001', 8],
    ['010203', 2],
    ['0102030405', 4],
    ['010203040506070809', 8],
  ] as const)('%s is no truncated integer of %i bytes', (hex, size) => {
    expect(() => readTruncated(new ByteReader(hexToBytes(hex)), size)).toThrow(IntegerError);
  });

  test.each([
    [-1n, 8],
    [2n ** 16n, 2],
    [2n ** 64n, 8],
  ] as const)('%s cannot be written in %i bytes', (value, size) => {
    expect(() => writeTruncated(new ByteWriter(), value, size)).toThrow(IntegerError);
  });
});

describe('signed integers', () => {
  test('every value round-trips in exactly its size', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...sizes),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        (size, any) => {
          const value = BigInt.asIntN(8 * size, any);
          const writer = new ByteWriter();
          writeSigned(writer, value, size);
          expect(writer.length).toBe(size);
          expect(readSigned(new ByteReader(writer.finish()), size)).toBe(value);
        },
      ),
    );
  });

  test('negative values are two’s complement', () => {
    const writer = new ByteWriter();
    writeSigned(writer, -15000n, 2);
    expect(bytesToHex(writer.finish())).toBe('c568');
  });

  test.each([
    [128n, 1],
    [-129n, 1],
    [2n ** 63n, 8],
    [-(2n ** 63n) - 1n, 8],
  ] as const)('%s cannot be written in %i bytes', (value, size) => {
    expect(() => writeSigned(new ByteWriter(), value, size)).toThrow(IntegerError);
  });
});
