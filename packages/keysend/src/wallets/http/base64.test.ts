import { base64 } from '@scure/base';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromBase64, toBase64 } from './base64.js';

test('base64 is what another implementation writes and reads, in either alphabet', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const text = toBase64(bytes);
      expect(text).toBe(base64.encode(bytes));
      expect(fromBase64(text)).toEqual(bytes);
      expect(fromBase64(Buffer.from(bytes).toString('base64url'))).toEqual(bytes);
    }),
  );
});

test('what is no base64 is refused', () => {
  for (const text of ['a', 'a b=', '%', 'aé==', '=a=']) expect(() => fromBase64(text)).toThrow();
});
