import { RivuletError } from '../bytes/rivuletError.js';

export type CryptoErrorCode =
  | 'private_key_invalid'
  | 'public_key_invalid'
  | 'tweak_invalid'
  | 'hash_invalid'
  | 'signature_invalid'
  | 'auxiliary_invalid'
  /** Every argument is valid, but their sum or product is zero or the point at infinity. */
  | 'result_invalid'
  | 'cipher_argument_invalid'
  /** A ciphertext that was not made with this key, nonce and associated data, or was altered. */
  | 'cipher_tag_invalid'
  /** The curve's implementation failed its self-test. */
  | 'backend_unusable';

/** A malformed or impossible argument of a cryptographic operation. Never holds a secret. */
export class CryptoError extends RivuletError<CryptoErrorCode> {}
