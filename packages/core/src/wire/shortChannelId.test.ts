import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatShortChannelId,
  fromShortChannelId,
  parseShortChannelId,
  ShortChannelIdError,
  toShortChannelId,
} from './shortChannelId.js';

describe('short_channel_id', () => {
  test('the example of BOLT 7', () => {
    const id = toShortChannelId({ blockHeight: 539268, txIndex: 845, outputIndex: 1 });
    expect(id).toBe((539268n << 40n) | (845n << 16n) | 1n);
    expect(formatShortChannelId(id)).toBe('539268x845x1');
    expect(parseShortChannelId('539268x845x1')).toBe(id);
  });

  test('every id round-trips through its parts and its text', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (id) => {
        expect(toShortChannelId(fromShortChannelId(id))).toBe(id);
        expect(parseShortChannelId(formatShortChannelId(id))).toBe(id);
      }),
    );
  });

  test.each([
    '',
    '1x2',
    '1x2x3x4',
    '-1x2x3',
    '16777216x0x0',
    '0x16777216x0',
    '0x0x65536',
    '1x2x3\n',
    '1:2:3',
  ])('"%s" is refused', (text) => {
    expect(() => parseShortChannelId(text)).toThrow(ShortChannelIdError);
  });
});
