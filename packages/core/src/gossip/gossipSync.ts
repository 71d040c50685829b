import { equalBytes } from '../bytes/index.js';
import {
  fromShortChannelId,
  type Message,
  type ReplyChannelRange,
  type ReplyShortChannelIdsEnd,
} from '../wire/index.js';
import { GossipError } from './gossipError.js';
import type { RemoteChannel } from './queryFlags.js';
import type { Punishment } from './verdict.js';

/** What is wrong with an answer of a peer. After it the synchronisation with that peer is over. */
export interface SyncFault {
  readonly fault: /** Nothing was asked for that this could answer; what is under way goes on. */
    | 'reply_unexpected'
    /** It is about another chain. */
    | 'chain_unknown'
    /** Ids that do not ascend, or timestamps or checksums that are not one for each id. */
    | 'reply_invalid'
    /** Its blocks do not touch the range that was asked for, or go back. */
    | 'reply_out_of_range'
    /** More replies, or more channels in them, than any network has. */
    | 'reply_endless'
    /** The peer does not answer. */
    | 'peer_silent';
  readonly punish: Punishment;
}

/** What follows from an event. */
export interface SyncStep {
  /** At most one message: there is never more than one query under way. */
  readonly send: readonly Message[];
  /** Whether nothing is under way any more: true with the step that ended it. */
  readonly done: boolean;
  readonly fault?: SyncFault;
}

export interface GossipSyncOptions {
  readonly chainHash: Uint8Array;
  /** Whether the peer offers `gossip_queries_ex`: timestamps, checksums and flags. */
  readonly extended: boolean;
  /** What to ask about a channel that the peer has, as bits of `query_flags`; 0 for nothing. See wantedFlags. */
  readonly wanted: (channel: RemoteChannel) => number;
}

/** The most channels that the replies to one range may tell of, or that may wait: five times the network of 2026. */
export const MAX_RANGE_CHANNELS = 250_000;

/** The most replies to one range: five times what the largest network needs at 250 channels each. */
export const MAX_RANGE_REPLIES = 1_000;

/** How many channels are asked for in one query: about half a megabyte of gossip comes for it. */
export const CHANNELS_PER_QUERY = 500;

const WANT_TIMESTAMPS_AND_CHECKSUMS = 3n;

interface Range {
  readonly first: number;
  /** The first block past the range: up to 2^33, which a number holds. */
  readonly end: number;
  readonly replies: number;
  readonly channels: number;
  /** `first_blocknum` of the last reply. */
  readonly previous: number;
  /** The first block that no reply reached. */
  readonly reached: number;
  /** The greatest id that was told. */
  readonly lastId: bigint;
}

const nothing: SyncStep = { send: [], done: false };

/**
 * Asks one peer for what we lack: first which channels it has in a range of blocks, then for the gossip of those
 * that are wanted, some at a time. Pure: it says what to send, and is told what came. The gossip itself comes as
 * ordinary messages and is none of its business. Whatever the peer answers, the range ends after a bounded number
 * of replies, and what is kept for it is bounded; that it answers at all is for a timer of the caller to see, who
 * then calls `timeout`.
 */
export class GossipSync {
  readonly #options: GossipSyncOptions;
  #range: Range | undefined;
  /** Channels to be asked for, with flags, in the order of their arrival. */
  #waiting = new Map<bigint, number>();
  /** How many ids the query that is not answered yet has. */
  #asked: number | undefined;
  #complete = true;

  constructor(options: GossipSyncOptions) {
    this.#options = options;
  }

  /** Whether an answer of the peer is awaited: then a timer of the caller should run. */
  get isBusy(): boolean {
    return this.#range !== undefined || this.#asked !== undefined;
  }

  /** Whether the peer said of all its answers so far that it has full information. */
  get isComplete(): boolean {
    return this.#complete;
  }

  /** How many channels wait to be asked for. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Asks which channels were funded in these blocks.
   * @throws GossipError `query_outstanding` when a range is under way; `gossip_argument_invalid` for no block at all.
   */
  start(range: { readonly firstBlocknum: number; readonly numberOfBlocks: number }): SyncStep {
    // BOLT 7: query_channel_range, sender: MUST NOT send before all replies to a previous one came
    if (this.#range !== undefined) {
      throw new GossipError('query_outstanding', 'the last query_channel_range is still being answered');
    }
    const { firstBlocknum, numberOfBlocks } = range;
    if (!(numberOfBlocks >= 1)) {
      throw new GossipError('gossip_argument_invalid', 'number_of_blocks must be at least 1');
    }
    this.#range = {
      first: firstBlocknum,
      end: firstBlocknum + numberOfBlocks,
      replies: 0,
      channels: 0,
      previous: 0,
      reached: 0,
      lastId: -1n,
    };
    const { chainHash, extended } = this.#options;
    const query: Message = {
      type: 'query_channel_range',
      chainHash,
      firstBlocknum,
      numberOfBlocks,
      ...(extended && { queryOption: WANT_TIMESTAMPS_AND_CHECKSUMS }),
    };
    return { send: [query], done: false };
  }

  /**
   * Asks for the gossip of a channel besides, for example of one whose `channel_update` came without its
   * announcement. Nothing happens when too many wait already.
   */
  request(shortChannelId: bigint, flags: number): SyncStep {
    this.#want(shortChannelId, flags);
    const send = this.#ask();
    return { send, done: false };
  }

  /** Takes an answer of the peer. */
  receive(message: ReplyChannelRange | ReplyShortChannelIdsEnd): SyncStep {
    return message.type === 'reply_channel_range' ? this.#receiveRange(message) : this.#receiveEnd(message);
  }

  /**
   * The peer has not answered for too long. What it told of the range so far is used; a query for channels that is
   * not answered ends the synchronisation. Answers that come later are unexpected: do not ask this peer again before
   * it is connected anew.
   */
  timeout(): SyncStep {
    if (this.#asked !== undefined) return this.#fail('peer_silent', 'ignore');
    const range = this.#range;
    if (range === undefined) return nothing;
    if (range.replies === 0) return this.#fail('peer_silent', 'ignore');
    this.#complete = false;
    return this.#endRange();
  }

  #receiveRange(reply: ReplyChannelRange): SyncStep {
    const range = this.#range;
    if (range === undefined) return unexpected;
    const { firstBlocknum, numberOfBlocks, shortChannelIds } = reply;
    if (!equalBytes(reply.chainHash, this.#options.chainHash)) return this.#fail('chain_unknown');
    if (!isWellFormed(reply)) return this.#fail('reply_invalid');
    const end = firstBlocknum + numberOfBlocks;
    // BOLT 7: query_channel_range, receiver: the first reply begins at or before the range and reaches into it,
    // successive ones do not go back; each overlaps the range (rationale)
    const first = range.replies === 0;
    const begins = first ? firstBlocknum <= range.first : firstBlocknum >= range.previous;
    if (!begins || end <= range.first || firstBlocknum >= range.end) return this.#fail('reply_out_of_range');
    const replies = range.replies + 1;
    const channels = range.channels + shortChannelIds.length;
    if (replies > MAX_RANGE_REPLIES || channels > MAX_RANGE_CHANNELS) return this.#fail('reply_endless');
    const lastId = this.#takeChannels(reply, range);
    const reached = Math.max(range.reached, end);
    this.#range = { ...range, replies, channels, previous: firstBlocknum, reached, lastId };
    // Some set sync_complete in every reply, and the last block of the range can be split: both must be there.
    return reply.syncComplete !== 0 && reached >= range.end ? this.#endRange() : nothing;
  }

  /** Remembers which channels of a reply are wanted; gives the greatest id that was told. */
  #takeChannels(reply: ReplyChannelRange, range: Range): bigint {
    let { lastId } = range;
    reply.shortChannelIds.forEach((shortChannelId, at) => {
      // Stored replies may overlap, and may reach out of the range.
      if (shortChannelId <= lastId) return;
      lastId = shortChannelId;
      const { blockHeight } = fromShortChannelId(shortChannelId);
      if (blockHeight < range.first || blockHeight >= range.end) return;
      const timestamps = reply.timestamps?.[at];
      const checksums = reply.checksums?.[at];
      const flags = this.#options.wanted({
        shortChannelId,
        ...(timestamps && { timestamps: [timestamps.timestampNodeId1, timestamps.timestampNodeId2] }),
        ...(checksums && { checksums: [checksums.checksumNodeId1, checksums.checksumNodeId2] }),
      });
      this.#want(shortChannelId, flags);
    });
    return lastId;
  }

  #endRange(): SyncStep {
    this.#range = undefined;
    const send = this.#ask();
    return { send, done: !this.isBusy };
  }

  #receiveEnd(reply: ReplyShortChannelIdsEnd): SyncStep {
    if (this.#asked === undefined) return unexpected;
    if (!equalBytes(reply.chainHash, this.#options.chainHash)) return this.#fail('chain_unknown');
    this.#asked = undefined;
    if (reply.fullInformation === 0) this.#complete = false;
    const send = this.#ask();
    return { send, done: !this.isBusy };
  }

  #want(shortChannelId: bigint, flags: number): void {
    if (flags === 0) return;
    const known = this.#waiting.get(shortChannelId);
    if (known === undefined && this.#waiting.size >= MAX_RANGE_CHANNELS) return;
    this.#waiting.set(shortChannelId, (known ?? 0) | flags);
  }

  /** The next query, where there is something to ask for and none is under way. */
  #ask(): Message[] {
    // BOLT 7: query_short_channel_ids, sender: MUST NOT send before the end of a previous one
    if (this.#asked !== undefined || this.#range !== undefined || this.#waiting.size === 0) return [];
    const batch: [bigint, number][] = [];
    for (const entry of this.#waiting) {
      if (batch.length === CHANNELS_PER_QUERY) break;
      batch.push(entry);
    }
    for (const [shortChannelId] of batch) this.#waiting.delete(shortChannelId);
    // BOLT 7: encoding type 0: in ascending order
    batch.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    this.#asked = batch.length;
    const { chainHash, extended } = this.#options;
    return [
      {
        type: 'query_short_channel_ids',
        chainHash,
        shortChannelIds: batch.map(([shortChannelId]) => shortChannelId),
        ...(extended && { queryFlags: batch.map(([, flags]) => BigInt(flags)) }),
      },
    ];
  }

  #fail(fault: SyncFault['fault'], punish: Punishment = 'warn_and_close'): SyncStep {
    this.#range = undefined;
    this.#asked = undefined;
    this.#waiting.clear();
    this.#complete = false;
    return { send: [], done: true, fault: { fault, punish } };
  }
}

const unexpected: SyncStep = { ...nothing, fault: { fault: 'reply_unexpected', punish: 'ignore' } };

/** Ids ascend, and there are as many timestamps and checksums as ids (BOLT 7, query messages). */
function isWellFormed({ shortChannelIds, timestamps, checksums }: ReplyChannelRange): boolean {
  const count = shortChannelIds.length;
  return (
    (timestamps === undefined || timestamps.length === count) &&
    (checksums === undefined || checksums.length === count) &&
    shortChannelIds.every((id, at) => at === 0 || id > (shortChannelIds[at - 1] as bigint))
  );
}
