import { utf8ToBytes } from '../bytes/index.js';
import { sha256 } from '../crypto/index.js';
import { AttributionReader, addAttribution, maxAttributedHops } from './attributionData.js';
import type { FailureMessage } from './failureMessage.js';
import { createFailureOnion, decryptFailureOnion, wrapFailureOnion } from './failureOnion.js';
import { OnionError } from './onionError.js';
import { applyStream, onionKey } from './onionKeys.js';

/** What `update_fail_htlc` carries where both peers have `option_attribution_data` (BOLT 4). */
export interface AttributedFailure {
  /** The failure onion. Alone, it is what peers without the feature get. */
  readonly reason: Uint8Array;
  /** 920 bytes. */
  readonly attributionData: Uint8Array;
}

const nothing = new Uint8Array(0);
const dummySecret = sha256(utf8ToBytes('rivulet: a hop behind the end of the attribution data'));

/**
 * What a node that fails an HTLC returns (BOLT 4, erring node), also for `update_fail_malformed_htlc` from
 * downstream, whose failure this node writes itself.
 * @param sharedSecret of the onion that is failed, from `peelOnion`.
 * @param holdTimeMs from when the HTLC came until now; 0 where that is not known.
 * @throws OnionError for a failure that cannot be written.
 */
export function createAttributedFailure({
  sharedSecret,
  failure,
  holdTimeMs,
  paddedLength,
}: {
  sharedSecret: Uint8Array;
  failure: FailureMessage;
  holdTimeMs: number;
  /** See `createFailureOnion`. */
  paddedLength?: number;
}): AttributedFailure {
  const padding = paddedLength === undefined ? {} : { paddedLength };
  const reason = createFailureOnion({ sharedSecret, failure, ...padding });
  // BOLT 4: the HMACs cover the return packet before the pseudo-random byte stream is applied
  const packet = withoutLayer(sharedSecret, reason);
  return {
    reason,
    attributionData: addAttribution({ sharedSecret, downstream: undefined, packet, holdTimeMs }),
  };
}

/** The stream is exclusive-ored: taking a layer off is what putting it on is. */
function withoutLayer(sharedSecret: Uint8Array, packet: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(packet);
  applyStream(onionKey('ammag', sharedSecret), copy);
  return copy;
}

/**
 * What a forwarding node passes on (BOLT 4, intermediate nodes). Never throws for what came from downstream:
 * a failure that would not fit into a message any more is replaced by one of this node, so that the HTLC is
 * failed all the same.
 * @param reason from downstream, of any length.
 * @param attributionData from downstream, if there were any; begun anew where the length is wrong.
 * @param holdTimeMs from when the HTLC came until now; 0 where that is not known.
 */
export function wrapAttributedFailure({
  sharedSecret,
  reason,
  attributionData,
  holdTimeMs,
}: {
  sharedSecret: Uint8Array;
  reason: Uint8Array;
  attributionData?: Uint8Array | undefined;
  holdTimeMs: number;
}): AttributedFailure {
  let wrapped: Uint8Array;
  try {
    wrapped = wrapFailureOnion({ sharedSecret, packet: reason });
  } catch (error) {
    if (!(error instanceof OnionError)) throw error;
    return createAttributedFailure({
      sharedSecret,
      failure: { type: 'temporary_channel_failure', channelUpdate: nothing },
      holdTimeMs,
    });
  }
  return {
    reason: wrapped,
    attributionData: addAttribution({
      sharedSecret,
      downstream: attributionData,
      packet: reason,
      holdTimeMs,
    }),
  };
}

/** The attribution data of `update_fulfill_htlc` from the final node (BOLT 4, hold times). */
export function createFulfillAttribution(own: { sharedSecret: Uint8Array; holdTimeMs: number }): Uint8Array {
  return addAttribution({ ...own, downstream: undefined, packet: nothing });
}

/** The same from a forwarding node, over what came from downstream. Never throws for that. */
export function wrapFulfillAttribution({
  sharedSecret,
  attributionData,
  holdTimeMs,
}: {
  sharedSecret: Uint8Array;
  attributionData?: Uint8Array | undefined;
  holdTimeMs: number;
}): Uint8Array {
  return addAttribution({ sharedSecret, downstream: attributionData, packet: nothing, holdTimeMs });
}

/** `holdTimesMs` are of the hops from the first one on, as far as they are proved. */
export type ReadFailure =
  /**
   * `failure` is absent when the hop, though it is proved to be the author, wrote nonsense. The hold times may
   * end before it: where a node does not attribute, or did it wrong.
   */
  | {
      readonly type: 'attributed';
      readonly hopIndex: number;
      readonly failure: FailureMessage | undefined;
      readonly holdTimesMs: readonly number[];
    }
  /**
   * Nobody's failure, but it was so until `afterHop`: that hop or the one behind it altered or garbled it, or
   * the one behind does not attribute. -1: not even our peer's part is proved; the last hop's index: it is the
   * last hop that wrote nonsense.
   */
  | { readonly type: 'corrupted'; readonly afterHop: number; readonly holdTimesMs: readonly number[] }
  /** Some hop altered the failure and nothing says which. */
  | { readonly type: 'unattributable' };

/**
 * Finds out who failed the payment and why, or else between which hops the failure was corrupted (BOLT 4,
 * origin node). Does the same work whichever hop it was. A failure of the 64 kB that a message can hold is
 * not read, but it is found out who made it: 20 rounds over it at most.
 * @param sharedSecrets of the hops, from `createOnion`. Attribution data are read on routes of up to 20.
 */
export function readFailure({
  sharedSecrets,
  reason,
  attributionData,
}: {
  sharedSecrets: readonly Uint8Array[];
  reason: Uint8Array;
  attributionData?: Uint8Array | undefined;
}): ReadFailure {
  const decrypted = decryptFailureOnion({ sharedSecrets, packet: reason });
  const holdTimesMs = provedHoldTimes({ sharedSecrets, packet: reason, attributionData });
  if (decrypted.type === 'attributed') {
    return { ...decrypted, holdTimesMs: (holdTimesMs ?? []).slice(0, decrypted.hopIndex + 1) };
  }
  if (holdTimesMs === undefined) return { type: 'unattributable' };
  return { type: 'corrupted', afterHop: holdTimesMs.length - 1, holdTimesMs };
}

/** How long each hop held an HTLC that was fulfilled, as far as it is proved. */
export interface FulfillAttribution {
  readonly holdTimesMs: readonly number[];
  /**
   * The first hop whose part is not proved: it or the one before it altered the data, or it does not attribute.
   * Absent when all are proved.
   */
  readonly firstBadHop?: number;
}

/**
 * Reads the attribution data of `update_fulfill_htlc` (BOLT 4, hold times); `undefined` when there are none to
 * read: absent, of a wrong length, or for a route of more than 20 hops.
 */
export function readFulfillAttribution({
  sharedSecrets,
  attributionData,
}: {
  sharedSecrets: readonly Uint8Array[];
  attributionData?: Uint8Array | undefined;
}): FulfillAttribution | undefined {
  const holdTimesMs = provedHoldTimes({ sharedSecrets, packet: nothing, attributionData });
  if (holdTimesMs === undefined) return undefined;
  if (holdTimesMs.length === sharedSecrets.length) return { holdTimesMs };
  return { holdTimesMs, firstBadHop: holdTimesMs.length };
}

/** Of the hops from the first one to the last before one whose HMAC is wrong; `undefined` without data. */
function provedHoldTimes({
  sharedSecrets,
  packet,
  attributionData,
}: {
  sharedSecrets: readonly Uint8Array[];
  packet: Uint8Array;
  attributionData: Uint8Array | undefined;
}): number[] | undefined {
  const hops = sharedSecrets.length;
  if (!AttributionReader.canRead(attributionData, hops)) return undefined;
  const reader = new AttributionReader(attributionData, hops);
  const layers = Uint8Array.from(packet);
  const holdTimesMs: number[] = [];
  let proved = true;
  for (let hop = 0; hop < maxAttributedHops; hop++) {
    const sharedSecret = sharedSecrets[hop] ?? dummySecret;
    applyStream(onionKey('ammag', sharedSecret), layers);
    const { authentic, holdTimeMs } = reader.next({ sharedSecret, packet: layers });
    proved = proved && authentic && hop < hops;
    if (proved) holdTimesMs.push(holdTimeMs);
  }
  return holdTimesMs;
}
