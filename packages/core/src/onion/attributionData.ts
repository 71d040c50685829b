import { equalBytesConstantTime, utf8ToBytes } from '../bytes/index.js';
import { hmacSha256 } from '../crypto/index.js';
import { applyStream, onionKey } from './onionKeys.js';

/** BOLT 4: the hops that attribution data have room for. */
export const maxAttributedHops = 20;
/** A hold time is a `u32`, and HMACs are cut to as many bytes. */
const entryLength = 4;
const holdTimesLength = maxAttributedHops * entryLength;
/** 20 HMACs of the first hop, 19 of the second and so on. */
const hmacCount = (maxAttributedHops * (maxAttributedHops + 1)) / 2;
/** What `attribution_data` has: 920 bytes. */
const attributionDataLength = holdTimesLength + hmacCount * entryLength;
/** BOLT 4: `htlc_hold_times` are in units of 100 milliseconds. */
const holdTimeUnitMs = 100;
const maxHoldTime = 0xffff_ffff;

/**
 * Where the HMACs of a hop begin, counted from the node that handles the data now. There are as many as the
 * route may go on for behind it, the one for the longest way first.
 */
function hmacsStart(hop: number): number {
  return holdTimesLength + (hop * maxAttributedHops - (hop * (hop - 1)) / 2) * entryLength;
}

/** Where `hmac_x_y` is (BOLT 4): of hop `hop`, for the case that it is `distance` hops before the last one. */
function hmacStart(hop: number, distance: number): number {
  return hmacsStart(hop) + (maxAttributedHops - 1 - hop - distance) * entryLength;
}

/**
 * The data of the node downstream with room for a hop before it: hold times and HMACs move on by one, and
 * those go that no longer fit (BOLT 4, transformation of `attribution_data`).
 */
function shiftedFrom(downstream: Uint8Array): Uint8Array {
  const shifted = new Uint8Array(attributionDataLength);
  shifted.set(downstream.subarray(0, holdTimesLength - entryLength), entryLength);
  for (let hop = 0; hop < maxAttributedHops - 1; hop++) {
    // The left-most is for a route that would be one hop too long.
    const kept = downstream.subarray(hmacsStart(hop) + entryLength, hmacsStart(hop + 1));
    shifted.set(kept, hmacsStart(hop + 1));
  }
  return shifted;
}

/** The reverse, as far as it goes: what was pruned is zero. */
function unshiftedFrom(upstream: Uint8Array): Uint8Array {
  const unshifted = new Uint8Array(attributionDataLength);
  unshifted.set(upstream.subarray(entryLength, holdTimesLength));
  for (let hop = 0; hop < maxAttributedHops - 1; hop++) {
    const kept = upstream.subarray(hmacsStart(hop + 1), hmacsStart(hop + 2));
    unshifted.set(kept, hmacsStart(hop) + entryLength);
  }
  return unshifted;
}

/** The first node's HMAC for the case that it is `distance` hops before the last one, cut to 4 bytes. */
function hmacAt(
  distance: number,
  { data, key, packet }: { data: Uint8Array; key: Uint8Array; packet: Uint8Array },
): Uint8Array {
  const downstream = new Uint8Array(distance * entryLength);
  for (let hop = 1; hop <= distance; hop++) {
    const start = hmacStart(hop, distance - hop);
    downstream.set(data.subarray(start, start + entryLength), (hop - 1) * entryLength);
  }
  const holdTimes = data.subarray(0, (distance + 1) * entryLength);
  return hmacSha256(key, packet, holdTimes, downstream).subarray(0, entryLength);
}

function applyAttributionStream(sharedSecret: Uint8Array, data: Uint8Array): void {
  applyStream(hmacSha256(utf8ToBytes('ammagext'), sharedSecret), data);
}

function viewOf(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}

/** In units of BOLT 4, rounded down; 0, which says that it is not known, for what is no time. */
function toHoldTime(holdTimeMs: number): number {
  if (!(holdTimeMs >= 0)) return 0;
  return Math.min(Math.floor(holdTimeMs / holdTimeUnitMs), maxHoldTime);
}

/**
 * What a node passes upstream: its hold time and its HMACs before those of the nodes downstream, obfuscated.
 * @param downstream what came from there; the node begins anew where it is absent or of another length.
 * @param packet what the HMACs cover besides: the failure without this node's layer; empty for a fulfill.
 * @param holdTimeMs how long this node had the HTLC; told in units of 100 ms.
 */
export function addAttribution({
  sharedSecret,
  downstream,
  packet,
  holdTimeMs,
}: {
  sharedSecret: Uint8Array;
  downstream: Uint8Array | undefined;
  packet: Uint8Array;
  holdTimeMs: number;
}): Uint8Array {
  const data =
    downstream?.length === attributionDataLength
      ? shiftedFrom(downstream)
      : // BOLT 4: otherwise MUST instantiate an all-zeroes `attribution_data` block
        new Uint8Array(attributionDataLength);
  viewOf(data).setUint32(0, toHoldTime(holdTimeMs));
  const key = onionKey('um', sharedSecret);
  // An HMAC covers none of the node's others, so their order does not matter.
  for (let distance = 0; distance < maxAttributedHops; distance++) {
    data.set(hmacAt(distance, { data, key, packet }), hmacStart(0, distance));
  }
  applyAttributionStream(sharedSecret, data);
  return data;
}

/** Takes one hop's layer after the other off attribution data, beginning at the sender's own peer. */
export class AttributionReader {
  /** How many hops the whole route has. */
  readonly #hops: number;
  #data: Uint8Array;
  #next = 0;

  /** @param hops of the whole route; at most 20. */
  constructor(data: Uint8Array, hops: number) {
    this.#hops = hops;
    this.#data = Uint8Array.from(data);
  }

  /** Whether these are attribution data, for a route that they have room for. */
  static canRead(data: Uint8Array | undefined, hops: number): data is Uint8Array {
    return data?.length === attributionDataLength && hops <= maxAttributedHops;
  }

  /**
   * Reads what the next hop added. Behind the end of the route the same work is done, for nothing.
   * @param packet without the layer of this hop, as it covered it.
   */
  next({ sharedSecret, packet }: { sharedSecret: Uint8Array; packet: Uint8Array }): {
    authentic: boolean;
    holdTimeMs: number;
  } {
    applyAttributionStream(sharedSecret, this.#data);
    const data = this.#data;
    // Whoever failed the payment, positions are counted as if it had been the last hop: a node that fails it
    // before covers the zeros in place of the nodes behind.
    const distance = Math.max(0, this.#hops - 1 - this.#next);
    const start = hmacStart(0, distance);
    const hmac = hmacAt(distance, { data, key: onionKey('um', sharedSecret), packet });
    const authentic = equalBytesConstantTime(hmac, data.subarray(start, start + entryLength));
    const holdTimeMs = viewOf(data).getUint32(0) * holdTimeUnitMs;
    this.#data = unshiftedFrom(data);
    this.#next++;
    return { authentic, holdTimeMs };
  }
}
