import {
  chacha20,
  decryptAead,
  encryptAead,
  hmacSha256,
  setSymmetricCrypto,
  sha256,
} from '@rivulet/core/crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { opensslCrypto } from './nodeCrypto.js';

const bytes = fc.uint8Array({ maxLength: 1500 });
const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
const nonce = fc.uint8Array({ minLength: 12, maxLength: 12 });

// Nothing in this file sets OpenSSL for the whole process: core's functions are plain JavaScript here.
test('hashes as plain JavaScript does', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), bytes, bytes, (secret, first, second) => {
      expect(opensslCrypto.sha256(first)).toEqual(sha256(first));
      expect(opensslCrypto.hmacSha256(secret, [first, second])).toEqual(hmacSha256(secret, first, second));
    }),
  );
});

test('encrypts and decrypts as plain JavaScript does', () => {
  fc.assert(
    fc.property(key, nonce, bytes, fc.option(bytes, { nil: undefined }), (k, n, data, associatedData) => {
      const given = { key: k, nonce: n, data };
      expect(opensslCrypto.chacha20(given)).toEqual(chacha20(given));
      const aad = associatedData === undefined ? {} : { associatedData };
      const sealed = encryptAead({ ...given, ...aad, plaintext: data });
      expect(opensslCrypto.encryptAead({ ...given, ...aad, plaintext: data })).toEqual(sealed);
      expect(opensslCrypto.decryptAead({ ...given, ...aad, ciphertext: sealed })).toEqual(data);
      expect(decryptAead({ ...given, ...aad, ciphertext: sealed })).toEqual(data);
    }),
  );
});

test('refuses a ciphertext of which one bit was changed', () => {
  fc.assert(
    fc.property(key, nonce, bytes, fc.nat(), (k, n, plaintext, at) => {
      const ciphertext = opensslCrypto.encryptAead({ key: k, nonce: n, plaintext });
      const bit = at % (ciphertext.length * 8);
      ciphertext[bit >> 3] = (ciphertext[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(opensslCrypto.decryptAead({ key: k, nonce: n, ciphertext })).toBeUndefined();
    }),
  );
});

test('encrypts and streams in place', () => {
  const k = new Uint8Array(32).fill(1);
  const n = new Uint8Array(12).fill(2);
  const data = new Uint8Array(100).fill(3);
  const expected = chacha20({ key: k, nonce: n, data });
  expect(opensslCrypto.chacha20({ key: k, nonce: n, data, output: data })).toBe(data);
  expect(data).toEqual(expected);
});

test('an implementation that computes something else is not taken', () => {
  const wrong = { ...opensslCrypto, name: 'wrong', sha256: () => new Uint8Array(32) };
  expect(() => setSymmetricCrypto(wrong)).toThrow('the hashes and ciphers of wrong failed their self-test');
  const forging = { ...opensslCrypto, name: 'forging', decryptAead: () => new Uint8Array(0) };
  expect(() => setSymmetricCrypto(forging)).toThrow('self-test');
  expect(sha256(new Uint8Array(0))[0]).toBe(0xe3);
});
