import { secp256k1 as noble, schnorr } from '@noble/curves/secp256k1.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { type CurveArguments, curveFailure, isNonZeroScalar } from './curveFailure.js';
import type { Secp256k1 } from './secp256k1.js';

const { Point } = noble;
const { Fn } = Point;
const raw = { prehash: false } as const;
const lowS = { prehash: false, lowS: true } as const;
const recovered = { prehash: false, lowS: true, format: 'recovered' } as const;

function attempt<T>(operation: string, given: CurveArguments, run: () => T): T {
  try {
    return run();
  } catch {
    throw curveFailure(operation, given);
  }
}

function point(bytes: Uint8Array) {
  // noble also reads uncompressed keys, which BOLTs never carry.
  if (bytes.length !== 33) throw new RangeError('not a compressed public key');
  return Point.fromBytes(bytes);
}

function nonZero(scalar: bigint): Uint8Array {
  if (scalar === 0n) throw new RangeError('zero');
  return Fn.toBytes(scalar);
}

/** The plain JavaScript implementation: slow, but works wherever JavaScript does. */
export const nobleBackend: Secp256k1 = {
  name: 'noble',

  isPrivateKey: isNonZeroScalar,

  isPublicKey: (publicKey) =>
    publicKey instanceof Uint8Array &&
    publicKey.length === 33 &&
    noble.utils.isValidPublicKey(publicKey, true),

  publicKey: (privateKey) => attempt('publicKey', { privateKey }, () => noble.getPublicKey(privateKey, true)),

  privateKeyAdd: (privateKey, tweak) =>
    attempt('privateKeyAdd', { privateKey, tweak }, () => {
      if (!isNonZeroScalar(privateKey)) throw new RangeError('key');
      return nonZero(Fn.add(Fn.fromBytes(privateKey), Fn.fromBytes(tweak)));
    }),

  privateKeyMultiply: (privateKey, tweak) =>
    attempt('privateKeyMultiply', { privateKey, tweak }, () => {
      if (!isNonZeroScalar(privateKey)) throw new RangeError('key');
      return nonZero(Fn.mul(Fn.fromBytes(privateKey), Fn.fromBytes(tweak)));
    }),

  privateKeyNegate: (privateKey) =>
    attempt('privateKeyNegate', { privateKey }, () => nonZero(Fn.neg(Fn.fromBytes(privateKey)))),

  publicKeyCombine: (publicKeys) =>
    attempt('publicKeyCombine', { publicKeys }, () =>
      publicKeys.reduce((sum, key) => sum.add(point(key)), Point.ZERO).toBytes(true),
    ),

  publicKeyAdd: (publicKey, tweak) =>
    attempt('publicKeyAdd', { publicKeys: [publicKey], tweak }, () => {
      const scalar = Fn.fromBytes(tweak);
      const base = point(publicKey);
      return (scalar === 0n ? base : base.add(Point.BASE.multiply(scalar))).toBytes(true);
    }),

  publicKeyMultiply: (publicKey, tweak) =>
    attempt('publicKeyMultiply', { publicKeys: [publicKey], tweak }, () =>
      point(publicKey).multiply(Fn.fromBytes(tweak)).toBytes(true),
    ),

  ecdh: (publicKey, privateKey) =>
    attempt('ecdh', { publicKeys: [publicKey], privateKey }, () =>
      sha256(point(publicKey).multiply(Fn.fromBytes(privateKey)).toBytes(true)),
    ),

  sign: (hash, privateKey) =>
    attempt('sign', { hash, privateKey }, () => {
      if (hash.length !== 32) throw new RangeError('hash');
      return noble.sign(hash, privateKey, lowS);
    }),

  verify: (signature, hash, publicKey) => {
    try {
      if (hash.length !== 32 || signature.length !== 64 || publicKey.length !== 33) return false;
      return noble.verify(signature, hash, publicKey, lowS);
    } catch {
      return false;
    }
  },

  signRecoverable: (hash, privateKey) =>
    attempt('signRecoverable', { hash, privateKey }, () => {
      if (hash.length !== 32) throw new RangeError('hash');
      const bytes = noble.sign(hash, privateKey, recovered);
      return { signature: bytes.slice(1), recovery: bytes[0] as number };
    }),

  recover: (signature, recovery, hash) =>
    attempt('recover', { signature, hash }, () => {
      if (hash.length !== 32 || signature.length !== 64) throw new RangeError('length');
      if (![0, 1, 2, 3].includes(recovery)) throw new RangeError('recovery');
      const bytes = new Uint8Array(65);
      bytes[0] = recovery;
      bytes.set(signature, 1);
      return noble.recoverPublicKey(bytes, hash, raw);
    }),

  signSchnorr: (hash, privateKey, auxiliary) =>
    attempt('signSchnorr', { hash, privateKey, auxiliary }, () => {
      if (hash.length !== 32) throw new RangeError('hash');
      return schnorr.sign(hash, privateKey, auxiliary);
    }),

  verifySchnorr: (signature, hash, xOnlyPublicKey) => {
    try {
      return hash.length === 32 && schnorr.verify(signature, hash, xOnlyPublicKey);
    } catch {
      return false;
    }
  },
};
