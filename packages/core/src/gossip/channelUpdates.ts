import { equalBytes } from '../bytes/index.js';
import {
  type ChannelAnnouncement,
  type ChannelUpdate,
  encodeMessage,
  gossipSignedBytes,
} from '../wire/index.js';
import type { SignHash } from './channelAnnouncements.js';
import { GossipError } from './gossipError.js';
import { gossipHash, isSignedBy } from './gossipHash.js';
import { FUTURE_TOLERANCE_SECONDS, isStale } from './gossipTime.js';
import { invalid, type Verdict, valid } from './verdict.js';

const DIRECTION = 1;
const DISABLE = 2;
const MUST_BE_ONE = 1;
const DONT_FORWARD = 2;

/** Which end speaks: 0 is `node_id_1` of the announcement, 1 is `node_id_2`. */
export function updateDirection(update: ChannelUpdate): 0 | 1 {
  return (update.channelFlags & DIRECTION) === 0 ? 0 : 1;
}

/** Whether the channel cannot be used in this direction for now. */
export function isDisabled(update: ChannelUpdate): boolean {
  return (update.channelFlags & DISABLE) !== 0;
}

/** Whether it may be told to others: an update of an unannounced channel may not (`dont_forward`). */
export function isForwardable(update: ChannelUpdate): boolean {
  return (update.messageFlags & DONT_FORWARD) === 0;
}

/** The node that must have signed an update of an announced channel, 33 bytes. */
export function updateSigner(announcement: ChannelAnnouncement, update: ChannelUpdate): Uint8Array {
  return updateDirection(update) === 0 ? announcement.nodeId1 : announcement.nodeId2;
}

/**
 * All of a `channel_update` that is to be seen without a key: ask this first, it costs nothing. A stale one is
 * ignored too, since it would be pruned at once.
 */
export function checkChannelUpdate(
  update: ChannelUpdate,
  { chainHash, nowSeconds }: { readonly chainHash: Uint8Array; readonly nowSeconds: number },
): Verdict {
  // BOLT 7: channel_update, receiving node: unknown chain_hash: MUST ignore
  if (!equalBytes(update.chainHash, chainHash)) return invalid('chain_unknown', 'ignore');
  // BOLT 7: channel_update, origin node: timestamp is greater than 0
  if (update.timestamp === 0) return invalid('timestamp_zero', 'ignore');
  // BOLT 7: channel_update, receiving node: unreasonably far in the future: MAY discard
  if (update.timestamp > nowSeconds + FUTURE_TOLERANCE_SECONDS) return invalid('timestamp_future', 'ignore');
  // BOLT 7: pruning: MAY ignore. Who relays it must not be punished.
  if (isStale(update.timestamp, nowSeconds)) return invalid('timestamp_stale', 'ignore');
  return valid;
}

/** Whether the node whose direction it is signed it. One verification. */
export function verifyChannelUpdate(update: ChannelUpdate, nodeId: Uint8Array): Verdict {
  // BOLT 7: channel_update, receiving node: invalid signature: warn and close, do not process further
  return isSignedBy(update, nodeId) ? valid : invalid('signature', 'warn_and_close');
}

/** Why nothing can be routed over a direction, though its update is genuine and is stored and relayed. */
export type RoutingFault =
  | 'disabled'
  /** The maximum is below the minimum. */
  | 'htlc_range_empty'
  /** The maximum is above the capacity: its node cannot be trusted about it. */
  | 'htlc_maximum_over_capacity';

/** @param capacitySat of the funding output, where it is known. */
export function routingFault(update: ChannelUpdate, capacitySat?: bigint): RoutingFault | undefined {
  if (isDisabled(update)) return 'disabled';
  // BOLT 7: channel_update, receiving node: SHOULD ignore this channel during route considerations, twice
  if (update.htlcMaximumMsat < update.htlcMinimumMsat) return 'htlc_range_empty';
  if (capacitySat !== undefined && update.htlcMaximumMsat > capacitySat * 1000n) {
    return 'htlc_maximum_over_capacity';
  }
  return undefined;
}

/**
 * How a received update stands to the one that we have of the same direction: `newer` replaces it; `older` and
 * `duplicate` are ignored; `conflict` is another content at the same second: ignored as well, and its node may
 * be blacklisted once the signature is verified.
 */
export type UpdateOrder = 'newer' | 'older' | 'duplicate' | 'conflict';

/** @param known the latest one with a valid signature; absent when there is none. */
export function updateOrder(known: ChannelUpdate | undefined, received: ChannelUpdate): UpdateOrder {
  if (known === undefined || received.timestamp > known.timestamp) return 'newer';
  // BOLT 7: channel_update, receiving node: a lower timestamp: SHOULD ignore
  if (received.timestamp < known.timestamp) return 'older';
  // BOLT 7: channel_update, receiving node: the same timestamp: a signature alone may differ
  return equalBytes(signedBytes(known), signedBytes(received)) ? 'duplicate' : 'conflict';
}

/** Whether a received update replaces the one that we have of the same direction. */
export function isNewerUpdate(known: ChannelUpdate | undefined, received: ChannelUpdate): boolean {
  return updateOrder(known, received) === 'newer';
}

function signedBytes(update: ChannelUpdate): Uint8Array {
  return gossipSignedBytes(encodeMessage(update));
}

/** Our terms for one direction of a channel of ours. */
export interface ChannelUpdateFields {
  readonly chainHash: Uint8Array;
  readonly shortChannelId: bigint;
  /** Seconds; see nextTimestamp. */
  readonly timestamp: number;
  /** 0 where we are `node_id_1`, the lesser of both ids. */
  readonly direction: 0 | 1;
  readonly disabled: boolean;
  /** For a channel that is not announced: the update is for the peer alone. */
  readonly dontForward?: boolean;
  readonly cltvExpiryDelta: number;
  readonly htlcMinimumMsat: bigint;
  /** At most the capacity, and at most what the peer lets be in flight. */
  readonly htlcMaximumMsat: bigint;
  readonly feeBaseMsat: number;
  readonly feeProportionalMillionths: number;
}

/**
 * A signed `channel_update` of our own.
 * @throws GossipError `announcement_invalid` for timestamp 0, or a minimum above the maximum; WireError when a
 * number does not fit in its field.
 */
export function createChannelUpdate(fields: ChannelUpdateFields, sign: SignHash): ChannelUpdate {
  // BOLT 7: channel_update, origin node: timestamp greater than 0, htlc_minimum_msat at most htlc_maximum_msat
  if (fields.timestamp === 0) {
    throw new GossipError('announcement_invalid', 'a channel_update needs a timestamp above 0');
  }
  if (fields.htlcMinimumMsat > fields.htlcMaximumMsat) {
    throw new GossipError(
      'announcement_invalid',
      `a channel_update with htlc_minimum_msat ${fields.htlcMinimumMsat} above htlc_maximum_msat ${fields.htlcMaximumMsat}`,
    );
  }
  const unsigned: ChannelUpdate = {
    type: 'channel_update',
    signature: new Uint8Array(64),
    chainHash: fields.chainHash,
    shortChannelId: fields.shortChannelId,
    timestamp: fields.timestamp,
    messageFlags: MUST_BE_ONE | (fields.dontForward === true ? DONT_FORWARD : 0),
    channelFlags: fields.direction | (fields.disabled ? DISABLE : 0),
    cltvExpiryDelta: fields.cltvExpiryDelta,
    htlcMinimumMsat: fields.htlcMinimumMsat,
    feeBaseMsat: fields.feeBaseMsat,
    feeProportionalMillionths: fields.feeProportionalMillionths,
    htlcMaximumMsat: fields.htlcMaximumMsat,
  };
  return { ...unsigned, signature: sign(gossipHash(unsigned)) };
}
