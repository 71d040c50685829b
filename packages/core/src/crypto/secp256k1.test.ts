import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytesToHex, hexToBytes } from '../bytes/hex.js';
import { activeBackendName, initCrypto, secp256k1 } from './activeBackend.js';
import { CryptoError, type CryptoErrorCode } from './cryptoError.js';
import { sha256 } from './hashes.js';
import { loadNativeBackend } from './nativeBackend.js';
import { nobleBackend } from './nobleBackend.js';
import type { Secp256k1 } from './secp256k1.js';
import { loadWasmBackend } from './wasmBackend.js';

const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const scalar = (value: bigint) => hexToBytes(value.toString(16).padStart(64, '0'));
const generator = hexToBytes('0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798');
const zeros = new Uint8Array(32);
const offCurve = new Uint8Array(33).fill(0xff);
offCurve[0] = 2;
const uncompressed = hexToBytes(
  '0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8',
);
const hybrid = Uint8Array.from(generator);
hybrid[0] = 6;
const badPoints = [
  offCurve,
  uncompressed,
  hybrid,
  generator.subarray(0, 32),
  new Uint8Array(33),
  new Uint8Array(),
];
const badKeys = [
  zeros,
  scalar(order),
  scalar(order + 1n),
  new Uint8Array(31).fill(1),
  new Uint8Array(33).fill(1),
];
const badTweaks = [scalar(order), new Uint8Array(32).fill(0xff), new Uint8Array(31), new Uint8Array(33)];

const keyArbitrary = fc.bigInt({ min: 1n, max: order - 1n }).map(scalar);
// libsecp256k1 and RFC 6979 as noble reads it differ for a hash above the order (chance: 2^-128).
const hashArbitrary = fc.bigInt({ min: 0n, max: order - 1n }).map(scalar);

const native = await loadNativeBackend();
const wasm = await loadWasmBackend();
const backends: readonly Secp256k1[] = [native, wasm, nobleBackend];

function codeOf(run: () => unknown): CryptoErrorCode {
  try {
    run();
  } catch (error) {
    if (error instanceof CryptoError) return error.code;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe.each(backends.map((curve) => ({ name: curve.name, curve })))('$name', ({ curve }) => {
  test('derives the public keys of known private keys', () => {
    expect(curve.publicKey(scalar(1n))).toEqual(generator);
    expect(bytesToHex(curve.publicKey(new Uint8Array(32).fill(0x21)))).toBe(
      '028d7500dd4c12685d1f568b4c2b5048e8534b873319f3a8daa612b469132ec7f7',
    );
    expect(bytesToHex(curve.publicKey(scalar(order - 1n)))).toBe(
      '0379be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798',
    );
  });

  test('tells valid keys from invalid ones', () => {
    expect(curve.isPrivateKey(scalar(1n))).toBe(true);
    expect(curve.isPrivateKey(scalar(order - 1n))).toBe(true);
    for (const key of badKeys) expect(curve.isPrivateKey(key)).toBe(false);
    expect(curve.isPublicKey(generator)).toBe(true);
    for (const key of badPoints) expect(curve.isPublicKey(key)).toBe(false);
  });

  test('refuses invalid private keys everywhere', () => {
    for (const key of badKeys) {
      const runs = [
        () => curve.publicKey(key),
        () => curve.privateKeyAdd(key, scalar(1n)),
        () => curve.privateKeyMultiply(key, scalar(1n)),
        () => curve.privateKeyNegate(key),
        () => curve.ecdh(generator, key),
        () => curve.sign(zeros, key),
        () => curve.signRecoverable(zeros, key),
        () => curve.signSchnorr(zeros, key, zeros),
      ];
      for (const run of runs) expect(codeOf(run)).toBe('private_key_invalid');
    }
  });

  test('refuses invalid public keys everywhere', () => {
    for (const key of badPoints) {
      const runs = [
        () => curve.publicKeyAdd(key, scalar(1n)),
        () => curve.publicKeyMultiply(key, scalar(1n)),
        () => curve.publicKeyCombine([key]),
        () => curve.publicKeyCombine([generator, key]),
        () => curve.ecdh(key, scalar(1n)),
      ];
      for (const run of runs) expect(codeOf(run)).toBe('public_key_invalid');
    }
    expect(codeOf(() => curve.publicKeyCombine([]))).toBe('public_key_invalid');
  });

  test('refuses tweaks of the order and above, and of another length', () => {
    for (const tweak of badTweaks) {
      const runs = [
        () => curve.privateKeyAdd(scalar(1n), tweak),
        () => curve.privateKeyMultiply(scalar(1n), tweak),
        () => curve.publicKeyAdd(generator, tweak),
        () => curve.publicKeyMultiply(generator, tweak),
      ];
      for (const run of runs) expect(codeOf(run)).toBe('tweak_invalid');
    }
  });

  test('adds a zero tweak as nothing and refuses to multiply by it', () => {
    expect(curve.privateKeyAdd(scalar(5n), zeros)).toEqual(scalar(5n));
    expect(curve.publicKeyAdd(generator, zeros)).toEqual(generator);
    expect(codeOf(() => curve.privateKeyMultiply(scalar(5n), zeros))).toBe('result_invalid');
    expect(codeOf(() => curve.publicKeyMultiply(generator, zeros))).toBe('result_invalid');
  });

  test('refuses sums that are zero or the point at infinity', () => {
    const negated = curve.publicKey(scalar(order - 1n));
    expect(codeOf(() => curve.privateKeyAdd(scalar(1n), scalar(order - 1n)))).toBe('result_invalid');
    expect(codeOf(() => curve.publicKeyAdd(generator, scalar(order - 1n)))).toBe('result_invalid');
    expect(codeOf(() => curve.publicKeyCombine([generator, negated]))).toBe('result_invalid');
    expect(curve.publicKeyCombine([generator, negated, generator])).toEqual(generator);
  });

  test('doubles a point that is added to itself', () => {
    expect(curve.publicKeyCombine([generator, generator])).toEqual(curve.publicKey(scalar(2n)));
    expect(curve.publicKeyAdd(generator, scalar(1n))).toEqual(curve.publicKey(scalar(2n)));
  });

  test('leaves its arguments as they were, also when they are views of a larger buffer', () => {
    const memory = new Uint8Array(200).fill(7);
    const key = memory.subarray(10, 42);
    const tweak = memory.subarray(60, 92);
    const point = memory.subarray(100, 133);
    point.set(generator);
    const before = memory.slice();
    curve.privateKeyAdd(key, tweak);
    curve.privateKeyMultiply(key, tweak);
    curve.privateKeyNegate(key);
    curve.publicKeyAdd(point, tweak);
    curve.publicKeyMultiply(point, tweak);
    curve.ecdh(point, key);
    curve.publicKeyCombine([point]).fill(0);
    curve.sign(tweak, key);
    expect(memory).toEqual(before);
  });

  test('refuses a hash or auxiliary data of another length', () => {
    for (const length of [0, 31, 33]) {
      const bytes = new Uint8Array(length);
      expect(codeOf(() => curve.sign(bytes, scalar(1n)))).toBe('hash_invalid');
      expect(codeOf(() => curve.signRecoverable(bytes, scalar(1n)))).toBe('hash_invalid');
      expect(codeOf(() => curve.signSchnorr(bytes, scalar(1n), zeros))).toBe('hash_invalid');
      expect(codeOf(() => curve.signSchnorr(zeros, scalar(1n), bytes))).toBe('auxiliary_invalid');
    }
  });

  test('threat 2: a signature with high S does not verify', () => {
    fc.assert(
      fc.property(keyArbitrary, hashArbitrary, (key, hash) => {
        const signature = curve.sign(hash, key);
        const s = BigInt(`0x${bytesToHex(signature.subarray(32))}`);
        expect(s <= order / 2n).toBe(true);
        const high = Uint8Array.from(signature);
        high.set(scalar(order - s), 32);
        const publicKey = curve.publicKey(key);
        expect(curve.verify(signature, hash, publicKey)).toBe(true);
        expect(curve.verify(high, hash, publicKey)).toBe(false);
      }),
      { numRuns: 20 },
    );
  });

  test('verifies nothing malformed, and does not throw', () => {
    const hash = sha256(zeros);
    const signature = curve.sign(hash, scalar(1n));
    const overflow = Uint8Array.from(signature);
    overflow.set(scalar(order), 0);
    const zeroS = Uint8Array.from(signature);
    zeroS.set(zeros, 32);
    const zeroR = Uint8Array.from(signature);
    zeroR.set(zeros, 0);
    for (const bad of [
      overflow,
      zeroS,
      zeroR,
      new Uint8Array(64),
      signature.subarray(1),
      new Uint8Array(65),
    ]) {
      expect(curve.verify(bad, hash, generator)).toBe(false);
    }
    for (const bad of badPoints) expect(curve.verify(signature, hash, bad)).toBe(false);
    expect(curve.verify(signature, hash.subarray(1), generator)).toBe(false);
    expect(curve.verify(signature, new Uint8Array(33), generator)).toBe(false);
    expect(curve.verify(signature, hash, generator)).toBe(true);
  });

  test('recovers the key of a recoverable signature', () => {
    fc.assert(
      fc.property(keyArbitrary, hashArbitrary, (key, hash) => {
        const { signature, recovery } = curve.signRecoverable(hash, key);
        expect(curve.recover(signature, recovery, hash)).toEqual(curve.publicKey(key));
        expect(signature).toEqual(curve.sign(hash, key));
      }),
      { numRuns: 20 },
    );
  });

  test('recovers the key of a signature with high S too, which BOLT 11 allows', () => {
    const { signature, recovery } = curve.signRecoverable(zeros, scalar(3n));
    const high = Uint8Array.from(signature);
    high.set(scalar(order - BigInt(`0x${bytesToHex(signature.subarray(32))}`)), 32);
    expect(curve.recover(high, recovery ^ 1, zeros)).toEqual(curve.publicKey(scalar(3n)));
  });

  test('threat 23: recovery refuses impossible signatures and recovery ids', () => {
    const { signature } = curve.signRecoverable(zeros, scalar(3n));
    for (const recovery of [-1, 4, 1.5, Number.NaN]) {
      expect(codeOf(() => curve.recover(signature, recovery, zeros))).toBe('signature_invalid');
    }
    expect(codeOf(() => curve.recover(signature, 2, zeros))).toBe('signature_invalid');
    expect(codeOf(() => curve.recover(new Uint8Array(64), 0, zeros))).toBe('signature_invalid');
    expect(codeOf(() => curve.recover(new Uint8Array(63), 0, zeros))).toBe('signature_invalid');
    expect(codeOf(() => curve.recover(signature, 0, zeros.subarray(1)))).toBe('hash_invalid');
  });

  test('makes and verifies the Schnorr signature of BIP 340, vector 0', () => {
    const signature = curve.signSchnorr(zeros, scalar(3n), zeros);
    const key = curve.publicKey(scalar(3n)).subarray(1);
    expect(bytesToHex(signature)).toBe(
      'e907831f80848d1069a5371b402410364bdf1c5f8307b0084c55f1ce2dca821525f66a4a85ea8b71e482a74f382d2ce5ebeee8fdb2172f477df4900d310536c0',
    );
    expect(curve.verifySchnorr(signature, zeros, key)).toBe(true);
    expect(curve.verifySchnorr(signature, scalar(1n), key)).toBe(false);
    expect(curve.verifySchnorr(signature.subarray(1), zeros, key)).toBe(false);
    expect(curve.verifySchnorr(signature, zeros.subarray(1), key)).toBe(false);
    expect(curve.verifySchnorr(signature, zeros, offCurve.subarray(1))).toBe(false);
    expect(curve.verifySchnorr(signature, zeros, key.subarray(1))).toBe(false);
  });

  test('still works after thousands of invalid points', () => {
    // The WebAssembly build runs out of stack after about 3,400 of them when they reach its operations.
    const signature = curve.sign(zeros, scalar(1n));
    for (let i = 0; i < 4_000; i++) {
      curve.verify(signature, zeros, offCurve);
      curve.verifySchnorr(signature, zeros, offCurve.subarray(1));
      codeOf(() => curve.ecdh(offCurve, scalar(1n)));
      codeOf(() => curve.publicKeyMultiply(offCurve, scalar(1n)));
      codeOf(() => curve.publicKeyAdd(offCurve, scalar(1n)));
      codeOf(() => curve.publicKeyCombine([generator, offCurve]));
    }
    expect(curve.verify(signature, zeros, generator)).toBe(true);
    expect(curve.publicKey(scalar(1n))).toEqual(generator);
  });
});

describe('all backends agree', () => {
  const outcome = (run: () => unknown): unknown => {
    try {
      return run();
    } catch (error) {
      return error instanceof CryptoError ? error.code : error;
    }
  };
  // Small and extreme scalars are frequent, so that sums hit zero and keys coincide.
  const edge = fc.oneof(
    fc.bigInt({ min: 0n, max: 3n }),
    fc.bigInt({ min: order - 3n, max: order + 3n }),
    fc.bigInt({ min: 1n, max: order - 1n }),
  );

  test('on every operation with arbitrary and extreme scalars', () => {
    fc.assert(
      fc.property(edge, edge, hashArbitrary, (a, b, hash) => {
        const key = scalar(a);
        const tweak = scalar(b);
        const point = outcome(() => nobleBackend.publicKey(key));
        const publicKey = point instanceof Uint8Array ? point : new Uint8Array(33);
        const other = outcome(() => nobleBackend.publicKey(tweak));
        const otherKey = other instanceof Uint8Array ? other : new Uint8Array(33);
        const results = backends.map((curve) => [
          outcome(() => curve.publicKey(key)),
          outcome(() => curve.privateKeyAdd(key, tweak)),
          outcome(() => curve.privateKeyMultiply(key, tweak)),
          outcome(() => curve.privateKeyNegate(key)),
          outcome(() => curve.publicKeyAdd(publicKey, tweak)),
          outcome(() => curve.publicKeyMultiply(publicKey, tweak)),
          outcome(() => curve.publicKeyCombine([publicKey, otherKey])),
          outcome(() => curve.ecdh(publicKey, tweak)),
          outcome(() => curve.sign(hash, key)),
          outcome(() => curve.signRecoverable(hash, key)),
          outcome(() => curve.signSchnorr(hash, key, hash)),
          outcome(() => curve.verify(nobleBackend.sign(hash, scalar(9n)), hash, publicKey)),
        ]);
        expect(results[0]).toEqual(results[2]);
        expect(results[1]).toEqual(results[2]);
      }),
      { numRuns: 60 },
    );
  });

  test('on whether arbitrary bytes are a public key', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.constantFrom(0, 2, 3, 4, 6),
        (x, prefix) => {
          const bytes = Uint8Array.of(prefix, ...x);
          const expected = nobleBackend.isPublicKey(bytes);
          expect(native.isPublicKey(bytes)).toBe(expected);
          expect(wasm.isPublicKey(bytes)).toBe(expected);
        },
      ),
    );
  });

  test('on signatures of one another', () => {
    fc.assert(
      fc.property(keyArbitrary, hashArbitrary, (key, hash) => {
        for (const signer of backends) {
          const signature = signer.sign(hash, key);
          const publicKey = signer.publicKey(key);
          for (const verifier of backends) expect(verifier.verify(signature, hash, publicKey)).toBe(true);
        }
      }),
      { numRuns: 20 },
    );
  });

  test('on the shared secret, from either side', () => {
    fc.assert(
      fc.property(keyArbitrary, keyArbitrary, (a, b) => {
        const expected = sha256(nobleBackend.publicKeyMultiply(nobleBackend.publicKey(a), b));
        for (const curve of backends) {
          expect(curve.ecdh(curve.publicKey(a), b)).toEqual(expected);
          expect(curve.ecdh(curve.publicKey(b), a)).toEqual(expected);
        }
      }),
      { numRuns: 20 },
    );
  });
});

describe('initCrypto', () => {
  let before: Secp256k1['name'];
  beforeAll(() => {
    before = activeBackendName();
  });
  afterAll(async () => {
    await initCrypto({ prefer: before });
  });

  test.each(['noble', 'wasm', 'native'] as const)(
    'serves every operation from %s when preferred',
    async (prefer) => {
      expect(await initCrypto({ prefer })).toBe(prefer);
      expect(activeBackendName()).toBe(prefer);
      expect(secp256k1.name).toBe(prefer);
      const key = scalar(7n);
      const publicKey = secp256k1.publicKey(key);
      expect(secp256k1.isPrivateKey(key)).toBe(true);
      expect(secp256k1.isPublicKey(publicKey)).toBe(true);
      expect(secp256k1.privateKeyAdd(key, key)).toEqual(scalar(14n));
      expect(secp256k1.privateKeyMultiply(key, key)).toEqual(scalar(49n));
      expect(secp256k1.privateKeyNegate(key)).toEqual(scalar(order - 7n));
      expect(secp256k1.publicKeyAdd(publicKey, scalar(1n))).toEqual(secp256k1.publicKey(scalar(8n)));
      expect(secp256k1.publicKeyMultiply(publicKey, key)).toEqual(secp256k1.publicKey(scalar(49n)));
      expect(secp256k1.publicKeyCombine([publicKey, publicKey])).toEqual(secp256k1.publicKey(scalar(14n)));
      expect(secp256k1.ecdh(publicKey, key)).toEqual(sha256(secp256k1.publicKey(scalar(49n))));
      expect(secp256k1.verify(secp256k1.sign(zeros, key), zeros, publicKey)).toBe(true);
      const { signature, recovery } = secp256k1.signRecoverable(zeros, key);
      expect(secp256k1.recover(signature, recovery, zeros)).toEqual(publicKey);
      const schnorr = secp256k1.signSchnorr(zeros, key, zeros);
      expect(secp256k1.verifySchnorr(schnorr, zeros, publicKey.subarray(1))).toBe(true);
    },
  );
});
