import { curveFailure, isNonZeroScalar } from './curveFailure.js';
import { nobleBackend } from './nobleBackend.js';
import type { Secp256k1 } from './secp256k1.js';

/** The bindings calculate with zero and with keys past the order without complaint. */
function requirePrivateKey(privateKey: Uint8Array): void {
  if (!isNonZeroScalar(privateKey)) throw new RangeError('key');
}

/**
 * libsecp256k1 compiled for this machine. Throws where no prebuilt binary loads.
 * Schnorr signatures, which the binary lacks, are borrowed from noble.
 */
export async function loadNativeBackend(): Promise<Secp256k1> {
  // The bindings, not the package's main file: that one falls back to `elliptic` in silence.
  const { default: native } = await import(
    /* webpackIgnore: true */ /* @vite-ignore */ 'secp256k1/bindings.js'
  );

  // Private keys are copied before they are handed to the bindings that write into their argument.
  return {
    name: 'native',

    isPrivateKey: nobleBackend.isPrivateKey,

    isPublicKey(publicKey) {
      return publicKey instanceof Uint8Array && publicKey.length === 33 && native.publicKeyVerify(publicKey);
    },

    publicKey(privateKey) {
      try {
        return native.publicKeyCreate(privateKey, true);
      } catch {
        throw curveFailure('publicKey', { privateKey });
      }
    },

    privateKeyAdd(privateKey, tweak) {
      try {
        requirePrivateKey(privateKey);
        return native.privateKeyTweakAdd(new Uint8Array(privateKey), tweak);
      } catch {
        throw curveFailure('privateKeyAdd', { privateKey, tweak });
      }
    },

    privateKeyMultiply(privateKey, tweak) {
      try {
        requirePrivateKey(privateKey);
        return native.privateKeyTweakMul(new Uint8Array(privateKey), tweak);
      } catch {
        throw curveFailure('privateKeyMultiply', { privateKey, tweak });
      }
    },

    privateKeyNegate(privateKey) {
      try {
        requirePrivateKey(privateKey);
        return native.privateKeyNegate(new Uint8Array(privateKey));
      } catch {
        throw curveFailure('privateKeyNegate', { privateKey });
      }
    },

    publicKeyCombine(publicKeys) {
      try {
        for (const key of publicKeys) if (key.length !== 33) throw new RangeError('uncompressed');
        return native.publicKeyCombine(publicKeys, true);
      } catch {
        throw curveFailure('publicKeyCombine', { publicKeys });
      }
    },

    publicKeyAdd(publicKey, tweak) {
      try {
        if (publicKey.length !== 33) throw new RangeError('uncompressed');
        return native.publicKeyTweakAdd(publicKey, tweak, true);
      } catch {
        throw curveFailure('publicKeyAdd', { publicKeys: [publicKey], tweak });
      }
    },

    publicKeyMultiply(publicKey, tweak) {
      try {
        if (publicKey.length !== 33) throw new RangeError('uncompressed');
        return native.publicKeyTweakMul(publicKey, tweak, true);
      } catch {
        throw curveFailure('publicKeyMultiply', { publicKeys: [publicKey], tweak });
      }
    },

    ecdh(publicKey, privateKey) {
      try {
        if (publicKey.length !== 33) throw new RangeError('uncompressed');
        return native.ecdh(publicKey, privateKey);
      } catch {
        throw curveFailure('ecdh', { publicKeys: [publicKey], privateKey });
      }
    },

    sign(hash, privateKey) {
      try {
        return native.ecdsaSign(hash, privateKey).signature;
      } catch {
        throw curveFailure('sign', { hash, privateKey });
      }
    },

    verify(signature, hash, publicKey) {
      try {
        return publicKey.length === 33 && native.ecdsaVerify(signature, hash, publicKey);
      } catch {
        return false;
      }
    },

    signRecoverable(hash, privateKey) {
      try {
        const { signature, recid } = native.ecdsaSign(hash, privateKey);
        return { signature, recovery: recid };
      } catch {
        throw curveFailure('signRecoverable', { hash, privateKey });
      }
    },

    recover(signature, recovery, hash) {
      try {
        // The binding would cut off a fraction.
        if (!Number.isInteger(recovery)) throw new RangeError('recovery');
        return native.ecdsaRecover(signature, recovery, hash, true);
      } catch {
        throw curveFailure('recover', { signature, hash });
      }
    },

    signSchnorr: nobleBackend.signSchnorr,
    verifySchnorr: nobleBackend.verifySchnorr,
  };
}
