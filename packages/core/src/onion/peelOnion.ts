import {
  ByteReader,
  concatBytes,
  equalBytesConstantTime,
  RivuletError,
  readBigSize,
} from '../bytes/index.js';
import { CryptoError, hmacSha256, secp256k1, sha256 } from '../crypto/index.js';
import type { FailureMessageOf } from './failureMessage.js';
import { applyStream, onionKey } from './onionKeys.js';
import { hmacLength, packetHeaderLength, packetOverhead } from './onionPacket.js';

export type PeeledOnion =
  /** We are a forwarding hop: `nextPacket` goes to the next one. */
  | {
      readonly type: 'forward';
      readonly payload: Uint8Array;
      readonly sharedSecret: Uint8Array;
      readonly nextPacket: Uint8Array;
    }
  /** We are the final node. */
  | { readonly type: 'final'; readonly payload: Uint8Array; readonly sharedSecret: Uint8Array }
  /** The onion is authentic but holds no payload: fail it with a failure onion. */
  | {
      readonly type: 'invalid';
      readonly sharedSecret: Uint8Array;
      readonly failure: FailureMessageOf<'invalid_onion_payload'>;
    }
  /** No secret is shared with the sender: answer `update_fail_malformed_htlc` with this failure's code. */
  | {
      readonly type: 'malformed';
      readonly failure: FailureMessageOf<
        'invalid_onion_version' | 'invalid_onion_key' | 'invalid_onion_hmac'
      >;
    };

type MalformedType = Extract<PeeledOnion, { type: 'malformed' }>['failure']['type'];

function malformed(type: MalformedType, packet: Uint8Array): PeeledOnion {
  return { type: 'malformed', failure: { type, sha256OfOnion: sha256(packet) } };
}

/**
 * Takes one layer off an onion (BOLT 4, onion decryption). Never throws for a bad packet, of any length:
 * the result says how the HTLC is to be failed.
 * Whether the packet was seen before is for the caller to know.
 */
export function peelOnion({
  privateKey,
  packet,
  associatedData,
}: {
  privateKey: Uint8Array;
  packet: Uint8Array;
  associatedData: Uint8Array;
}): PeeledOnion {
  // BOLT 4: if `version` is not 0: MUST abort processing the packet and fail
  if (packet.length > 0 && packet[0] !== 0) return malformed('invalid_onion_version', packet);
  const payloadsLength = packet.length - packetOverhead;
  if (payloadsLength < 0) return malformed('invalid_onion_hmac', packet);

  const publicKey = packet.subarray(1, packetHeaderLength);
  let sharedSecret: Uint8Array;
  try {
    sharedSecret = secp256k1.ecdh(publicKey, privateKey);
  } catch (error) {
    // BOLT 4: if `public_key` is not a valid pubkey: MUST abort processing the packet and fail
    if (error instanceof CryptoError && error.code === 'public_key_invalid') {
      return malformed('invalid_onion_key', packet);
    }
    throw error;
  }
  const payloadsEnd = packetHeaderLength + payloadsLength;
  const encrypted = packet.subarray(packetHeaderLength, payloadsEnd);
  const hmac = hmacSha256(onionKey('mu', sharedSecret), encrypted, associatedData);
  // BOLT 4: MUST use a constant time comparison of the computed HMAC and `hmac`
  if (!equalBytesConstantTime(hmac, packet.subarray(payloadsEnd))) {
    return malformed('invalid_onion_hmac', packet);
  }

  const unwrapped = new Uint8Array(2 * payloadsLength);
  unwrapped.set(encrypted);
  applyStream(onionKey('rho', sharedSecret), unwrapped);

  const start = payloadStart(unwrapped, payloadsLength);
  if (start === undefined) {
    // No type is known to be at fault: BOLT 4 has no way to say so but zeros.
    return {
      type: 'invalid',
      sharedSecret,
      failure: { type: 'invalid_onion_payload', tlvType: 0n, offset: 0 },
    };
  }
  const { offset, length } = start;
  const payload = unwrapped.slice(offset, offset + length);
  const hmacStart = offset + length;
  const nextStart = hmacStart + hmacLength;
  if (isZero(unwrapped, hmacStart, nextStart)) return { type: 'final', payload, sharedSecret };

  const blindingFactor = sha256(concatBytes(publicKey, sharedSecret));
  const nextPacket = new Uint8Array(packet.length);
  nextPacket.set(secp256k1.publicKeyMultiply(publicKey, blindingFactor), 1);
  nextPacket.set(unwrapped.subarray(nextStart, nextStart + payloadsLength), packetHeaderLength);
  nextPacket.set(unwrapped.subarray(hmacStart, nextStart), payloadsEnd);
  return { type: 'forward', payload, sharedSecret, nextPacket };
}

/** Where the payload is, or nothing when its length is malformed or does not fit. */
function payloadStart(
  unwrapped: Uint8Array,
  payloadsLength: number,
): { offset: number; length: number } | undefined {
  const reader = new ByteReader(unwrapped);
  let claimed: bigint;
  try {
    claimed = readBigSize(reader);
  } catch (error) {
    if (error instanceof RivuletError) return undefined;
    throw error;
  }
  // BOLT 4: if the `payload_length` is less than two: MUST abort processing the packet and fail
  if (claimed < 2n) return undefined;
  // BOLT 4: the payload and the next HMAC must come from the packet, not from the padding behind it
  if (claimed > BigInt(payloadsLength - reader.offset - hmacLength)) return undefined;
  return { offset: reader.offset, length: Number(claimed) };
}

function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] !== 0) return false;
  return true;
}
