import type { NewHtlc } from '../../channel/index.js';
import { sha256 } from '../../crypto/index.js';
import type { Route, RouteHop } from '../../graph/index.js';
import {
  createOnion,
  customRecordRoom,
  encodeHopPayload,
  type HopPayload,
  onionBytesLeft,
} from '../../onion/index.js';
import { keysendRecordType } from '../keysend.js';
import type { PaymentRequest } from './paymentRequest.js';
import type { Attempt } from './sending.js';

/** BOLT 4: attribution data covers so many hops; a longer route could not be blamed well, or carry much. */
const longestRoute = 20;

const none: ReadonlyMap<bigint, Uint8Array> = new Map();

/**
 * What the destination finds in its layer of the onion. A keysend has `payment_data` only where it is in
 * parts: many receivers refuse it (bLIP 3 does not know it).
 */
function finalPayload(
  request: PaymentRequest,
  { amountMsat, cltvExpiry }: { amountMsat: bigint; cltvExpiry: number },
): HopPayload {
  const { kind, customRecords } = request;
  const base = { amountToForwardMsat: amountMsat, outgoingCltvValue: cltvExpiry, customRecords };
  // BOLT 4: MUST set `total_msat` to the total amount it will send
  const totalMsat = request.amountMsat;
  switch (kind.type) {
    case 'keysend': {
      // bLIP 3: MUST include a record of type 5482373484 with the preimage
      const records = new Map([...customRecords, [keysendRecordType, kind.preimage]]);
      const { paymentSecret } = request;
      if (paymentSecret === undefined || amountMsat === totalMsat) {
        return { ...base, customRecords: records };
      }
      return { ...base, customRecords: records, paymentData: { paymentSecret, totalMsat } };
    }
    case 'invoice': {
      const { paymentSecret, paymentMetadata } = kind;
      // BOLT 4: if the recipient provided `payment_metadata`: MUST include it with every HTLC
      return { ...base, paymentData: { paymentSecret, totalMsat }, paymentMetadata };
    }
    case 'probe': {
      // Nodes that want a secret would otherwise refuse before they look for the hash.
      const paymentSecret = request.paymentSecret ?? sha256(request.paymentHash);
      return { ...base, paymentData: { paymentSecret, totalMsat } };
    }
  }
}

function forwardPayload(next: RouteHop, blockHeight: number): HopPayload {
  return {
    amountToForwardMsat: next.amountMsat,
    outgoingCltvValue: blockHeight + next.cltvDelta,
    shortChannelId: next.shortChannelId,
    customRecords: none,
  };
}

function encodePayloads(request: PaymentRequest, route: Route, blockHeight: number): Uint8Array[] {
  return route.hops.map((hop, i) => {
    const next = route.hops[i + 1];
    const cltvExpiry = blockHeight + hop.cltvDelta;
    const payload =
      next === undefined
        ? finalPayload(request, { amountMsat: hop.amountMsat, cltvExpiry })
        : forwardPayload(next, blockHeight);
    return encodeHopPayload(payload);
  });
}

/**
 * The HTLC of one route. It depends on nothing but its arguments: the same session key gives the same onion.
 * @throws OnionFullError
 */
export function createAttemptHtlc({
  request,
  route,
  blockHeight,
  sessionKey,
}: {
  request: PaymentRequest;
  route: Route;
  blockHeight: number;
  sessionKey: Uint8Array;
}): NewHtlc {
  const payloads = encodePayloads(request, route, blockHeight);
  const first = route.hops[0] as RouteHop;
  const { packet } = createOnion({
    sessionKey,
    associatedData: request.paymentHash,
    hops: route.hops.map(({ nodeId }, i) => ({ publicKey: nodeId, payload: payloads[i] as Uint8Array })),
  });
  return {
    amountMsat: first.amountMsat,
    paymentHash: request.paymentHash,
    cltvExpiry: blockHeight + first.cltvDelta,
    onion: packet,
  };
}

/** The secrets that an attempt shares with its hops, by which failures are read: from its session key again. */
export function sharedSecretsOf(
  attempt: Pick<Attempt, 'route'>,
  sessionKey: Uint8Array,
): readonly Uint8Array[] {
  // The secrets depend on the keys alone, not on what the hops are told.
  const payload = new Uint8Array(2);
  const { sharedSecrets } = createOnion({
    sessionKey,
    associatedData: new Uint8Array(0),
    hops: attempt.route.hops.map(({ nodeId }) => ({ publicKey: nodeId, payload })),
  });
  return sharedSecrets;
}

/** The payloads of the longest kind that this payment's routes can have. */
function longestPayloads(
  request: PaymentRequest,
  { blockHeight, inParts }: { blockHeight: number; inParts: boolean },
): { final: HopPayload; forward: number } {
  const cltvExpiry = blockHeight + request.maxCltvDelta;
  // A part is worth less than the whole; its amount may take as many bytes.
  const amountMsat = inParts && request.amountMsat > 1n ? request.amountMsat - 1n : request.amountMsat;
  const forward = encodeHopPayload({
    amountToForwardMsat: request.amountMsat + request.maxFeeMsat,
    outgoingCltvValue: cltvExpiry,
    shortChannelId: 0n,
    customRecords: none,
  });
  return { final: finalPayload(request, { amountMsat, cltvExpiry }), forward: forward.length };
}

/** How many hops the onion has room for, the destination included; 0 where the records do not even fit alone. */
export function maxHopsOf(
  request: PaymentRequest,
  at: { readonly blockHeight: number; readonly inParts: boolean },
): number {
  const { final, forward } = longestPayloads(request, at);
  const finalLength = encodeHopPayload(final).length;
  let hops = 0;
  const lengths = [finalLength];
  while (hops < longestRoute && onionBytesLeft(lengths) >= 0) {
    hops++;
    lengths.push(forward);
  }
  return hops;
}

/** How many bytes the largest custom record may have on a route of so many hops: at least 0. */
export function recordRoom(
  request: PaymentRequest,
  { hops, blockHeight }: { hops: number; blockHeight: number },
): { readonly recordType: bigint; readonly bytes: number; readonly room: number } | undefined {
  const [largest] = [...request.customRecords].sort(([, a], [, b]) => b.length - a.length);
  if (largest === undefined) return undefined;
  const [recordType, value] = largest;
  const { final, forward } = longestPayloads(request, { blockHeight, inParts: false });
  const room = customRecordRoom({
    forwardPayloadLengths: Array.from({ length: Math.max(hops - 1, 0) }, () => forward),
    finalPayload: final,
    recordType,
  });
  return { recordType, bytes: value.length, room: Math.max(room, 0) };
}
