import type { Secp256k1 } from './secp256k1.js';
import { smallCurve } from './smallCurve.js';

/** What of the curve needs no secret. */
export type PublicCurve = Pick<Secp256k1, 'isPublicKey' | 'verify' | 'recover'>;

let active: PublicCurve = smallCurve;

export function setPublicCurve(curve: PublicCurve): void {
  active = curve;
}

/**
 * The part of the curve that needs no secret, for code that reads what others signed: the same implementation as that
 * of `secp256k1` once `initCrypto` has picked one, and until then a small one, so that a browser need not load more.
 */
export const publicCurve: PublicCurve = {
  isPublicKey: (publicKey) => active.isPublicKey(publicKey),
  verify: (signature, hash, publicKey) => active.verify(signature, hash, publicKey),
  recover: (signature, recovery, hash) => active.recover(signature, recovery, hash),
};
