import { Point, recoverPublicKey, verify } from '@noble/secp256k1';
import { concatBytes } from '../bytes/bytes.js';
import { CryptoError } from './cryptoError.js';
import type { PublicCurve } from './publicCurve.js';

/** The message is its hash already. */
const ofHash = { prehash: false } as const;

/**
 * What everybody may compute of the curve, by the smallest of the audited libraries, for where a whole implementation is
 * too much to load (browsers). It is given no secrets.
 */
export const smallCurve: PublicCurve = {
  isPublicKey(publicKey) {
    if (!(publicKey instanceof Uint8Array) || publicKey.length !== 33) return false;
    try {
      Point.fromBytes(publicKey).assertValidity();
      return true;
    } catch {
      return false;
    }
  },

  verify(signature, hash, publicKey) {
    if (signature.length !== 64 || hash.length !== 32 || publicKey.length !== 33) return false;
    try {
      return verify(signature, hash, publicKey, ofHash);
    } catch {
      return false;
    }
  },

  recover(signature, recovery, hash) {
    if (hash.length !== 32) throw new CryptoError('hash_invalid', 'recover: the hash is not 32 bytes');
    try {
      if (signature.length !== 64 || ![0, 1, 2, 3].includes(recovery)) throw new RangeError('signature');
      return recoverPublicKey(concatBytes(Uint8Array.of(recovery), signature), hash, ofHash);
    } catch {
      throw new CryptoError('signature_invalid', 'recover: no key can have made this signature');
    }
  },
};
