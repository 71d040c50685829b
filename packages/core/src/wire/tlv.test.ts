import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToHex, hexToBytes } from '../bytes/index.js';
import { decodeTlvStream, encodeTlvStream, TlvError } from './tlv.js';

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof TlvError) return error.code;
    throw error;
  }
  return undefined;
}

const recordsOf = fc.uniqueArray(
  fc.record({ type: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), value: fc.uint8Array({ maxLength: 600 }) }),
  { selector: (record) => record.type, maxLength: 20 },
);

describe('TLV streams', () => {
  test('records round-trip and come out sorted, whatever order they are given in', () => {
    fc.assert(
      fc.property(recordsOf, (records) => {
        const sorted = [...records].sort((a, b) => (a.type < b.type ? -1 : 1));
        expect(decodeTlvStream(encodeTlvStream(records))).toEqual(sorted);
      }),
    );
  });

  test('any bytes give records that encode to the same bytes, or a TlvError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const code = codeOf(() => {
          expect(bytesToHex(encodeTlvStream(decodeTlvStream(bytes)))).toBe(bytesToHex(bytes));
        });
        if (code !== undefined) expect(['tlv_truncated', 'tlv_not_minimal', 'tlv_order']).toContain(code);
      }),
      { numRuns: 2000 },
    );
  });

  test('threat 9: a length of 2^64 - 1 is refused before anything is allocated', () => {
    expect(codeOf(() => decodeTlvStream(hexToBytes('01ffffffffffffffffff00')))).toBe('tlv_truncated');
    expect(codeOf(() => decodeTlvStream(hexToBytes('01feffffffff00')))).toBe('tlv_truncated');
  });

  test.each([
    ['fd', 'tlv_truncated'],
    ['01', 'tlv_truncated'],
    ['0102ff', 'tlv_truncated'],
    ['fd000100', 'tlv_not_minimal'],
    ['01fd000100', 'tlv_not_minimal'],
    ['02000100', 'tlv_order'],
    ['01000100', 'tlv_order'],
  ])('%s is refused as %s', (hex, code) => {
    expect(codeOf(() => decodeTlvStream(hexToBytes(hex)))).toBe(code);
  });

  test('an error names the record and where it starts', () => {
    try {
      decodeTlvStream(hexToBytes('010102' + '0500' + '0300'));
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: 'tlv_order', tlvType: 3n, offset: 5 });
    }
  });

  test('a type given twice cannot be written', () => {
    const record = { type: 1n, value: new Uint8Array() };
    expect(codeOf(() => encodeTlvStream([record, record]))).toBe('tlv_order');
  });
});
