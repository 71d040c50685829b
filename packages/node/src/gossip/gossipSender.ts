import { type QueryFault, QueryResponder, type TimestampFilter } from '@rivulet/core/gossip';
import type { Message, UnknownMessage } from '@rivulet/core/wire';
import type { Logger } from '../logging/logger.js';
import type { CancelTimer, Scheduler } from '../peers/scheduler.js';
import { TokenBucket } from '../peers/tokenBucket.js';
import type { GossipLimits } from './gossipLimits.js';
import type { GossipPeers, QueryMessage } from './gossipPorts.js';
import type { NetworkView } from './networkView.js';
import { asSent } from './rawGossip.js';
import { type News, RelayLog } from './relayLog.js';

interface GossipSenderOptions {
  readonly chainHash: Uint8Array;
  readonly view: NetworkView;
  readonly peers: GossipPeers;
  readonly scheduler: Scheduler;
  readonly limits: GossipLimits;
  /** Runs something in a later turn of the event loop. */
  readonly defer: (run: () => void) => void;
  readonly isSynced: () => boolean;
  readonly logger: Logger;
}

type Out = Message | UnknownMessage;

interface PeerOut {
  responder: QueryResponder<UnknownMessage>;
  filter: TimestampFilter | undefined;
  /** Its place in the log of news. */
  place: number;
  /** News that had arrived when its filter came: the backlog brings them. */
  covered: number;
  /** So much waits in its socket that it gets nothing until it has read. */
  blocked: boolean;
  /** Its responder wants to be asked again later. */
  waiting: CancelTimer | undefined;
  /** Since when its queries are answered; absent where they wait for a place. */
  servedSince: number | undefined;
  /** When it last had room for something. */
  sentAt: number;
  /** Ids of a query that is not answered yet. */
  queriedIds: number;
}

/** Messages to one peer before the next has its turn. */
const MESSAGES_PER_TURN = 32;
/** What each peer may have waiting where all together have too much. */
const CROWDED_PEER_BYTES = 16 * 1024;
const PAUSE_MS = 100;
const LOOK_AGAIN_MS = 1_000;

/**
 * All gossip that goes out: answers, backlogs and news. Each message is made when its peer has room for it; nothing
 * is collected for one that reads slowly. Peers take turns, and only so many are answered at the same time; what all
 * of them cost together in bytes and in time of the processor is bounded.
 */
export class GossipSender {
  readonly #given: GossipSenderOptions;
  readonly #log: RelayLog;
  readonly #peers = new Map<string, PeerOut>();
  /** With something to do and room for it, in the order of their turns. */
  readonly #ready = new Set<string>();
  /** Whose queries are being answered; then those that wait, first come first. */
  readonly #served = new Set<string>();
  readonly #queue = new Set<string>();
  readonly #bytes: TokenBucket;
  readonly #processor: TokenBucket;
  #queriedIds = 0;
  #crowded = false;
  #overspent = false;
  #running = false;
  #cancelPause: CancelTimer | undefined;
  #cancelLook: CancelTimer | undefined;
  #stopped = false;

  constructor(options: GossipSenderOptions) {
    this.#given = options;
    const { scheduler, limits } = options;
    this.#log = new RelayLog({ maxEntries: limits.maxRelayed });
    this.#bytes = new TokenBucket(scheduler, limits.servedBytes);
    this.#processor = new TokenBucket(scheduler, limits.servedMs);
  }

  /** Peers whose queries or backlogs are being answered, and those that wait for it. */
  get served(): { readonly now: number; readonly waiting: number; readonly queriedIds: number } {
    return { now: this.#served.size, waiting: this.#queue.size, queriedIds: this.#queriedIds };
  }

  /** News that are kept for peers that have not got them. */
  get newsCount(): number {
    return this.#log.size;
  }

  connected(nodeId: string): void {
    this.disconnected(nodeId);
    this.#peers.set(nodeId, {
      responder: this.#createResponder(),
      filter: undefined,
      place: this.#log.end,
      covered: 0,
      blocked: false,
      waiting: undefined,
      servedSince: undefined,
      sentAt: 0,
      queriedIds: 0,
    });
  }

  disconnected(nodeId: string): void {
    const peer = this.#peers.get(nodeId);
    if (peer === undefined) return;
    this.#stopServing(nodeId, peer);
    this.#peers.delete(nodeId);
    this.#ready.delete(nodeId);
    this.#queue.delete(nodeId);
    this.#admit();
  }

  /** The peer has read what waited for it. */
  drained(nodeId: string): void {
    const peer = this.#peers.get(nodeId);
    if (peer === undefined || !peer.blocked) return;
    peer.blocked = false;
    this.#wake(nodeId);
  }

  /** Takes a query or a filter; says what is wrong with it. */
  receive(nodeId: string, message: QueryMessage): QueryFault | undefined {
    const peer = this.#peers.get(nodeId);
    if (peer === undefined) return undefined;
    const ids = message.type === 'query_short_channel_ids' ? message.shortChannelIds.length : 0;
    // Threat 20: what all peers ask for at once is bounded; beyond it the answer is that we know nothing.
    if (ids > 0 && this.#queriedIds + ids > this.#given.limits.maxQueriedIds && peer.queriedIds === 0) {
      const { chainHash } = this.#given;
      this.#given.peers.send(nodeId, [
        { type: 'reply_short_channel_ids_end', chainHash, fullInformation: 0 },
      ]);
      return undefined;
    }
    const fault = peer.responder.receive(message);
    if (fault !== undefined) return fault;
    peer.queriedIds += ids;
    this.#queriedIds += ids;
    if (message.type === 'gossip_timestamp_filter') {
      peer.filter = peer.responder.filter;
      peer.covered = this.#log.arrivals;
    }
    if (peer.servedSince === undefined && peer.responder.isBusy) {
      this.#queue.add(nodeId);
      this.#admit();
      if (this.#queue.size > 0) this.#lookAgain();
    }
    return undefined;
  }

  /** Passes something on, at the next flush. */
  stage(news: News): void {
    this.#log.stage(news);
  }

  /** Passes something of our own on, at once. */
  publish(news: News): void {
    this.#log.append(news);
    this.#wakeAll();
  }

  knownBy(news: { key: string; timestamp: number }, peer: string): void {
    this.#log.knownBy(news, peer);
  }

  /** BOLT 7: rebroadcasting: outgoing gossip is flushed at intervals, independently of when it came. */
  flush(): void {
    if (this.#log.flush()) this.#wakeAll();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelPause?.();
    this.#cancelLook?.();
    for (const peer of this.#peers.values()) peer.waiting?.();
  }

  #createResponder(): QueryResponder<UnknownMessage> {
    const { chainHash, view, isSynced } = this.#given;
    return new QueryResponder<UnknownMessage>({ chainHash, source: view.source, isSynced });
  }

  #wakeAll(): void {
    for (const nodeId of this.#peers.keys()) this.#wake(nodeId);
  }

  #wake(nodeId: string): void {
    if (this.#stopped || this.#peers.get(nodeId)?.blocked !== false) return;
    this.#ready.add(nodeId);
    this.#schedule();
  }

  /** Gives free places to who waits for one; takes them from who had theirs for long enough. */
  #admit(): void {
    const { limits, scheduler } = this.#given;
    for (const nodeId of this.#queue) {
      if (this.#served.size >= limits.maxServedPeers && !this.#takePlace()) return;
      this.#queue.delete(nodeId);
      const peer = this.#peers.get(nodeId);
      if (peer === undefined) continue;
      this.#served.add(nodeId);
      peer.servedSince = scheduler.now();
      this.#wake(nodeId);
    }
  }

  /**
   * Threat 19, 20: a peer that reads slowly, or asks again and again, cannot keep its place. What it asked for is
   * not answered any more; its filter stays.
   */
  #takePlace(): boolean {
    const { scheduler, limits } = this.#given;
    for (const nodeId of this.#served) {
      const peer = this.#peers.get(nodeId) as PeerOut;
      const since = peer.servedSince as number;
      const stalled = scheduler.now() - Math.max(since, peer.sentAt) >= limits.servedStallMs;
      if (!stalled && scheduler.now() - since < limits.servedForMs) continue;
      this.#stopServing(nodeId, peer);
      peer.responder = this.#createResponder();
      return true;
    }
    return false;
  }

  #stopServing(nodeId: string, peer: PeerOut): void {
    this.#served.delete(nodeId);
    peer.servedSince = undefined;
    peer.waiting?.();
    peer.waiting = undefined;
    this.#queriedIds -= peer.queriedIds;
    peer.queriedIds = 0;
  }

  #run(): void {
    this.#running = false;
    if (this.#stopped) return;
    const { scheduler, limits } = this.#given;
    const start = scheduler.now();
    this.#crowded = this.#waitingBytes() > limits.maxWaitingBytes;
    this.#admit();
    let turns = this.#ready.size;
    for (const nodeId of this.#ready) {
      if (turns-- <= 0 || scheduler.now() - start >= limits.sliceMs) break;
      this.#ready.delete(nodeId);
      if (this.#feedGuarded(nodeId)) this.#ready.add(nodeId);
    }
    this.#trim();
    if (this.#queue.size > 0 || this.#crowded) this.#lookAgain();
    const affordable = this.#processor.take(Math.max(0, scheduler.now() - start)) && !this.#overspent;
    this.#overspent = false;
    if (!affordable) this.#pause();
    else this.#schedule();
  }

  #schedule(): void {
    if (this.#stopped || this.#running || this.#cancelPause !== undefined || this.#ready.size === 0) return;
    this.#running = true;
    this.#given.defer(() => this.#run());
  }

  /** What all of it costs is at its bound. */
  #pause(): void {
    this.#cancelPause ??= this.#given.scheduler.schedule(PAUSE_MS, () => {
      this.#cancelPause = undefined;
      this.#schedule();
    });
  }

  /** For peers that wait for a place, or for others to read: nothing else tells when they may go on. */
  #lookAgain(): void {
    this.#cancelLook ??= this.#given.scheduler.schedule(LOOK_AGAIN_MS, () => {
      this.#cancelLook = undefined;
      this.#admit();
      if (this.#queue.size > 0) this.#lookAgain();
      this.#wakeAll();
    });
  }

  /** A fault of our own over what one peer asked for costs it the answer, and the node nothing. */
  #feedGuarded(nodeId: string): boolean {
    try {
      return this.#feed(nodeId);
    } catch (error) {
      this.#given.logger.error({ err: error }, 'a query of gossip could not be answered');
      const peer = this.#peers.get(nodeId);
      if (peer === undefined) return false;
      this.#stopServing(nodeId, peer);
      peer.responder = this.#createResponder();
      return false;
    }
  }

  /** Sends a peer what is next for it. @returns whether there may be more, and room for it. */
  #feed(nodeId: string): boolean {
    const peer = this.#peers.get(nodeId);
    if (peer === undefined) return false;
    const { peers, scheduler, limits } = this.#given;
    for (let i = 0; i < MESSAGES_PER_TURN; i++) {
      const waiting = peers.outboundBytes(nodeId);
      if (this.#crowded && waiting >= CROWDED_PEER_BYTES) return false;
      if (waiting >= limits.maxWaitingPeerBytes) {
        peer.blocked = true;
        return false;
      }
      const { news, place } = this.#log.next(peer.place, {
        peer: nodeId,
        filter: peer.filter,
        covered: peer.covered,
      });
      peer.place = place;
      if (news !== undefined) {
        if (news.own || !isAhead(peer.responder, news)) this.#send(nodeId, news.messages.map(asSent));
        continue;
      }
      if (peer.servedSince === undefined || peer.waiting !== undefined) return false;
      const step = peer.responder.step(scheduler.now());
      switch (step.type) {
        case 'send':
          peer.sentAt = scheduler.now();
          this.#send(nodeId, [step.message]);
          if (step.message.type !== 'reply_short_channel_ids_end') break;
          this.#queriedIds -= peer.queriedIds;
          peer.queriedIds = 0;
          break;
        case 'wait':
          if (step.ms === 0) return true;
          peer.waiting = scheduler.schedule(step.ms, () => {
            peer.waiting = undefined;
            this.#wake(nodeId);
          });
          return false;
        case 'idle':
          this.#stopServing(nodeId, peer);
          this.#admit();
          return false;
        default:
          return step satisfies never;
      }
    }
    return true;
  }

  #send(nodeId: string, messages: readonly Out[]): void {
    const { peers } = this.#given;
    const before = peers.outboundBytes(nodeId);
    peers.send(nodeId, messages);
    // Where the socket took it at once nothing waits: then its least is counted.
    const bytes = Math.max(peers.outboundBytes(nodeId) - before, 140 * messages.length);
    if (!this.#bytes.take(bytes)) this.#overspent = true;
  }

  #waitingBytes(): number {
    let bytes = 0;
    for (const nodeId of this.#peers.keys()) bytes += this.#given.peers.outboundBytes(nodeId);
    return bytes;
  }

  #trim(): void {
    let least = this.#log.end;
    for (const { place } of this.#peers.values()) least = Math.min(least, place);
    this.#log.trim(least);
  }
}

/** Whether the peer's backlog will come by it: then it need not be sent twice. */
function isAhead(responder: QueryResponder<UnknownMessage>, { about }: News): boolean {
  return typeof about === 'bigint' ? responder.isChannelAhead(about) : responder.isNodeAhead(about);
}
