import { CryptoError } from './cryptoError.js';
import { symmetricCrypto } from './symmetric.js';

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
  return symmetricCrypto().chacha20({ key, nonce, data, output });
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
  requireKeyAndNonce(input.key, input.nonce);
  return symmetricCrypto().encryptAead(input);
}

/**
 * The inverse of `encryptAead`.
 * @throws CryptoError `cipher_tag_invalid` where the ciphertext is not authentic.
 */
export function decryptAead(input: AeadInput & { ciphertext: Uint8Array }): Uint8Array {
  requireKeyAndNonce(input.key, input.nonce);
  const plaintext = input.ciphertext.length >= tagLength ? symmetricCrypto().decryptAead(input) : undefined;
  if (plaintext === undefined) {
    throw new CryptoError('cipher_tag_invalid', 'the ciphertext is not authentic');
  }
  return plaintext;
}
