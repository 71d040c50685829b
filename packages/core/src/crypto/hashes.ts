import { hkdf } from '@noble/hashes/hkdf.js';
import { ripemd160 } from '@noble/hashes/legacy.js';
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import { activeHashes } from './activeHashes.js';

export { ripemd160 };

export function sha256(data: Uint8Array): Uint8Array {
  return activeHashes().sha256(data);
}

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
  return activeHashes().hmacSha256(key, parts);
}

/** HKDF-SHA-256 of RFC 5869 with an empty `info`. */
export function hkdfSha256(salt: Uint8Array, inputKey: Uint8Array, length: number): Uint8Array {
  return hkdf(nobleSha256, inputKey, salt, undefined, length);
}
