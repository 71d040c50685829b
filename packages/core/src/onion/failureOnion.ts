import { ByteWriter, equalBytesConstantTime, utf8ToBytes } from '../bytes/index.js';
import { hmacSha256, sha256 } from '../crypto/index.js';
import { decodeFailureMessage, encodeFailureMessage, type FailureMessage } from './failureMessage.js';
import { OnionError } from './onionError.js';
import { applyStream, onionKey } from './onionKeys.js';
import { hmacLength } from './onionPacket.js';

/** BOLT 4: what `failure_len` and `pad_len` add up to by default, and at least. */
const defaultPaddedLength = 256;
/** BOLT 4: the most hops that a route of TLV payloads has. */
const maxHops = 27;
/** The HMAC and the two lengths. */
const overhead = hmacLength + 4;
/** The most that fits into `update_fail_htlc` beside its other fields and the attribution data. */
const maxForwardedLength = 65535 - (2 + 32 + 8 + 2) - (1 + 3 + 920);
/**
 * The most that the sender of a payment decrypts: ample for every failure there is, while 27 rounds over
 * the 64 kB that a message can hold would let each failure cost 20 ms.
 */
const maxDecryptedLength = 8192;

/**
 * What the erring node returns: the failure, padded, authenticated and encrypted for the sender (BOLT 4).
 * @param sharedSecret of the onion that is failed, from `peelOnion`.
 * @param paddedLength hides how long the failure is: at least 256, the value that every node can read.
 */
export function createFailureOnion({
  sharedSecret,
  failure,
  paddedLength = defaultPaddedLength,
}: {
  sharedSecret: Uint8Array;
  failure: FailureMessage;
  paddedLength?: number;
}): Uint8Array {
  const message = encodeFailureMessage(failure);
  // BOLT 4: MUST set `pad` such that the `failure_len` plus `pad_len` is at least 256
  const padding = Math.max(paddedLength, defaultPaddedLength, message.length) - message.length;
  if (overhead + message.length + padding > maxForwardedLength) {
    throw new OnionError(
      'failure_too_large',
      `a failure of ${message.length} bytes does not fit in a message`,
    );
  }
  const content = new ByteWriter(4 + message.length + padding)
    .u16(message.length)
    .bytes(message)
    .u16(padding)
    .bytes(new Uint8Array(padding))
    .finish();
  const packet = new Uint8Array(hmacLength + content.length);
  packet.set(hmacSha256(onionKey('um', sharedSecret), content));
  packet.set(content, hmacLength);
  applyStream(onionKey('ammag', sharedSecret), packet);
  return packet;
}

/**
 * What a forwarding node passes on (BOLT 4): the failure from downstream in one more layer.
 * @param sharedSecret of the onion that this node forwarded.
 * @throws OnionError `failure_too_large` when it would not fit into `update_fail_htlc` any more: return a
 * failure of this node instead, so that the HTLC is failed all the same.
 */
export function wrapFailureOnion({
  sharedSecret,
  packet,
}: {
  sharedSecret: Uint8Array;
  packet: Uint8Array;
}): Uint8Array {
  if (packet.length > maxForwardedLength) {
    throw new OnionError(
      'failure_too_large',
      `a failure onion of ${packet.length} bytes from downstream cannot be passed on: the most is ${maxForwardedLength}`,
    );
  }
  const wrapped = Uint8Array.from(packet);
  applyStream(onionKey('ammag', sharedSecret), wrapped);
  return wrapped;
}

export type DecryptedFailure =
  /** `failure` is absent when the hop, though it is proved to be the author, wrote nonsense. */
  | { readonly type: 'attributed'; readonly hopIndex: number; readonly failure: FailureMessage | undefined }
  /** Some hop altered the failure, or it is too large to look at: nobody can be blamed. */
  | { readonly type: 'unattributable' };

const dummySecret = sha256(utf8ToBytes('rivulet: a hop behind the end of the route'));

/**
 * Finds out who failed the payment and why (BOLT 4, origin node). Does the same work whichever hop it was,
 * so that its timing does not tell the erring node how far away the sender is.
 * @param sharedSecrets of the hops, from `createOnion`.
 */
export function decryptFailureOnion({
  sharedSecrets,
  packet,
}: {
  sharedSecrets: readonly Uint8Array[];
  packet: Uint8Array;
}): DecryptedFailure {
  if (packet.length > maxDecryptedLength || packet.length < overhead) return { type: 'unattributable' };
  const layers = Uint8Array.from(packet);
  const content = layers.subarray(hmacLength);
  let found: { hopIndex: number; content: Uint8Array } | undefined;
  // BOLT 4: SHOULD continue decrypting, until the loop has been repeated 27 times
  for (let hopIndex = 0; hopIndex < Math.max(maxHops, sharedSecrets.length); hopIndex++) {
    const sharedSecret = sharedSecrets[hopIndex] ?? dummySecret;
    applyStream(onionKey('ammag', sharedSecret), layers);
    const hmac = hmacSha256(onionKey('um', sharedSecret), content);
    const authentic = equalBytesConstantTime(hmac, layers.subarray(0, hmacLength));
    if (authentic && found === undefined && hopIndex < sharedSecrets.length) {
      found = { hopIndex, content: content.slice() };
    }
  }
  if (found === undefined) return { type: 'unattributable' };
  return { type: 'attributed', hopIndex: found.hopIndex, failure: readContent(found.content) };
}

function readContent(content: Uint8Array): FailureMessage | undefined {
  const length = ((content[0] as number) << 8) | (content[1] as number);
  if (2 + length > content.length) return undefined;
  return decodeFailureMessage(content.subarray(2, 2 + length));
}
