import { customRecordRoom, encodeHopPayload, type HopPayload, onionBytesLeft } from '@rivulet/core/onion';
import { boostagramRecordType, keysendRecordType } from './recordTypes.js';

/** What is known of the way that the records will take. The more, the exacter the meter. */
export interface RecordRoute {
  /**
   * Nodes between sender and recipient; 5 where it is absent, which few routes exceed. A route that is longer than
   * was thought makes the payment fail before it leaves, and costs nothing.
   */
  readonly forwardingHops?: number;
  /** The lengths of their payloads, where they are known: instead of `forwardingHops`. */
  readonly forwardPayloadLengths?: readonly number[];
  /** What the recipient gets; below 10 BTC with fees where it is absent. */
  readonly amountMsat?: bigint;
  /** The most that forwarding may cost; as much as the amount, and at least 1,000 sat, where it is absent. */
  readonly maxFeeMsat?: bigint;
  /** Whether the payment may go in parts, whose payload has a secret of 32 bytes as well. */
  readonly inParts?: boolean;
}

/** Forwarders on a route that nobody knows yet. */
export const defaultForwardingHops = 5;
const defaultAmountMsat = (1n << 40n) - 1n;
const leastFeeMsat = 1_000_000n;
/** A block height takes three bytes for the next three centuries. */
const blockHeight = 0x00ff_ffff;

/**
 * How many bytes the value of a record may have beside the others that go along; negative where those alone are too
 * many already. Conservative: what it says fits does.
 * @param records everything that goes along; the preimage is counted in any case, and a record of `type` is not.
 * @param type the record to be written; a boostagram where it is absent.
 */
export function recordRoom({
  records,
  type = boostagramRecordType,
  ...route
}: RecordRoute & {
  readonly records: ReadonlyMap<bigint, Uint8Array>;
  readonly type?: bigint;
}): number {
  const forwardPayloadLengths = forwardLengths(route);
  return customRecordRoom({
    forwardPayloadLengths,
    finalPayload: finalPayload(records, route),
    recordType: type,
  });
}

/** How many bytes of the onion are left when all these records go along; negative where they do not fit. */
export function onionRoom({
  records,
  ...route
}: RecordRoute & { readonly records: ReadonlyMap<bigint, Uint8Array> }): number {
  const final = encodeHopPayload(finalPayload(records, route)).length;
  return onionBytesLeft([...forwardLengths(route), final]);
}

function forwardLengths(route: RecordRoute): readonly number[] {
  const { forwardPayloadLengths, forwardingHops = defaultForwardingHops } = route;
  if (forwardPayloadLengths !== undefined) return forwardPayloadLengths;
  const amountMsat = route.amountMsat ?? defaultAmountMsat;
  const defaultFeeMsat = amountMsat > leastFeeMsat ? amountMsat : leastFeeMsat;
  const withFee = amountMsat + (route.maxFeeMsat ?? (route.amountMsat === undefined ? 0n : defaultFeeMsat));
  const { length } = encodeHopPayload({
    amountToForwardMsat: withFee,
    outgoingCltvValue: blockHeight,
    shortChannelId: 0n,
    customRecords: new Map(),
  });
  return Array.from({ length: Math.max(0, Math.ceil(forwardingHops)) }, () => length);
}

function finalPayload(records: ReadonlyMap<bigint, Uint8Array>, route: RecordRoute): HopPayload {
  const amountMsat = route.amountMsat ?? defaultAmountMsat;
  const payload: HopPayload = {
    amountToForwardMsat: amountMsat,
    outgoingCltvValue: blockHeight,
    customRecords: new Map([...records, [keysendRecordType, new Uint8Array(32)]]),
  };
  if (route.inParts !== true) return payload;
  return { ...payload, paymentData: { paymentSecret: new Uint8Array(32), totalMsat: amountMsat } };
}
