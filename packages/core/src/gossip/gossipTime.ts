/** BOLT 7, pruning stale entries: two weeks. */
export const STALE_AFTER_SECONDS = 1_209_600;

/** How far ahead of our clock a timestamp may be: clocks differ, and a second can have two updates. */
export const FUTURE_TOLERANCE_SECONDS = 86_400;

/**
 * How old an update of our own may grow before it is signed anew. Half of the two weeks: the network has a week
 * to hear of it, and we a week to be away, before anybody prunes our channel.
 */
export const REFRESH_AFTER_SECONDS = STALE_AFTER_SECONDS / 2;

const MAX_U32 = 0xffff_ffff;

/** Whether a timestamp is older than two weeks. All in seconds. */
export function isStale(timestamp: number, nowSeconds: number): boolean {
  return nowSeconds - timestamp > STALE_AFTER_SECONDS;
}

/**
 * Whether a channel may be pruned: the older of its two updates counts, as both ends are needed (BOLT 7,
 * recommendation on pruning). A direction that was never heard of is as old as the announcement is with us.
 */
export function isChannelStale(channel: {
  /** Of the latest update of each direction, in seconds; 0 where there is none. */
  readonly timestamps: readonly [number, number];
  /** When we learned of the channel, in seconds. */
  readonly knownSinceSeconds: number;
  readonly nowSeconds: number;
}): boolean {
  const { timestamps, knownSinceSeconds, nowSeconds } = channel;
  return timestamps.some((timestamp) => isStale(timestamp || knownSinceSeconds, nowSeconds));
}

/** Whether it is time to sign an update of ours again though nothing changed. */
export function needsRefresh(timestamp: number, nowSeconds: number): boolean {
  return nowSeconds - timestamp >= REFRESH_AFTER_SECONDS;
}

/**
 * The timestamp of our next `channel_update` or `node_announcement`: now, but above 0 and above the last one
 * (BOLT 7, origin node), even where the clock went back.
 * @param previous that of the last message about the same; absent when there was none.
 */
export function nextTimestamp(previous: number | undefined, nowSeconds: number): number {
  return Math.min(Math.max(Math.floor(nowSeconds), (previous ?? 0) + 1), MAX_U32);
}
