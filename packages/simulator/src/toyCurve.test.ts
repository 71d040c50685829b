import { secp256k1, sha256 } from '@rivulet/core/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { replaceCurve } from './curve.js';
import { Random } from './random.js';
import { toyCurve } from './toyCurve.js';

const keys = fc.string().map((seed) => new Random(seed).privateKey());

describe('the toy curve', () => {
  test('relates keys as the real one does', () => {
    fc.assert(
      fc.property(keys, keys, (a, b) => {
        const [pointA, pointB] = [toyCurve.publicKey(a), toyCurve.publicKey(b)];
        const sum = secp256k1.privateKeyAdd(a, b);
        const product = secp256k1.privateKeyMultiply(a, b);
        expect(toyCurve.publicKeyAdd(pointA, b)).toEqual(toyCurve.publicKey(sum));
        expect(toyCurve.publicKeyCombine([pointA, pointB])).toEqual(toyCurve.publicKey(sum));
        expect(toyCurve.publicKeyMultiply(pointA, b)).toEqual(toyCurve.publicKey(product));
        expect(toyCurve.ecdh(pointA, b)).toEqual(toyCurve.ecdh(pointB, a));
        expect(toyCurve.isPublicKey(pointA)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  test('knows a signature of another key or hash', () => {
    const [a, b] = [new Random('a').privateKey(), new Random('b').privateKey()];
    const hash = sha256(a);
    const signature = toyCurve.sign(hash, a);
    expect(signature).toHaveLength(64);
    expect(toyCurve.verify(signature, hash, toyCurve.publicKey(a))).toBe(true);
    expect(toyCurve.verify(signature, hash, toyCurve.publicKey(b))).toBe(false);
    expect(toyCurve.verify(signature, sha256(b), toyCurve.publicKey(a))).toBe(false);
  });
});

describe('replaceCurve', () => {
  test('remembers results of the real curve and changes none, and is gone afterwards', () => {
    const { verify, sign } = secp256k1;
    const key = new Random('key').privateKey();
    const hash = sha256(key);
    const point = secp256k1.publicKey(key);
    const plain = [secp256k1.publicKeyAdd(point, hash), secp256k1.ecdh(point, key), sign(hash, key)];
    const restore = replaceCurve('real');
    try {
      for (let i = 0; i < 2; i++) {
        expect([
          secp256k1.publicKeyAdd(point, hash),
          secp256k1.ecdh(point, key),
          secp256k1.sign(hash, key),
        ]).toEqual(plain);
      }
      const [, , signature] = plain as [Uint8Array, Uint8Array, Uint8Array];
      expect(secp256k1.verify(signature, hash, point)).toBe(true);
      expect(secp256k1.verify(signature, sha256(hash), point)).toBe(false);
      expect(
        secp256k1.verify(
          Uint8Array.from(signature, (byte) => byte ^ 1),
          hash,
          point,
        ),
      ).toBe(false);
      // What was handed out may be changed by who has it.
      secp256k1.publicKeyAdd(point, hash).fill(0);
      expect(secp256k1.publicKeyAdd(point, hash)).toEqual(plain[0]);
    } finally {
      restore();
    }
    expect(secp256k1.verify).toBe(verify);
  });
});
