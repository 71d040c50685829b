import { FUTURE_TOLERANCE_SECONDS, isStale, REFRESH_AFTER_SECONDS } from './gossipTime.js';

/** Two values of a channel: of `node_id_1`'s direction and of `node_id_2`'s; 0 where there is no update. */
export type PerDirection = readonly [number, number];

/** What `reply_channel_range` tells of a channel that we have. */
export interface RangeEntry {
  readonly shortChannelId: bigint;
  /** Of the latest updates, in seconds. */
  readonly timestamps: PerDirection;
  /** Of the same updates: see channelUpdateChecksum. */
  readonly checksums: PerDirection;
}

/** What a peer tells of a channel that it has. */
export interface RemoteChannel {
  readonly shortChannelId: bigint;
  readonly timestamps?: PerDirection;
  readonly checksums?: PerDirection;
}

/** The bits of `query_flags` (BOLT 7). */
export const QUERY_ANNOUNCEMENT = 1;
export const QUERY_UPDATE_1 = 2;
export const QUERY_UPDATE_2 = 4;
export const QUERY_NODE_1 = 8;
export const QUERY_NODE_2 = 16;
export const QUERY_ALL = 31;

/**
 * What to ask a peer about a channel of its `reply_channel_range`: bits of `query_flags`, 0 for nothing.
 * A channel that we lack is asked for in full, unless no update of it would be taken; of one that we have, the
 * updates that say something new, or that keep it from growing stale.
 * @param local the same of our own latest updates; absent when we do not know the channel.
 */
export function wantedFlags(
  remote: RemoteChannel,
  local: Omit<RangeEntry, 'shortChannelId'> | undefined,
  nowSeconds: number,
): number {
  const { timestamps, checksums } = remote;
  if (timestamps === undefined) return local === undefined ? QUERY_ALL : 0;
  const wanted = ([0, 1] as const).filter((direction) => {
    const timestamp = timestamps[direction];
    // An update that checkChannelUpdate would drop is not worth asking for, again and again.
    if (timestamp === 0 || isStale(timestamp, nowSeconds)) return false;
    if (timestamp > nowSeconds + FUTURE_TOLERANCE_SECONDS) return false;
    if (local === undefined) return true;
    const known = local.timestamps[direction];
    if (timestamp <= known) return false;
    const same = known !== 0 && checksums?.[direction] === local.checksums[direction];
    return !same || nowSeconds - known >= REFRESH_AFTER_SECONDS;
  });
  if (wanted.length === 0) return 0;
  const updates = wanted.reduce<number>((flags, direction) => flags | (QUERY_UPDATE_1 << direction), 0);
  return local === undefined ? QUERY_ANNOUNCEMENT | QUERY_NODE_1 | QUERY_NODE_2 | updates : updates;
}
