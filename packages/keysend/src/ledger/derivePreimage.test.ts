import { bytesToHex } from '@rivulet/core/bytes';
import { expect, test } from 'vitest';
import { derivePreimage } from './derivePreimage.js';

test('the preimage of a key stays the same for ever, and differs for every secret and key', () => {
  const secret = new Uint8Array(32).fill(7);
  const preimage = bytesToHex(derivePreimage(secret, 'stream:é'));
  // HMAC-SHA256 of another implementation.
  expect(preimage).toBe('4874cfef6bc2e1acf3fe2589caee9fdd01d0d2be9efca43b35103a573eda5f11');
  expect(bytesToHex(derivePreimage(secret, 'stream:e'))).not.toBe(preimage);
  expect(bytesToHex(derivePreimage(new Uint8Array(32).fill(8), 'stream:é'))).not.toBe(preimage);
  expect(() => derivePreimage(new Uint8Array(31), 'x')).toThrow(/32 bytes, not 31/);
});
