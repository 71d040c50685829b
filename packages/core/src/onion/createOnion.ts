import { ByteWriter, concatBytes, writeBigSize } from '../bytes/index.js';
import { hmacSha256, secp256k1, sha256 } from '../crypto/index.js';
import { OnionError, OnionFullError } from './onionError.js';
import { onionKey, streamBytes } from './onionKeys.js';
import {
  hmacLength,
  hopLength,
  onionBytesLeft,
  packetHeaderLength,
  packetOverhead,
  paymentPayloadsLength,
} from './onionPacket.js';

export interface OnionHop {
  /** The hop's node id. */
  readonly publicKey: Uint8Array;
  /** The hop's TLV stream, without length prefix. */
  readonly payload: Uint8Array;
}

export interface CreatedOnion {
  readonly packet: Uint8Array;
  /** One of each hop: what its failures are decrypted with. */
  readonly sharedSecrets: readonly Uint8Array[];
}

/**
 * Builds the onion of a route (BOLT 4, packet construction).
 * @param sessionKey a private key of fresh randomness for each onion.
 * @param associatedData the payment hash; empty for onion messages.
 * @param payloadsLength the length of `hop_payloads`: 1300 for payments, free for onion messages.
 * @throws OnionFullError; OnionError for an empty route or payload; CryptoError for an invalid key.
 */
export function createOnion({
  sessionKey,
  associatedData,
  hops,
  payloadsLength = paymentPayloadsLength,
}: {
  sessionKey: Uint8Array;
  associatedData: Uint8Array;
  hops: readonly OnionHop[];
  payloadsLength?: number;
}): CreatedOnion {
  checkRoom(hops, payloadsLength);
  const publicKey = secp256k1.publicKey(sessionKey);
  const sharedSecrets = deriveSharedSecrets({ sessionKey, publicKey, hops });
  const sizes = hops.map(({ payload }) => hopLength(payload.length));

  // Each hop's stream serves twice: past the end of the payloads for the filler, and for the payloads.
  const streams = hops.map((_, i) =>
    streamBytes(
      onionKey('rho', sharedSecrets[i] as Uint8Array),
      payloadsLength + (i + 1 < hops.length ? (sizes[i] as number) : 0),
    ),
  );
  const filler = createFiller(streams, sizes, payloadsLength);

  const payloads = streamBytes(onionKey('pad', sessionKey), payloadsLength);
  let hmac: Uint8Array = new Uint8Array(hmacLength);
  for (let i = hops.length - 1; i >= 0; i--) {
    const { payload } = hops[i] as OnionHop;
    const size = sizes[i] as number;
    const stream = streams[i] as Uint8Array;
    payloads.copyWithin(size, 0, payloadsLength - size);
    const prefix = new ByteWriter(5);
    writeBigSize(prefix, BigInt(payload.length));
    payloads.set(prefix.finish());
    payloads.set(payload, prefix.length);
    payloads.set(hmac, size - hmacLength);
    for (let at = 0; at < payloadsLength; at++)
      payloads[at] = (payloads[at] as number) ^ (stream[at] as number);
    if (i === hops.length - 1) payloads.set(filler, payloadsLength - filler.length);
    hmac = hmacSha256(onionKey('mu', sharedSecrets[i] as Uint8Array), payloads, associatedData);
  }

  const packet = new Uint8Array(payloadsLength + packetOverhead);
  packet.set(publicKey, 1);
  packet.set(payloads, packetHeaderLength);
  packet.set(hmac, packetHeaderLength + payloadsLength);
  return { packet, sharedSecrets };
}

function checkRoom(hops: readonly OnionHop[], payloadsLength: number): void {
  if (hops.length === 0) throw new OnionError('route_empty', 'an onion needs at least one hop');
  const position = hops.findIndex(({ payload }) => payload.length < 2);
  if (position >= 0) {
    // BOLT 4: lengths of 0 and 1 are reserved
    throw new OnionError('payload_too_short', `the payload of hop ${position} has fewer than 2 bytes`);
  }
  const left = onionBytesLeft(
    hops.map(({ payload }) => payload.length),
    payloadsLength,
  );
  if (left < 0) throw new OnionFullError(payloadsLength - left, payloadsLength);
}

function deriveSharedSecrets(given: {
  sessionKey: Uint8Array;
  publicKey: Uint8Array;
  hops: readonly OnionHop[];
}): Uint8Array[] {
  let ephemeralKey = given.sessionKey;
  let ephemeralPublicKey = given.publicKey;
  return given.hops.map(({ publicKey }, i) => {
    const sharedSecret = secp256k1.ecdh(publicKey, ephemeralKey);
    if (i + 1 < given.hops.length) {
      // BOLT 4: blinding ephemeral onion keys
      const blindingFactor = sha256(concatBytes(ephemeralPublicKey, sharedSecret));
      ephemeralKey = secp256k1.privateKeyMultiply(ephemeralKey, blindingFactor);
      // The last one is not hashed any more.
      if (i + 2 < given.hops.length) ephemeralPublicKey = secp256k1.publicKey(ephemeralKey);
    }
    return sharedSecret;
  });
}

/** BOLT 4, filler generation: what the forwarding hops will have put at the end of the last hop's payloads. */
function createFiller(
  streams: readonly Uint8Array[],
  sizes: readonly number[],
  payloadsLength: number,
): Uint8Array {
  const forwarding = sizes.slice(0, -1);
  const filler = new Uint8Array(forwarding.reduce((sum, size) => sum + size, 0));
  let length = 0;
  forwarding.forEach((size, hop) => {
    const stream = streams[hop] as Uint8Array;
    const start = payloadsLength - length;
    length += size;
    for (let i = 0; i < length; i++) filler[i] = (filler[i] as number) ^ (stream[start + i] as number);
  });
  return filler;
}
