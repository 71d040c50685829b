import { expect, test } from 'vitest';
import { parseSettlementArguments } from './settlementArguments.js';

test('without arguments a sample of 400 is run', () => {
  expect(parseSettlementArguments([])).toMatchObject({ filter: '', all: false, seed: 1, count: 400 });
});

test('numbers are read', () => {
  expect(parseSettlementArguments(['--seed', '9', '--jobs', '1', '--filter', 'revoked'])).toMatchObject({
    seed: 9,
    jobs: 1,
    filter: 'revoked',
  });
});

test.each([
  [['--seed', 'x'], /whole number of at least 0/],
  [['--jobs', '0'], /at least 1/],
  [['--nothing'], /Unknown option/],
])('%j is refused', (args, why) => {
  expect(() => parseSettlementArguments(args)).toThrow(why);
});
