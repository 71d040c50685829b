import { describe, expect, test } from 'vitest';
import { formatBlocks, formatDistance, formatProbability, parseSeconds, parseWholeNumber } from './number.js';

describe('numbers', () => {
  test.each([
    ['7', 7],
    ['1,000', 1_000],
    ['1_000', 1_000],
  ])('%s', (text, value) => {
    expect(parseWholeNumber(text, { what: '--x', minimum: 0, maximum: 1_000 })).toBe(value);
  });

  test.each(['', '-1', '1.5', '1e3', '1,00', '1001', '0x5', ' 5'])('%j is refused', (text) => {
    expect(() => parseWholeNumber(text, { what: '--x', minimum: 0, maximum: 1_000 })).toThrow(
      /--x must be a whole number from 0 to 1000/,
    );
  });
});

describe('times', () => {
  test.each([
    ['90', 90],
    ['90s', 90],
    ['30m', 1_800],
    ['1h', 3_600],
    ['7d', 604_800],
    ['2w', 1_209_600],
    ['365d', 31_536_000],
  ])('%s is %i seconds', (text, seconds) => {
    expect(parseSeconds(text, '--expiry')).toBe(seconds);
  });

  test.each(['0', '0h', '1y', '-1h', '1.5h', '366d', 'h', '', '1hour', '999999999999'])(
    '%j is none',
    (text) => {
      expect(() => parseSeconds(text, '--expiry')).toThrow(/--expiry must be a time/);
    },
  );

  test.each([
    [0, 'in 0 seconds'],
    [1_000, 'in 1 second'],
    [-90_000, '90 seconds ago'],
    [3_599_000, 'in 59 minutes'],
    [-7_200_000, '2 hours ago'],
    [3 * 86_400_000, 'in 3 days'],
  ])('%i ms from now is %s', (distance, text) => {
    expect(formatDistance(1_000_000_000 + distance, 1_000_000_000)).toBe(text);
  });

  test.each([
    [1, '1 block (about 0.2 hours)'],
    [6, '6 blocks (about 1 hour)'],
    [40, '40 blocks (about 6.7 hours)'],
    [144, '144 blocks (about 24 hours)'],
  ])('%i blocks', (blocks, text) => {
    expect(formatBlocks(blocks)).toBe(text);
  });
});

test.each([
  [1, '100 %'],
  [0.9999, 'over 99 %'],
  [0.5, '50 %'],
  [0.001, 'below 1 %'],
  [0, '0 %'],
])('probability %f', (probability, text) => {
  expect(formatProbability(probability)).toBe(text);
});
