import fc from 'fast-check';
import { expect, test } from 'vitest';
import { add, formatRational, multiply, parseRational, splitWhole, zero } from './rational.js';

test.each([
  ['12', '12'],
  ['0.25', '1/4'],
  ['3/7', '3/7'],
  ['6/4', '3/2'],
  ['0', '0'],
])('%s is read as %s', (text, expected) => {
  expect(formatRational(parseRational(text))).toBe(expected);
  expect(formatRational(parseRational(expected))).toBe(expected);
});

test.each(['', '-1', '1/0', '.5', '1e3', '1/2/3', '9'.repeat(61), 'NaN'])('%j is refused', (text) => {
  expect(() => parseRational(text)).toThrow(/is no number/);
});

test('nothing is lost when whole parts are taken out again and again', () => {
  const price = fc.tuple(fc.bigInt(0n, 10n ** 9n), fc.bigInt(1n, 10n ** 6n));
  fc.assert(
    fc.property(price, fc.array(fc.bigInt(0n, 10n ** 6n), { maxLength: 30 }), ([top, bottom], units) => {
      let owed = zero;
      let paid = 0n;
      for (const count of units) {
        owed = add(owed, multiply(parseRational(`${top}/${bottom}`), { numerator: count, denominator: 1n }));
        const { whole, rest } = splitWhole(owed);
        paid += whole;
        owed = rest;
      }
      const total = top * units.reduce((sum, count) => sum + count, 0n);
      expect(paid).toBe(total / bottom);
      expect(owed.numerator * bottom).toBe((total % bottom) * owed.denominator);
    }),
  );
});
