import { createCipheriv, createDecipheriv, createHmac, hash } from 'node:crypto';
import { type SymmetricCrypto, setSymmetricCrypto } from '@rivulet/core/crypto';

const tagLength = 16;
const aead = 'chacha20-poly1305';
const options = { authTagLength: tagLength };

/** The same bytes, not as a Buffer: its `slice` would share memory. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}

/** OpenSSL's hashes and ciphers: two to four times as fast as plain JavaScript, more for what is long. */
export const opensslCrypto: SymmetricCrypto = {
  name: 'openssl',

  sha256: (data) => plain(hash('sha256', data, 'buffer')),

  hmacSha256(key, parts) {
    const state = createHmac('sha256', key);
    for (const part of parts) state.update(part);
    return plain(state.digest());
  },

  chacha20({ key, nonce, data, output }) {
    // OpenSSL's nonce begins with the counter: 32 bits, little endian.
    const counterAndNonce = new Uint8Array(16);
    counterAndNonce.set(nonce, 4);
    const result = plain(createCipheriv('chacha20', key, counterAndNonce).update(data));
    if (output === undefined) return result;
    output.set(result);
    return output;
  },

  encryptAead({ key, nonce, associatedData, plaintext, output }) {
    const cipher = createCipheriv(aead, key, nonce, options);
    if (associatedData !== undefined) cipher.setAAD(associatedData, { plaintextLength: plaintext.length });
    const result = output ?? new Uint8Array(plaintext.length + tagLength);
    if (plaintext.length > 0) result.set(cipher.update(plaintext));
    cipher.final();
    result.set(cipher.getAuthTag(), plaintext.length);
    return result;
  },

  decryptAead({ key, nonce, associatedData, ciphertext }) {
    const length = ciphertext.length - tagLength;
    const decipher = createDecipheriv(aead, key, nonce, options);
    decipher.setAuthTag(ciphertext.subarray(length));
    if (associatedData !== undefined) decipher.setAAD(associatedData, { plaintextLength: length });
    const plaintext = decipher.update(ciphertext.subarray(0, length));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return plain(plaintext);
  },
};

let tried = false;

/** Uses OpenSSL where it has all that is needed; a build of Node.js without ChaCha20 stays with JavaScript. */
export function useOpensslCrypto(): void {
  if (tried) return;
  tried = true;
  try {
    setSymmetricCrypto(opensslCrypto);
  } catch {
    // Slower, and as good.
  }
}
