import { bytesToHex, concatBytes, equalBytesConstantTime, utf8ToBytes } from '@rivulet/core/bytes';
import { hmacSha256, sha256 } from '@rivulet/core/crypto';
import { base64urlnopad } from '@scure/base';

// 1 byte version, 16 bytes id, 16 bytes of the hash of what it is for (zeros: for anything), 6 bytes Unix seconds until
// when to pay, 16 bytes of HMAC-SHA256 over all that.
const version = 1;
const bodyLength = 39;
const macLength = 16;

/** What a paywall asks to be paid with, and takes back as the proof. */
export interface PaywallToken {
  /** 32 hex digits. */
  readonly id: string;
  /** As it travels in the record. */
  readonly bytes: Uint8Array;
  /** As it travels in headers. */
  readonly text: string;
  readonly expiresAtMs: number;
}

export class PaywallTokens {
  readonly #secret: Uint8Array;

  constructor(secret: Uint8Array) {
    this.#secret = secret;
  }

  create(given: { id: Uint8Array; resource: string | undefined; expiresAtMs: number }): PaywallToken {
    const { id, resource, expiresAtMs } = given;
    const seconds = new DataView(new ArrayBuffer(8));
    seconds.setBigUint64(0, BigInt(Math.floor(expiresAtMs / 1000)));
    const body = concatBytes(
      Uint8Array.of(version),
      id.subarray(0, 16),
      resourceHash(resource),
      new Uint8Array(seconds.buffer).subarray(2),
    );
    return this.#read(concatBytes(body, this.#mac(body)));
  }

  /** The token, where it is one of ours and for this; `undefined` otherwise. */
  verify(text: string, resource: string | undefined): PaywallToken | undefined {
    if (text.length > 200) return undefined;
    let bytes: Uint8Array;
    try {
      bytes = base64urlnopad.decode(text);
    } catch {
      return undefined;
    }
    const token = this.verifyBytes(bytes);
    if (token === undefined) return undefined;
    return equalBytesConstantTime(bytes.subarray(17, 33), resourceHash(resource)) ? token : undefined;
  }

  /** The same for the bytes of a record, whatever they are for. */
  verifyBytes(bytes: Uint8Array): PaywallToken | undefined {
    if (bytes.length !== bodyLength + macLength || bytes[0] !== version) return undefined;
    const mac = this.#mac(bytes.subarray(0, bodyLength));
    return equalBytesConstantTime(bytes.subarray(bodyLength), mac) ? this.#read(bytes) : undefined;
  }

  #read(bytes: Uint8Array): PaywallToken {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const seconds = view.getUint16(33) * 2 ** 32 + view.getUint32(35);
    const id = bytesToHex(bytes.subarray(1, 17));
    return { id, bytes, text: base64urlnopad.encode(bytes), expiresAtMs: seconds * 1000 };
  }

  #mac(body: Uint8Array): Uint8Array {
    return hmacSha256(this.#secret, body).subarray(0, macLength);
  }
}

function resourceHash(resource: string | undefined): Uint8Array {
  return resource === undefined ? new Uint8Array(16) : sha256(utf8ToBytes(resource)).subarray(0, 16);
}
