import { chacha20, chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { equalBytes } from '../bytes/bytes.js';
import { hexToBytes } from '../bytes/hex.js';
import { type Hashes, portableHashes, setHashes } from './activeHashes.js';
import { CryptoError } from './cryptoError.js';

/**
 * The hashes and ciphers that each payment takes kilobytes of, so that a platform's own can take their place.
 * Lengths of keys (32) and nonces (12) were checked before. Results are Uint8Arrays with a buffer of their own.
 */
export interface SymmetricCrypto extends Hashes {
  readonly name: string;
  /** RFC 8439, the counter from 0; into `output` where it is given, which may be `data` itself. */
  chacha20(input: {
    key: Uint8Array;
    nonce: Uint8Array;
    data: Uint8Array;
    output?: Uint8Array | undefined;
  }): Uint8Array;
  /** The ciphertext with its 16-byte tag; into `output` where it is given. */
  encryptAead(input: {
    key: Uint8Array;
    nonce: Uint8Array;
    associatedData?: Uint8Array | undefined;
    plaintext: Uint8Array;
    output?: Uint8Array | undefined;
  }): Uint8Array;
  /** Of at least 16 bytes; `undefined` where the ciphertext is not authentic. */
  decryptAead(input: {
    key: Uint8Array;
    nonce: Uint8Array;
    associatedData?: Uint8Array | undefined;
    ciphertext: Uint8Array;
  }): Uint8Array | undefined;
}

const portable: SymmetricCrypto = {
  name: 'noble',
  ...portableHashes,
  chacha20: ({ key, nonce, data, output }) =>
    output === undefined ? chacha20(key, nonce, data) : chacha20(key, nonce, data, output),
  encryptAead: ({ key, nonce, associatedData, plaintext, output }) =>
    chacha20poly1305(key, nonce, associatedData).encrypt(plaintext, output),
  decryptAead({ key, nonce, associatedData, ciphertext }) {
    try {
      return chacha20poly1305(key, nonce, associatedData).decrypt(ciphertext);
    } catch {
      // The only way in which noble fails once the lengths are right.
      return undefined;
    }
  },
};

let active = portable;

/** The implementation in use: plain JavaScript until another one was set. */
export function symmetricCrypto(): SymmetricCrypto {
  return active;
}

const knownKey = new Uint8Array(32).fill(0x42);
const knownNonce = Uint8Array.of(0, 0, 0, 0, 7, 1, 0, 0, 0, 0, 0, 0);
// FIPS 180-4: "abc"
const abc = Uint8Array.of(0x61, 0x62, 0x63);
const abcHash = hexToBytes('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');

/** What every implementation must agree in, over lengths around the blocks' ends. */
function agrees(candidate: SymmetricCrypto): boolean {
  for (const length of [0, 1, 2, 55, 63, 64, 65, 127, 300, 1366]) {
    const data = new Uint8Array(length).fill(length & 0xff);
    const given = { key: knownKey, nonce: knownNonce, data };
    const sealed = portable.encryptAead({ ...given, associatedData: abc, plaintext: data });
    const opened = candidate.decryptAead({ ...given, associatedData: abc, ciphertext: sealed });
    const into = new Uint8Array(sealed.length);
    candidate.encryptAead({ ...given, associatedData: abc, plaintext: data, output: into });
    const same =
      equalBytes(candidate.sha256(data), portable.sha256(data)) &&
      equalBytes(candidate.hmacSha256(abc, [data, abc]), portable.hmacSha256(abc, [data, abc])) &&
      equalBytes(candidate.chacha20(given), portable.chacha20(given)) &&
      equalBytes(into, sealed) &&
      opened !== undefined &&
      equalBytes(opened, data);
    sealed[0] = (sealed[0] as number) ^ 1;
    const forged = candidate.decryptAead({ ...given, associatedData: abc, ciphertext: sealed });
    if (!same || forged !== undefined) return false;
  }
  return equalBytes(candidate.sha256(abc), abcHash);
}

/**
 * Takes the platform's own hashes and ciphers from now on.
 * @throws CryptoError `backend_unusable` where they compute something else than ours; nothing changes then.
 */
export function setSymmetricCrypto(candidate: SymmetricCrypto): void {
  if (!agrees(candidate)) {
    throw new CryptoError(
      'backend_unusable',
      `the hashes and ciphers of ${candidate.name} failed their self-test`,
    );
  }
  active = candidate;
  setHashes(candidate);
}
