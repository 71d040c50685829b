import { fromShortChannelId, type QueryChannelRange, type ReplyChannelRange } from '../wire/index.js';
import type { RangeEntry } from './queryFlags.js';

/** How many channels go into one reply: with timestamps and checksums, 24 bytes each, less than 49,000 bytes. */
export const CHANNELS_PER_REPLY = 2000;

const WANTS_TIMESTAMPS = 1n;
const WANTS_CHECKSUMS = 2n;

function blockOf(entry: RangeEntry): number {
  return fromShortChannelId(entry.shortChannelId).blockHeight;
}

/**
 * Makes the replies to one `query_channel_range` from channels that come one after the other, ascending. The
 * replies cover the range without a gap; a block is split over two replies only where it alone fills one.
 */
export class ChannelRangeAnswer {
  readonly #query: QueryChannelRange;
  /** The first block past the range: up to 2^33, which a number holds. */
  readonly #end: number;
  readonly #timestamps: boolean;
  readonly #checksums: boolean;
  /** The first block that no reply covers in full yet. */
  #start: number;
  #entries: RangeEntry[] = [];

  constructor(query: QueryChannelRange) {
    this.#query = query;
    this.#start = query.firstBlocknum;
    this.#end = query.firstBlocknum + Math.max(query.numberOfBlocks, 1);
    const options = query.queryOption ?? 0n;
    this.#timestamps = (options & WANTS_TIMESTAMPS) !== 0n;
    this.#checksums = (options & WANTS_CHECKSUMS) !== 0n;
  }

  /** Whether a channel, and with it all that follow, is past the range. */
  isPast(entry: RangeEntry): boolean {
    return blockOf(entry) >= this.#end;
  }

  /** Takes the next channel; gives a reply when one is full. Channels outside of the range are left out. */
  push(entry: RangeEntry): ReplyChannelRange | undefined {
    const block = blockOf(entry);
    if (block < this.#query.firstBlocknum || block >= this.#end) return undefined;
    const reply = this.#entries.length === CHANNELS_PER_REPLY ? this.#flush(block) : undefined;
    this.#entries.push(entry);
    return reply;
  }

  /** The last reply: there is always one. */
  finish(): ReplyChannelRange {
    // BOLT 7: query_channel_range, receiver: the final reply reaches the end of the range, sync_complete is true
    return this.#reply({ entries: this.#entries, end: this.#end, syncComplete: 1 });
  }

  #flush(nextBlock: number): ReplyChannelRange {
    const lastBlock = blockOf(this.#entries[this.#entries.length - 1] as RangeEntry);
    const ofLastBlock = this.#entries.findIndex((entry) => blockOf(entry) === lastBlock);
    // The last block goes on: leave it to the next reply, unless there is nothing else in this one.
    const cut = lastBlock === nextBlock && ofLastBlock > 0 ? ofLastBlock : this.#entries.length;
    const entries = this.#entries.slice(0, cut);
    const end = blockOf(entries[entries.length - 1] as RangeEntry) + 1;
    const reply = this.#reply({ entries, end, syncComplete: 0 });
    this.#entries = this.#entries.slice(cut);
    // BOLT 7: query_channel_range, receiver: MAY split block contents; first_blocknum never goes back
    this.#start = cut === CHANNELS_PER_REPLY && lastBlock === nextBlock ? lastBlock : end;
    return reply;
  }

  #reply(part: {
    readonly entries: readonly RangeEntry[];
    readonly end: number;
    readonly syncComplete: 0 | 1;
  }): ReplyChannelRange {
    const { entries, end, syncComplete } = part;
    return {
      type: 'reply_channel_range',
      chainHash: this.#query.chainHash,
      firstBlocknum: this.#start,
      numberOfBlocks: end - this.#start,
      syncComplete,
      shortChannelIds: entries.map(({ shortChannelId }) => shortChannelId),
      ...(this.#timestamps && {
        timestamps: entries.map(({ timestamps: [timestampNodeId1, timestampNodeId2] }) => ({
          timestampNodeId1,
          timestampNodeId2,
        })),
      }),
      ...(this.#checksums && {
        checksums: entries.map(({ checksums: [checksumNodeId1, checksumNodeId2] }) => ({
          checksumNodeId1,
          checksumNodeId2,
        })),
      }),
    };
  }
}

/** The replies to a `query_channel_range`, made one by one as they are taken. @param channels ascending. */
export function* answerChannelRange({
  query,
  channels,
}: {
  readonly query: QueryChannelRange;
  readonly channels: Iterable<RangeEntry>;
}): Generator<ReplyChannelRange> {
  const answer = new ChannelRangeAnswer(query);
  for (const entry of channels) {
    if (answer.isPast(entry)) break;
    const reply = answer.push(entry);
    if (reply !== undefined) yield reply;
  }
  yield answer.finish();
}
