import { utf8ToBytes } from '../bytes/bytes.js';
import { chacha20, hmacSha256 } from '../crypto/index.js';

const keyTypes = {
  rho: utf8ToBytes('rho'),
  mu: utf8ToBytes('mu'),
  um: utf8ToBytes('um'),
  pad: utf8ToBytes('pad'),
  ammag: utf8ToBytes('ammag'),
};
const nonce = new Uint8Array(12);

/** BOLT 4, key generation: the key of one purpose from a hop's shared secret. */
export function onionKey(purpose: keyof typeof keyTypes, secret: Uint8Array): Uint8Array {
  return hmacSha256(keyTypes[purpose], secret);
}

/** Exclusive-ors `data`, in place, with the pseudo-random byte stream of a key (BOLT 4). */
export function applyStream(key: Uint8Array, data: Uint8Array): void {
  chacha20({ key, nonce, data, output: data });
}

/** The first `length` bytes of the pseudo-random byte stream of a key (BOLT 4). */
export function streamBytes(key: Uint8Array, length: number): Uint8Array {
  return chacha20({ key, nonce, data: new Uint8Array(length) });
}
