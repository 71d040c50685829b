import { sha256 } from '@noble/hashes/sha2.js';
import { type CurveArguments, curveFailure, isNonZeroScalar } from './curveFailure.js';
import { nobleBackend } from './nobleBackend.js';
import type { Secp256k1 } from './secp256k1.js';

/** libsecp256k1 as WebAssembly. Throws where WebAssembly is missing or forbidden. */
export async function loadWasmBackend(): Promise<Secp256k1> {
  const wasm = await import('tiny-secp256k1');

  // The WebAssembly code leaves its stack unbalanced when it meets an invalid point and throws, so
  // points are looked at first with the one function that answers instead of throwing.
  function requirePoint(publicKey: Uint8Array): void {
    if (!wasm.isPointCompressed(publicKey)) throw new RangeError('point');
  }

  function attempt(operation: string, given: CurveArguments, run: () => Uint8Array | null): Uint8Array {
    let result: Uint8Array | null;
    try {
      result = run();
    } catch {
      throw curveFailure(operation, given);
    }
    if (result === null) throw curveFailure(operation, given);
    return result;
  }

  return {
    name: 'wasm',

    isPrivateKey: isNonZeroScalar,

    isPublicKey: (publicKey) => wasm.isPointCompressed(publicKey),

    publicKey: (privateKey) =>
      attempt('publicKey', { privateKey }, () => wasm.pointFromScalar(privateKey, true)),

    privateKeyAdd: (privateKey, tweak) =>
      attempt('privateKeyAdd', { privateKey, tweak }, () => wasm.privateAdd(privateKey, tweak)),

    privateKeyMultiply: nobleBackend.privateKeyMultiply,

    privateKeyNegate: (privateKey) =>
      attempt('privateKeyNegate', { privateKey }, () => wasm.privateNegate(privateKey)),

    publicKeyCombine: (publicKeys) =>
      attempt('publicKeyCombine', { publicKeys }, () => {
        for (const key of publicKeys) requirePoint(key);
        // Null is the point at infinity, which a later key may leave again.
        let sum: Uint8Array | null = null;
        for (const key of publicKeys)
          sum = sum === null ? new Uint8Array(key) : wasm.pointAdd(sum, key, true);
        return sum;
      }),

    publicKeyAdd: (publicKey, tweak) =>
      attempt('publicKeyAdd', { publicKeys: [publicKey], tweak }, () => {
        requirePoint(publicKey);
        return wasm.pointAddScalar(publicKey, tweak, true);
      }),

    publicKeyMultiply: (publicKey, tweak) =>
      attempt('publicKeyMultiply', { publicKeys: [publicKey], tweak }, () => {
        requirePoint(publicKey);
        return wasm.pointMultiply(publicKey, tweak, true);
      }),

    ecdh: (publicKey, privateKey) =>
      sha256(
        attempt('ecdh', { publicKeys: [publicKey], privateKey }, () => {
          requirePoint(publicKey);
          return wasm.pointMultiply(publicKey, privateKey, true);
        }),
      ),

    sign: (hash, privateKey) => attempt('sign', { hash, privateKey }, () => wasm.sign(hash, privateKey)),

    verify: (signature, hash, publicKey) => {
      try {
        return wasm.isPointCompressed(publicKey) && wasm.verify(hash, publicKey, signature, true);
      } catch {
        return false;
      }
    },

    signRecoverable: (hash, privateKey) => {
      try {
        const { signature, recoveryId } = wasm.signRecoverable(hash, privateKey);
        return { signature, recovery: recoveryId };
      } catch {
        throw curveFailure('signRecoverable', { hash, privateKey });
      }
    },

    recover: nobleBackend.recover,

    signSchnorr: (hash, privateKey, auxiliary) =>
      attempt('signSchnorr', { hash, privateKey, auxiliary }, () =>
        wasm.signSchnorr(hash, privateKey, auxiliary),
      ),

    verifySchnorr: (signature, hash, xOnlyPublicKey) => {
      try {
        return wasm.isXOnlyPoint(xOnlyPublicKey) && wasm.verifySchnorr(hash, xOnlyPublicKey, signature);
      } catch {
        return false;
      }
    },
  };
}
