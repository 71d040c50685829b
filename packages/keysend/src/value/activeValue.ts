import type { RecipientsBlock, RemoteItem, ValueBlock, ValueTimeSplit } from './valueBlock.js';

/** Who is paid at a position: what `splitAmount` takes. */
export interface ActiveValue {
  /** Its fees come first, whatever the time split; its time splits say nothing more here. */
  readonly block: ValueBlock;
  /** The recipients of the time split in force: a remote block's, or those written in the time split itself. */
  readonly remote?: RecipientsBlock;
  /** 0 to 100: what of the rest goes to `remote`; 0 where there is none. */
  readonly remotePercentage: number;
  /** What the time split points at: for the records of a payment. Also there when it could not be loaded. */
  readonly remoteItem?: RemoteItem;
  /** Where in the remote item this position is. */
  readonly remoteSeconds?: number;
  /** Which of `block.timeSplits`. */
  readonly timeSplitIndex?: number;
}

/**
 * Which recipients apply at a position. An item's block overrides the channel's. Where time splits overlap, the one
 * that began last applies (the later in the feed, of two that begin together); each includes its start and not its
 * end. A remote block's own time splits are ignored, as the namespace asks. Where `remoteOf` knows no recipients for
 * a remote item, the block's own get everything.
 */
export function activeBlock(request: {
  readonly channel?: ValueBlock | undefined;
  readonly item?: ValueBlock | undefined;
  readonly positionSeconds: number;
  /** The recipients of what the time split at this index points at. */
  readonly remoteOf?: (timeSplit: ValueTimeSplit, index: number) => RecipientsBlock | undefined;
}): ActiveValue | undefined {
  const block = request.item ?? request.channel;
  if (block === undefined) return undefined;
  const position = Number.isFinite(request.positionSeconds) ? Math.max(0, request.positionSeconds) : 0;
  const index = timeSplitAt(block.timeSplits, position);
  const timeSplit = index === undefined ? undefined : block.timeSplits[index];
  if (index === undefined || timeSplit === undefined) return { block, remotePercentage: 0 };
  const { target } = timeSplit;
  if (target.type === 'recipients') {
    const remote = { recipients: target.recipients };
    return { block, remote, remotePercentage: 100, timeSplitIndex: index };
  }
  const remote = request.remoteOf?.(timeSplit, index);
  return {
    block,
    ...(remote === undefined ? {} : { remote: { recipients: remote.recipients } }),
    remotePercentage: remote === undefined ? 0 : timeSplit.remotePercentage,
    remoteItem: target.remoteItem,
    remoteSeconds: timeSplit.remoteStartSeconds + position - timeSplit.startSeconds,
    timeSplitIndex: index,
  };
}

function timeSplitAt(timeSplits: readonly ValueTimeSplit[], position: number): number | undefined {
  let found: number | undefined;
  let foundStart = Number.NEGATIVE_INFINITY;
  const at = micros(position);
  for (const [index, { startSeconds, durationSeconds }] of timeSplits.entries()) {
    if (at < micros(startSeconds) || at >= micros(startSeconds + durationSeconds)) continue;
    if (startSeconds < foundStart) continue;
    found = index;
    foundStart = startSeconds;
  }
  return found;
}

/** 1.1 + 2.2 is more than 3.3 in floating point: whoever asks at 3.3 means the end of that time split all the same. */
function micros(seconds: number): number {
  return Math.round(seconds * 1_000_000);
}
