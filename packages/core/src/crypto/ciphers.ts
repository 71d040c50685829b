import { chacha20poly1305, chacha20 as nobleChacha20 } from '@noble/ciphers/chacha.js';
import { CryptoError } from './cryptoError.js';

const tagLength = 16;

function requireKeyAndNonce(key: Uint8Array, nonce: Uint8Array): void {
  if (key.length !== 32) throw new CryptoError('cipher_argument_invalid', 'the cipher key is not 32 bytes');
  if (nonce.length !== 12) throw new CryptoError('cipher_argument_invalid', 'the nonce is not 12 bytes');
}

/**
 * ChaCha20 as in RFC 8439 (12-byte nonce, counter from 0): `data` exclusive-ored with the key stream, in
 * a new array or in `output`, which may be `data` itself.
 */
export function chacha20({
  key,
  nonce,
  data,
  output,
}: {
  key: Uint8Array;
  nonce: Uint8Array;
  data: Uint8Array;
  output?: Uint8Array;
}): Uint8Array {
  requireKeyAndNonce(key, nonce);
  return output === undefined ? nobleChacha20(key, nonce, data) : nobleChacha20(key, nonce, data, output);
}

export interface AeadInput {
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** 12 bytes; never twice with the same key. */
  readonly nonce: Uint8Array;
  /** Authenticated but not encrypted. */
  readonly associatedData?: Uint8Array;
}

/** ChaCha20-Poly1305 as in RFC 8439: the ciphertext and its 16-byte tag, in a new array or in `output`. */
export function encryptAead(input: AeadInput & { plaintext: Uint8Array; output?: Uint8Array }): Uint8Array {
  const { key, nonce, associatedData, plaintext, output } = input;
  requireKeyAndNonce(key, nonce);
  return chacha20poly1305(key, nonce, associatedData).encrypt(plaintext, output);
}

/**
 * The inverse of `encryptAead`.
 * @throws CryptoError `cipher_tag_invalid` where the ciphertext is not authentic.
 */
export function decryptAead(input: AeadInput & { ciphertext: Uint8Array }): Uint8Array {
  const { key, nonce, associatedData, ciphertext } = input;
  requireKeyAndNonce(key, nonce);
  if (ciphertext.length >= tagLength) {
    try {
      return chacha20poly1305(key, nonce, associatedData).decrypt(ciphertext);
    } catch {
      // The only way in which noble fails once the lengths are right.
    }
  }
  throw new CryptoError('cipher_tag_invalid', 'the ciphertext is not authentic');
}
