import { CryptoError, decryptAead, encryptAead, hkdfSha256 } from '../crypto/index.js';
import { NoiseError, type NoiseErrorCode } from './noiseError.js';

const maxMessageLength = 65535;
const tagLength = 16;
const headerLength = 2 + tagLength;
const operationsPerKey = 1000;
const empty = new Uint8Array();

/** One direction's key: counts its uses and replaces itself as BOLT 8 says. */
class RotatingKey {
  #key: Uint8Array;
  #chainingKey: Uint8Array;
  #uses = 0;
  readonly #nonce = new Uint8Array(12);

  constructor(key: Uint8Array, chainingKey: Uint8Array) {
    this.#key = Uint8Array.from(key);
    this.#chainingKey = Uint8Array.from(chainingKey);
  }

  #used(): void {
    this.#uses++;
    if (this.#uses === operationsPerKey) {
      // BOLT 8: key rotation
      const derived = hkdfSha256(this.#chainingKey, this.#key, 64);
      this.#key.set(derived.subarray(32));
      this.#chainingKey.set(derived.subarray(0, 32));
      derived.fill(0);
      this.#uses = 0;
    }
    // The counter is little endian from the fifth byte on and never reaches its third byte.
    this.#nonce[4] = this.#uses & 0xff;
    this.#nonce[5] = this.#uses >> 8;
  }

  encrypt(plaintext: Uint8Array, output: Uint8Array): void {
    encryptAead({ key: this.#key, nonce: this.#nonce, plaintext, output });
    this.#used();
  }

  decrypt(ciphertext: Uint8Array): Uint8Array {
    const plaintext = decryptAead({ key: this.#key, nonce: this.#nonce, ciphertext });
    this.#used();
    return plaintext;
  }
}

/** Encrypts and decrypts the Lightning messages of one connection, after its handshake (BOLT 8). */
export class TransportCipher {
  readonly #sendKey: RotatingKey;
  readonly #receiveKey: RotatingKey;
  readonly #header = new Uint8Array(2);
  /** The length of the message whose header was read, while its body is awaited. */
  #bodyLength: number | undefined;
  /** The bytes of a header or body that has not arrived whole: `#partialLength` of them are set. */
  #partial: Uint8Array = empty;
  #partialLength = 0;
  #failed = false;

  constructor(keys: { chainingKey: Uint8Array; sendKey: Uint8Array; receiveKey: Uint8Array }) {
    this.#sendKey = new RotatingKey(keys.sendKey, keys.chainingKey);
    this.#receiveKey = new RotatingKey(keys.receiveKey, keys.chainingKey);
  }

  /**
   * The packets of one or more messages, joined, for one write to the connection.
   * @throws NoiseError `message_too_long` above 65535 bytes; nothing is encrypted then.
   */
  encrypt(...messages: readonly Uint8Array[]): Uint8Array {
    let length = 0;
    for (const message of messages) {
      // BOLT 8: the maximum size of any Lightning message MUST NOT exceed 65535 bytes
      if (message.length > maxMessageLength) {
        throw new NoiseError(
          'message_too_long',
          `a message of ${message.length} bytes cannot be sent: the most is ${maxMessageLength}`,
        );
      }
      length += headerLength + message.length + tagLength;
    }
    const packets = new Uint8Array(length);
    let offset = 0;
    for (const message of messages) {
      this.#header[0] = message.length >> 8;
      this.#header[1] = message.length & 0xff;
      const bodyStart = offset + headerLength;
      const bodyEnd = bodyStart + message.length + tagLength;
      this.#sendKey.encrypt(this.#header, packets.subarray(offset, bodyStart));
      this.#sendKey.encrypt(message, packets.subarray(bodyStart, bodyEnd));
      offset = bodyEnd;
    }
    return packets;
  }

  /**
   * Takes the next bytes from the connection, of any number, and returns the messages that are whole now.
   * Holds back at most one packet. An altered byte ends the session: the messages of that chunk are lost,
   * as if the connection had broken before them, and every later call throws `session_failed`.
   * @throws NoiseError
   */
  decrypt(chunk: Uint8Array): Uint8Array[] {
    if (this.#failed) {
      throw new NoiseError('session_failed', 'the session failed earlier: close the connection');
    }
    const messages: Uint8Array[] = [];
    let offset = 0;
    while (offset < chunk.length) {
      const wanted = this.#bodyLength === undefined ? headerLength : this.#bodyLength + tagLength;
      let ciphertext: Uint8Array;
      if (this.#partialLength === 0 && chunk.length - offset >= wanted) {
        ciphertext = chunk.subarray(offset, offset + wanted);
        offset += wanted;
      } else {
        if (this.#partialLength === 0) this.#partial = new Uint8Array(wanted);
        const taken = Math.min(wanted - this.#partialLength, chunk.length - offset);
        this.#partial.set(chunk.subarray(offset, offset + taken), this.#partialLength);
        this.#partialLength += taken;
        offset += taken;
        if (this.#partialLength < wanted) break;
        ciphertext = this.#partial;
        this.#partial = empty;
        this.#partialLength = 0;
      }
      if (this.#bodyLength === undefined) {
        const header = this.#open(ciphertext, 'length_bad_tag');
        this.#bodyLength = ((header[0] as number) << 8) | (header[1] as number);
      } else {
        messages.push(this.#open(ciphertext, 'message_bad_tag'));
        this.#bodyLength = undefined;
      }
    }
    return messages;
  }

  #open(ciphertext: Uint8Array, code: NoiseErrorCode): Uint8Array {
    try {
      return this.#receiveKey.decrypt(ciphertext);
    } catch (error) {
      this.#failed = true;
      this.#partial = empty;
      if (!(error instanceof CryptoError)) throw error;
      throw new NoiseError(code, 'a packet from the peer is not authentic: close the connection');
    }
  }
}
