import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { ripemd160 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';

export { ripemd160, sha256 };

/** Bitcoin's double SHA-256. */
export function sha256d(data: Uint8Array): Uint8Array {
  return sha256(sha256(data));
}

/** RIPEMD-160 of SHA-256. */
export function hash160(data: Uint8Array): Uint8Array {
  return ripemd160(sha256(data));
}

/** HMAC-SHA-256 of the parts, one after the other. */
export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const state = hmac.create(sha256, key);
  for (const part of parts) state.update(part);
  return state.digest();
}

/** HKDF-SHA-256 of RFC 5869 with an empty `info`. */
export function hkdfSha256(salt: Uint8Array, inputKey: Uint8Array, length: number): Uint8Array {
  return hkdf(sha256, inputKey, salt, undefined, length);
}
