import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';

/** The hashes that each payment needs, so that a platform's own can take their place. */
export interface Hashes {
  sha256(data: Uint8Array): Uint8Array;
  hmacSha256(key: Uint8Array, parts: readonly Uint8Array[]): Uint8Array;
}

export const portableHashes: Hashes = {
  sha256: (data) => sha256(data),
  hmacSha256(key, parts) {
    const state = hmac.create(sha256, key);
    for (const part of parts) state.update(part);
    return state.digest();
  },
};

// Apart from the ciphers, so that who only hashes need not load them.
let active = portableHashes;

export function activeHashes(): Hashes {
  return active;
}

export function setHashes(hashes: Hashes): void {
  active = hashes;
}
