import { concatBytes, utf8ToBytes } from '../bytes/bytes.js';
import { decryptAead, encryptAead } from '../crypto/ciphers.js';
import { hkdfSha256, sha256 } from '../crypto/hashes.js';

// BOLT 8: handshake state initialization
const initialChainingKey = sha256(utf8ToBytes('Noise_XK_secp256k1_ChaChaPoly_SHA256'));
const initialHash = sha256(concatBytes(initialChainingKey, utf8ToBytes('lightning')));
const empty = new Uint8Array();

/** The nonce of a counter: four zero bytes and the 64-bit counter, little endian. */
function nonceOf(counter: 0 | 1): Uint8Array {
  const nonce = new Uint8Array(12);
  nonce[4] = counter;
  return nonce;
}

/** The running state of a handshake: the chaining key, the hash of the transcript and the act's key. */
export class SymmetricState {
  #chainingKey: Uint8Array = initialChainingKey;
  #hash: Uint8Array = initialHash;
  #key: Uint8Array = empty;

  constructor(responderPublicKey: Uint8Array) {
    this.mixHash(responderPublicKey);
  }

  mixHash(data: Uint8Array): void {
    this.#hash = sha256(concatBytes(this.#hash, data));
  }

  mixKey(sharedSecret: Uint8Array): void {
    const derived = hkdfSha256(this.#chainingKey, sharedSecret, 64);
    this.#chainingKey = derived.slice(0, 32);
    this.#key = derived.slice(32);
  }

  /** Encrypts with the transcript as associated data, and adds the ciphertext to the transcript. */
  encrypt(counter: 0 | 1, plaintext: Uint8Array): Uint8Array {
    const nonce = nonceOf(counter);
    const ciphertext = encryptAead({ key: this.#key, nonce, associatedData: this.#hash, plaintext });
    this.mixHash(ciphertext);
    return ciphertext;
  }

  /** @throws CryptoError `cipher_tag_invalid` */
  decrypt(counter: 0 | 1, ciphertext: Uint8Array): Uint8Array {
    const nonce = nonceOf(counter);
    const plaintext = decryptAead({ key: this.#key, nonce, associatedData: this.#hash, ciphertext });
    this.mixHash(ciphertext);
    return plaintext;
  }

  /** The two transport keys: the initiator sends with the first and receives with the second. */
  split(): { chainingKey: Uint8Array; initiatorKey: Uint8Array; responderKey: Uint8Array } {
    const keys = hkdfSha256(this.#chainingKey, empty, 64);
    return {
      chainingKey: this.#chainingKey,
      initiatorKey: keys.slice(0, 32),
      responderKey: keys.slice(32),
    };
  }
}
