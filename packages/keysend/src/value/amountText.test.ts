import { expect, test } from 'vitest';
import { amountText } from './amountText.js';

test.each([
  [0n, '0 sat'],
  [1n, '0.001 sat'],
  [1_500n, '1.5 sat'],
  [39_600n, '39.6 sat'],
  [1_234_567_890n, '1,234,567.89 sat'],
  ['20000000', '20,000 sat'],
  [-1_000_500n, '-1,000.5 sat'],
])('%s msat are %s', (amountMsat, text) => {
  expect(amountText(amountMsat)).toBe(text);
});
