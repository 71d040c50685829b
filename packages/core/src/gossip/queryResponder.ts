import { equalBytes } from '../bytes/index.js';
import type {
  GossipTimestampFilter,
  Message,
  QueryChannelRange,
  QueryShortChannelIds,
} from '../wire/index.js';
import { ChannelRangeAnswer } from './channelRangeAnswer.js';
import {
  type PerDirection,
  QUERY_ALL,
  QUERY_ANNOUNCEMENT,
  QUERY_NODE_1,
  QUERY_NODE_2,
  QUERY_UPDATE_1,
  QUERY_UPDATE_2,
  type RangeEntry,
} from './queryFlags.js';
import { TimestampFilter } from './timestampFilter.js';
import { TokenBucket } from './tokenBucket.js';
import type { Punishment } from './verdict.js';

/** The gossip of one channel, as it is stored. */
export interface ChannelGossip<Stored> {
  readonly announcement: Stored;
  /** The latest of each direction. */
  readonly updates: readonly [Stored | undefined, Stored | undefined];
  /** Of the same updates, in seconds; 0 where there is none. */
  readonly timestamps: PerDirection;
  /** Of `node_id_1` and `node_id_2`, in hex. */
  readonly nodeIds: readonly [string, string];
}

/**
 * What a QueryResponder reads. It asks again for each page, so that nothing is held open while a slow peer
 * reads, and what changed meanwhile is told as it is then. `Stored` is a message in whatever form it is sent.
 */
export interface GossipSource<Stored> {
  /** At most `limit` announced, unspent channels with this id or a greater one, ascending. */
  channelsFrom(shortChannelId: bigint, limit: number): readonly RangeEntry[];
  channel(shortChannelId: bigint): ChannelGossip<Stored> | undefined;
  /** At most `limit` announced nodes with an id (hex) greater than this, ascending. */
  nodesFrom(
    nodeId: string,
    limit: number,
  ): readonly { readonly nodeId: string; readonly timestamp: number }[];
  node(nodeId: string): Stored | undefined;
}

/** What is wrong with a query of a peer. */
export interface QueryFault {
  readonly fault: /** Another one of its kind is being answered. */
    | 'query_outstanding'
    /** Ids that do not ascend, or flags that are not one for each id. */
    | 'query_invalid';
  readonly punish: Punishment;
}

/** What is next to be done for a peer. */
export type ResponderStep<Stored> =
  | { readonly type: 'send'; readonly message: Message | Stored }
  /** Nothing to be sent was found in this step: come back after so many milliseconds, 0 for the next turn. */
  | { readonly type: 'wait'; readonly ms: number }
  /** Nothing to do until the next query or filter. */
  | { readonly type: 'idle' };

export interface QueryResponderOptions<Stored> {
  readonly chainHash: Uint8Array;
  readonly source: GossipSource<Stored>;
  /** Whether we follow the chain and the gossip well enough to say `full_information`. */
  readonly isSynced: () => boolean;
}

/** How many channels or nodes are looked at in one step, at most. */
const RECORDS_PER_STEP = 250;

/**
 * How many may be looked at for one peer: a whole synchronisation of today's network in one go (its range, each
 * channel, the backlog), and then so many a second, however often it asks.
 */
const RECORDS_AT_ONCE = 250_000;
const RECORDS_PER_SECOND = 5_000;

/** How many ids of sent node_announcements are remembered during one query, so that few are sent twice. */
const REMEMBERED_NODES = 1024;

/** Yields what to send, or nothing where it only looked; returns the last message, so that the answer ends with it. */
type Answer<Stored> = Generator<Message | Stored | undefined, Message | Stored | undefined, void>;

/**
 * Answers one peer's queries and its filter. Answers are made one message at a time, when the caller has room for
 * it in the peer's socket: whatever the peer asks and however slowly it reads, there is at most one answer of each
 * kind, and of each only the place that it has reached.
 */
export class QueryResponder<Stored = Message> {
  readonly #options: QueryResponderOptions<Stored>;
  readonly #budget = new TokenBucket({ capacity: RECORDS_AT_ONCE, perSecond: RECORDS_PER_SECOND });
  #range: Answer<Stored> | undefined;
  #channels: Answer<Stored> | undefined;
  #backlog: Answer<Stored> | undefined;
  #backlogChannels: Progress<bigint> | undefined;
  #backlogNodes: Progress<string> | undefined;
  #filter: TimestampFilter | undefined;
  #looked = 0;

  constructor(options: QueryResponderOptions<Stored>) {
    this.#options = options;
  }

  /** The filter that is in force; before the first, the peer gets no gossip that is not our own (BOLT 7). */
  get filter(): TimestampFilter | undefined {
    return this.#filter;
  }

  /** Whether there is something to send, or to look for. */
  get isBusy(): boolean {
    return this.#range !== undefined || this.#channels !== undefined || this.#backlog !== undefined;
  }

  /** Whether the backlog will still come by this channel: then new gossip of it needs no sending now. */
  isChannelAhead(shortChannelId: bigint): boolean {
    return isAhead(this.#backlogChannels, shortChannelId);
  }

  /** The same for the `node_announcement` of a node. @param nodeId in hex. */
  isNodeAhead(nodeId: string): boolean {
    return isAhead(this.#backlogNodes, nodeId);
  }

  /** Takes a query or a filter; says what is wrong with it, if anything. Nothing is looked up yet. */
  receive(message: QueryChannelRange | QueryShortChannelIds | GossipTimestampFilter): QueryFault | undefined {
    switch (message.type) {
      case 'query_channel_range':
        return this.#receiveRange(message);
      case 'query_short_channel_ids':
        return this.#receiveShortChannelIds(message);
      case 'gossip_timestamp_filter':
        this.#receiveFilter(message);
        return undefined;
      default:
        return message satisfies never;
    }
  }

  /**
   * The next thing to do: call it when the peer's socket has room.
   * @param nowMs a clock that does not go back, in milliseconds.
   */
  step(nowMs: number): ResponderStep<Stored> {
    if (!this.isBusy) return { type: 'idle' };
    const ms = this.#budget.waitMs(nowMs);
    if (ms > 0) return { type: 'wait', ms };
    this.#looked = 1;
    const message = this.#next();
    this.#budget.spend(this.#looked);
    if (message !== undefined) return { type: 'send', message };
    return this.isBusy ? { type: 'wait', ms: 0 } : { type: 'idle' };
  }

  #next(): Message | Stored | undefined {
    // What was asked for goes before the backlog.
    const answer = this.#range ?? this.#channels ?? this.#backlog;
    const result = answer?.next();
    if (result?.done === true) {
      if (answer === this.#range) this.#range = undefined;
      else if (answer === this.#channels) this.#channels = undefined;
      else this.#backlog = undefined;
    }
    return result?.value;
  }

  #receiveRange(query: QueryChannelRange): QueryFault | undefined {
    // BOLT 7: query_channel_range, receiver: a second one before all replies: MAY warn and close
    if (this.#range !== undefined) return { fault: 'query_outstanding', punish: 'warn_and_close' };
    this.#range = this.#answerRange(query);
    return undefined;
  }

  #receiveShortChannelIds(query: QueryShortChannelIds): QueryFault | undefined {
    // BOLT 7: query_short_channel_ids, receiver: a second one before the end of the first: MAY warn and close
    if (this.#channels !== undefined) return { fault: 'query_outstanding', punish: 'warn_and_close' };
    const { shortChannelIds, queryFlags } = query;
    // BOLT 7: encoding type 0: in ascending order
    const ascends = shortChannelIds.every((id, at) => at === 0 || id > (shortChannelIds[at - 1] as bigint));
    // BOLT 7: query_short_channel_ids, receiver: not exactly one flag for each id: MAY warn and close
    if (!ascends || (queryFlags !== undefined && queryFlags.length !== shortChannelIds.length)) {
      return { fault: 'query_invalid', punish: 'warn_and_close' };
    }
    this.#channels = this.#answerShortChannelIds(query);
    return undefined;
  }

  #receiveFilter(message: GossipTimestampFilter): void {
    if (!this.#isOurs(message)) return;
    // BOLT 7: gossip_timestamp_filter: it replaces any previous one, and with it the backlog of that one
    this.#filter = new TimestampFilter(message);
    this.#backlogChannels = { last: -1n, pending: new Set() };
    this.#backlogNodes = { last: '', pending: new Set() };
    this.#backlog = this.#sendBacklog(this.#filter);
  }

  #isOurs({ chainHash }: { readonly chainHash: Uint8Array }): boolean {
    return equalBytes(chainHash, this.#options.chainHash);
  }

  *#answerRange(query: QueryChannelRange): Answer<Stored> {
    const answer = new ChannelRangeAnswer(query);
    let from: bigint | undefined = this.#isOurs(query) ? firstIdOf(query.firstBlocknum) : undefined;
    while (from !== undefined) {
      const page: readonly RangeEntry[] = this.#options.source.channelsFrom(from, RECORDS_PER_STEP);
      this.#looked += page.length;
      for (const entry of page) {
        const reply = answer.push(entry);
        if (reply !== undefined) yield reply;
      }
      const last = page.at(-1);
      if (page.length < RECORDS_PER_STEP || last === undefined || answer.isPast(last)) break;
      from = last.shortChannelId + 1n;
      yield undefined;
    }
    // BOLT 7: query_channel_range, receiver: MUST respond with one or more, of an unknown chain too
    return answer.finish();
  }

  *#answerShortChannelIds(query: QueryShortChannelIds): Answer<Stored> {
    const { chainHash, shortChannelIds, queryFlags } = query;
    const ours = this.#isOurs(query);
    const sentNodes = new Set<string>();
    for (let at = 0; ours && at < shortChannelIds.length; at++) {
      if (at % RECORDS_PER_STEP === RECORDS_PER_STEP - 1) yield undefined;
      this.#looked++;
      const gossip = this.#options.source.channel(shortChannelIds[at] as bigint);
      if (gossip === undefined) continue;
      const flags =
        queryFlags === undefined ? QUERY_ALL : Number((queryFlags[at] as bigint) & BigInt(QUERY_ALL));
      const { announcement, updates, nodeIds } = gossip;
      if (flags & QUERY_ANNOUNCEMENT) yield announcement;
      if (flags & QUERY_UPDATE_1 && updates[0] !== undefined) yield updates[0];
      if (flags & QUERY_UPDATE_2 && updates[1] !== undefined) yield updates[1];
      for (const [flag, nodeId] of [
        [QUERY_NODE_1, nodeIds[0]],
        [QUERY_NODE_2, nodeIds[1]],
      ] as const) {
        // BOLT 7: query_short_channel_ids, receiver: SHOULD avoid duplicate node_announcements
        if (!(flags & flag) || sentNodes.has(nodeId)) continue;
        this.#looked++;
        const node = this.#options.source.node(nodeId);
        if (node === undefined) continue;
        if (sentNodes.size < REMEMBERED_NODES) sentNodes.add(nodeId);
        yield node;
      }
    }
    return {
      type: 'reply_short_channel_ids_end',
      chainHash,
      // BOLT 7: query_short_channel_ids, receiver: 0 where we do not keep up with this chain
      fullInformation: ours && this.#options.isSynced() ? 1 : 0,
    };
  }

  /** All that passes the filter: first the channels, so that each comes before the nodes at its ends. */
  *#sendBacklog(filter: TimestampFilter): Answer<Stored> {
    yield* this.#sendChannels(filter);
    return yield* this.#sendNodes(filter);
  }

  *#sendChannels(filter: TimestampFilter): Answer<Stored> {
    const { source } = this.#options;
    for (let last = -1n; ; ) {
      const page = source.channelsFrom(last + 1n, RECORDS_PER_STEP);
      this.#looked += page.length;
      const passing = page.filter(({ timestamps }) => filter.passesChannel(timestamps));
      const pending = new Set(passing.map(({ shortChannelId }) => shortChannelId));
      last = page.at(-1)?.shortChannelId ?? last;
      this.#backlogChannels = { last, pending };
      for (const shortChannelId of pending) {
        pending.delete(shortChannelId);
        this.#looked++;
        const gossip = source.channel(shortChannelId);
        if (gossip === undefined) continue;
        yield gossip.announcement;
        for (const direction of [0, 1] as const) {
          const update = gossip.updates[direction];
          if (update !== undefined && filter.passesTimestamp(gossip.timestamps[direction])) yield update;
        }
      }
      if (page.length < RECORDS_PER_STEP) break;
      yield undefined;
    }
    this.#backlogChannels = undefined;
    return undefined;
  }

  *#sendNodes(filter: TimestampFilter): Answer<Stored> {
    const { source } = this.#options;
    for (let last = ''; ; ) {
      const page = source.nodesFrom(last, RECORDS_PER_STEP);
      this.#looked += page.length;
      const passing = page.filter(({ timestamp }) => filter.passesTimestamp(timestamp));
      const pending = new Set(passing.map(({ nodeId }) => nodeId));
      last = page.at(-1)?.nodeId ?? last;
      this.#backlogNodes = { last, pending };
      for (const nodeId of pending) {
        pending.delete(nodeId);
        this.#looked++;
        const node = source.node(nodeId);
        if (node !== undefined) yield node;
      }
      if (page.length < RECORDS_PER_STEP) break;
      yield undefined;
    }
    this.#backlogNodes = undefined;
    return undefined;
  }
}

/** How far a backlog came, among channels or among nodes. Absent: it is past them all. */
interface Progress<Key> {
  /** The last one that was looked at. */
  readonly last: Key;
  /** Those up to it that pass the filter and are not sent yet. */
  readonly pending: ReadonlySet<Key>;
}

function isAhead<Key extends bigint | string>(progress: Progress<Key> | undefined, key: Key): boolean {
  return progress !== undefined && (key > progress.last || progress.pending.has(key));
}

/** The least id of a channel funded in a block; `undefined` where a block is too high for an id. */
function firstIdOf(block: number): bigint | undefined {
  return block < 2 ** 24 ? BigInt(block) << 40n : undefined;
}
