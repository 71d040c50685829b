import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToHex, concatBytes, hexToBytes } from '../bytes/index.js';
import { CryptoError } from './cryptoError.js';
import { nobleBackend } from './nobleBackend.js';
import { smallCurve } from './smallCurve.js';

const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const prime = 2n ** 256n - 2n ** 32n - 977n;

function word(value: bigint): Uint8Array {
  return hexToBytes(value.toString(16).padStart(64, '0'));
}

/** Small and large ones, where things go wrong. */
const numbers = fc.oneof(
  fc.bigInt({ min: 1n, max: 5n }),
  fc.bigInt({ min: 1n, max: 5n }).map((value) => order - value),
  fc.bigInt({ min: 1n, max: order - 1n }),
);
const words = fc.oneof(
  numbers.map(word),
  fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }).map(word),
  fc.constantFrom(0n, order, order + 1n, prime, prime - 1n, 2n ** 256n - 1n).map(word),
);

/** What it is, or which error. */
function outcome<T>(run: () => T): T | string {
  try {
    return run();
  } catch (error) {
    if (error instanceof CryptoError) return error.code;
    throw error;
  }
}

describe('the small curve', () => {
  test('verifies and recovers what was signed, as the large one does', () => {
    fc.assert(
      fc.property(numbers, words, (key, hash) => {
        const publicKey = nobleBackend.publicKey(word(key));
        const { signature, recovery } = nobleBackend.signRecoverable(hash, word(key));
        expect(smallCurve.verify(signature, hash, publicKey)).toBe(true);
        expect(smallCurve.recover(signature, recovery, hash)).toEqual(publicKey);
        const altered = hash.slice();
        altered[31] = (altered[31] as number) ^ 1;
        expect(smallCurve.verify(signature, altered, publicKey)).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  test('agrees with the large one about any numbers', () => {
    const recoveries = fc.integer({ min: 0, max: 4 });
    fc.assert(
      fc.property(words, words, words, recoveries, numbers, (r, s, hash, recovery, key) => {
        const signature = concatBytes(r, s);
        const publicKey = nobleBackend.publicKey(word(key));
        expect(smallCurve.verify(signature, hash, publicKey)).toBe(
          nobleBackend.verify(signature, hash, publicKey),
        );
        expect(outcome(() => smallCurve.recover(signature, recovery, hash))).toEqual(
          outcome(() => nobleBackend.recover(signature, recovery, hash)),
        );
      }),
      { numRuns: 150 },
    );
  });

  test('knows points from what is none', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5 }), words, (first, x) => {
        const bytes = concatBytes(Uint8Array.of(first), x);
        expect(smallCurve.isPublicKey(bytes)).toBe(nobleBackend.isPublicKey(bytes));
      }),
      { numRuns: 200 },
    );
    expect(smallCurve.isPublicKey(new Uint8Array(32))).toBe(false);
    expect(smallCurve.isPublicKey(new Uint8Array(0))).toBe(false);
  });

  test('refuses a high s and a sum that is the point at infinity', () => {
    const hash = word(7n);
    const key = word(9n);
    const { signature } = nobleBackend.signRecoverable(hash, key);
    const s = BigInt(`0x${bytesToHex(signature.subarray(32))}`);
    const high = concatBytes(signature.subarray(0, 32), word(order - s));
    expect(smallCurve.verify(high, hash, nobleBackend.publicKey(key))).toBe(false);
    // The hash is minus r times the key: u1·G + u2·key is nothing.
    const publicKey = nobleBackend.publicKey(word(1n));
    const r = 3n;
    expect(smallCurve.verify(concatBytes(word(r), word(1n)), word(order - r), publicKey)).toBe(false);
    // Of the key itself: s·R = hash·G
    const x = nobleBackend.publicKey(word(1n)).subarray(1);
    expect(outcome(() => smallCurve.recover(concatBytes(x, word(5n)), 0, word(5n)))).toBe(
      'signature_invalid',
    );
  });

  test('refuses what has another length', () => {
    const publicKey = nobleBackend.publicKey(word(1n));
    const signature = nobleBackend.sign(word(2n), word(1n));
    expect(smallCurve.verify(signature.subarray(1), word(2n), publicKey)).toBe(false);
    expect(smallCurve.verify(signature, new Uint8Array(31), publicKey)).toBe(false);
    expect(smallCurve.verify(signature, word(2n), publicKey.subarray(1))).toBe(false);
    expect(outcome(() => smallCurve.recover(signature, 0, new Uint8Array(31)))).toBe('hash_invalid');
    expect(outcome(() => smallCurve.recover(signature.subarray(1), 0, word(2n)))).toBe('signature_invalid');
  });
});
