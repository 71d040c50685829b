import { secp256k1 } from '@noble/curves/secp256k1.js';
import {
  bytesToHex,
  bytesToUtf8,
  concatBytes,
  equalBytesConstantTime,
  hexToBytes,
  utf8ToBytes,
} from '@rivulet/core/bytes';
import { chacha20, hmacSha256 } from '@rivulet/core/crypto';
import { base64 } from '@scure/base';
import { KeysendError } from '../../keysendError.js';

/** Far above what a relay takes (NIP-47: 64 kB); bounds what a stranger's payload costs. */
const maxPayloadLength = 1_000_000;
const extendedFrom = 65_536;

function broken(what: string): KeysendError {
  return new KeysendError('wallet_failed', `an encrypted message of NIP-44 ${what}`);
}

/**
 * The x coordinate of the point that only two keys share; not hashed, as Nostr has it.
 * @param publicKey 64 hex digits (x only).
 */
export function sharedX(secretKey: Uint8Array, publicKey: string): Uint8Array {
  return secp256k1.getSharedSecret(secretKey, hexToBytes(`02${publicKey}`), true).subarray(1);
}

/** NIP-44 version 2: the key of everything that these two say to each other. */
export function nip44Key(secretKey: Uint8Array, publicKey: string): Uint8Array {
  return hmacSha256(utf8ToBytes('nip44-v2'), sharedX(secretKey, publicKey));
}

interface MessageKeys {
  readonly cipherKey: Uint8Array;
  readonly cipherNonce: Uint8Array;
  readonly macKey: Uint8Array;
}

/** NIP-44: HKDF-expand of the conversation key with the nonce, to 76 bytes. */
export function nip44MessageKeys(conversationKey: Uint8Array, nonce: Uint8Array): MessageKeys {
  if (conversationKey.length !== 32) throw broken('needs a conversation key of 32 bytes');
  if (nonce.length !== 32) throw broken('needs a nonce of 32 bytes');
  let block: Uint8Array = new Uint8Array(0);
  let stream: Uint8Array = new Uint8Array(0);
  for (let counter = 1; stream.length < 76; counter++) {
    block = hmacSha256(conversationKey, block, nonce, Uint8Array.of(counter));
    stream = concatBytes(stream, block);
  }
  return {
    cipherKey: stream.slice(0, 32),
    cipherNonce: stream.slice(32, 44),
    macKey: stream.slice(44, 76),
  };
}

/** NIP-44: how long the text is once its length is hidden, without the prefix that tells it. */
export function nip44PaddedLength(length: number): number {
  if (length <= 32) return 32;
  const nextPower = 2 ** (Math.floor(Math.log2(length - 1)) + 1);
  const chunk = nextPower <= 256 ? 32 : nextPower / 8;
  return chunk * (Math.floor((length - 1) / chunk) + 1);
}

/** @param nonce 32 bytes, never used before. */
export function nip44Encrypt(plaintext: string, conversationKey: Uint8Array, nonce: Uint8Array): string {
  const text = utf8ToBytes(plaintext);
  if (text.length === 0) throw broken('may not be empty');
  const prefix = new Uint8Array(text.length < extendedFrom ? 2 : 6);
  if (prefix.length === 2) new DataView(prefix.buffer).setUint16(0, text.length);
  else new DataView(prefix.buffer).setUint32(2, text.length);
  const padded = concatBytes(prefix, text, new Uint8Array(nip44PaddedLength(text.length) - text.length));
  const { cipherKey, cipherNonce, macKey } = nip44MessageKeys(conversationKey, nonce);
  const ciphertext = chacha20({ key: cipherKey, nonce: cipherNonce, data: padded });
  const mac = hmacSha256(macKey, nonce, ciphertext);
  return base64.encode(concatBytes(Uint8Array.of(2), nonce, ciphertext, mac));
}

/** @throws KeysendError `wallet_failed` where the payload is not one, or not from who has the key. */
export function nip44Decrypt(payload: string, conversationKey: Uint8Array): string {
  if (payload.length === 0 || payload.startsWith('#')) throw broken('has an unknown version');
  if (payload.length < 132) throw broken('is too short');
  if (payload.length > maxPayloadLength) throw broken('is too long');
  let data: Uint8Array;
  try {
    data = base64.decode(payload);
  } catch {
    throw broken('is no base64');
  }
  if (data[0] !== 2) throw broken('has an unknown version');
  if (data.length < 99) throw broken('is too short');
  const nonce = data.subarray(1, 33);
  const ciphertext = data.subarray(33, data.length - 32);
  const { cipherKey, cipherNonce, macKey } = nip44MessageKeys(conversationKey, nonce);
  const mac = hmacSha256(macKey, nonce, ciphertext);
  if (!equalBytesConstantTime(mac, data.subarray(data.length - 32))) throw broken('is not authentic');
  return unpad(chacha20({ key: cipherKey, nonce: cipherNonce, data: ciphertext }));
}

function unpad(padded: Uint8Array): string {
  const view = new DataView(padded.buffer, padded.byteOffset, padded.byteLength);
  const short = view.getUint16(0);
  const prefix = short === 0 ? 6 : 2;
  const length = short === 0 ? view.getUint32(2) : short;
  if (length === 0 || (prefix === 6 && length < extendedFrom)) throw broken('has wrong padding');
  const text = padded.subarray(prefix, prefix + length);
  if (text.length !== length || padded.length !== prefix + nip44PaddedLength(length)) {
    throw broken('has wrong padding');
  }
  const plaintext = bytesToUtf8(text);
  if (plaintext === undefined) throw broken('is no UTF-8');
  return plaintext;
}

/** The x-only public key of a secret key, 64 hex digits. */
export function nostrPublicKey(secretKey: Uint8Array): string {
  return bytesToHex(secp256k1.getPublicKey(secretKey, true).subarray(1));
}
