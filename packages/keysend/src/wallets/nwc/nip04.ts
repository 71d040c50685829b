import { cbc } from '@noble/ciphers/aes.js';
import { bytesToUtf8, utf8ToBytes } from '@rivulet/core/bytes';
import { base64 } from '@scure/base';
import { KeysendError } from '../../keysendError.js';

const maxPayloadLength = 1_000_000;

function broken(what: string): KeysendError {
  return new KeysendError('wallet_failed', `an encrypted message of NIP-04 ${what}`);
}

/**
 * NIP-04, for wallets that have nothing better: AES-256-CBC under the shared x coordinate. It authenticates nothing;
 * the signature of the event does.
 * @param iv 16 bytes, never used before.
 */
export function nip04Encrypt(plaintext: string, key: Uint8Array, iv: Uint8Array): string {
  return `${base64.encode(cbc(key, iv).encrypt(utf8ToBytes(plaintext)))}?iv=${base64.encode(iv)}`;
}

/** @throws KeysendError `wallet_failed` for whatever is no such message. */
export function nip04Decrypt(payload: string, key: Uint8Array): string {
  if (payload.length > maxPayloadLength) throw broken('is too long');
  const [ciphertext, iv, ...rest] = payload.split('?iv=');
  if (ciphertext === undefined || iv === undefined || rest.length > 0)
    throw broken('has no initialization vector');
  let plaintext: string | undefined;
  try {
    plaintext = bytesToUtf8(cbc(key, base64.decode(iv)).decrypt(base64.decode(ciphertext)));
  } catch {
    throw broken('does not decrypt');
  }
  if (plaintext === undefined) throw broken('is no UTF-8');
  return plaintext;
}
