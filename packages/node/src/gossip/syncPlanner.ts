import { GossipSync, type RemoteChannel, type SyncStep } from '@rivulet/core/gossip';
import { hasFeature, initFeatures, type Message } from '@rivulet/core/wire';
import { type Logger, peerLogger } from '../logging/logger.js';
import type { PeerInfo } from '../peers/peerManager.js';
import type { CancelTimer, Scheduler } from '../peers/scheduler.js';
import type { GossipLimits } from './gossipLimits.js';
import type { GossipPeers, ReplyMessage } from './gossipPorts.js';
import { RecentSet } from './recentSet.js';

interface SyncPlannerOptions {
  readonly chainHash: Uint8Array;
  readonly peers: GossipPeers;
  readonly scheduler: Scheduler;
  readonly limits: GossipLimits;
  readonly logger: Logger;
  readonly nowSeconds: () => number;
  /** What to ask about a channel that a peer has: bits of `query_flags`. */
  readonly wanted: (channel: RemoteChannel) => number;
  /** Whether what the peer sent still waits to be looked at: then it is us who are slow. */
  readonly isBehind: (nodeId: string) => boolean;
  /** The peer broke the protocol. */
  readonly punish: (nodeId: string, why: string) => void;
}

interface SyncPeer {
  readonly nodeId: string;
  readonly sync: GossipSync;
  /** Whether it offers `gossip_queries`: it has a map of the network. */
  readonly queries: boolean;
  heardAt: number;
  /** When its whole range was last compared. */
  syncedAt: number | undefined;
  failedAt: number | undefined;
}

/** How far back a filter reaches, so that nothing is missed while it is set. */
const OVERLAP_SECONDS = 600;
/** The same after a restart: messages are not passed on in the order of their timestamps. */
const RESTART_OVERLAP_SECONDS = 3_600;
const OLDEST_SECONDS = 1_209_600;
const CHECK_MS = 10_000;
/** A peer that failed is asked again after so long. */
const FORGIVE_MS = 300_000;
/** Channels that were asked for because an update came without them. */
const MAX_ASKED = 10_000;
const ALL_BLOCKS = { firstBlocknum: 0, numberOfBlocks: 0xffff_ffff };

/**
 * Decides what to ask whom: after the start the whole range of a few peers, one after the other; then of another one
 * now and then; and all peers for what is new. A peer that fails or falls silent is left for the next.
 */
export class SyncPlanner {
  readonly #given: SyncPlannerOptions;
  readonly #peers = new Map<string, SyncPeer>();
  readonly #asked = new RecentSet(MAX_ASKED);
  /** The latest that is stored, in seconds; 0 where nothing is. */
  #storedUntil = 0;
  #active: { readonly peer: SyncPeer; readonly since: number } | undefined;
  #finished = 0;
  #complete = 0;
  #nextResyncAt = 0;
  #cancelCheck: CancelTimer | undefined;
  #started = false;
  #stopped = false;

  constructor(options: SyncPlannerOptions) {
    this.#given = options;
  }

  /** The peer whose range is compared now. */
  get syncing(): string | undefined {
    return this.#active?.peer.nodeId;
  }

  /** Whether the range of some peer was compared since the start. */
  get synced(): boolean {
    return this.#finished > 0;
  }

  /** @param storedUntil the latest timestamp that is stored, in seconds; 0 for nothing stored. */
  start(storedUntil: number): void {
    this.#storedUntil = storedUntil;
    this.#started = true;
    for (const { nodeId, queries } of this.#peers.values()) this.#sendFilter(nodeId, queries);
    this.#check();
  }

  /** All that was stored is lost. */
  restart(): void {
    this.#finished = 0;
    this.#complete = 0;
    this.#asked.clear();
    for (const peer of this.#peers.values()) peer.syncedAt = undefined;
    this.#plan();
  }

  connected(peer: PeerInfo): void {
    const { chainHash, wanted, scheduler } = this.#given;
    this.disconnected(peer.nodeId);
    const queries = hasFeature(initFeatures(peer.remoteInit), 'gossipQueries');
    const extended = queries && hasFeature(peer.features, 'gossipQueriesEx');
    this.#peers.set(peer.nodeId, {
      nodeId: peer.nodeId,
      sync: new GossipSync({ chainHash, extended, wanted }),
      queries,
      heardAt: scheduler.now(),
      syncedAt: undefined,
      failedAt: undefined,
    });
    if (!this.#started) return;
    this.#sendFilter(peer.nodeId, queries);
    this.#plan();
  }

  disconnected(nodeId: string): void {
    this.#peers.delete(nodeId);
    if (this.#active?.peer.nodeId !== nodeId) return;
    this.#active = undefined;
    this.#plan();
  }

  /** Any gossip came from a peer. */
  heard(nodeId: string): void {
    const peer = this.#peers.get(nodeId);
    if (peer !== undefined) peer.heardAt = this.#given.scheduler.now();
  }

  /** Whether answers of this peer are awaited. */
  isAwaiting(nodeId: string): boolean {
    return this.#peers.get(nodeId)?.sync.isBusy === true;
  }

  receive(nodeId: string, reply: ReplyMessage): void {
    const peer = this.#peers.get(nodeId);
    if (peer !== undefined) this.#follow(peer, peer.sync.receive(reply));
  }

  /** An update came for a channel that we do not know: its sender may tell us of it. */
  request(nodeId: string, shortChannelId: bigint): void {
    const peer = this.#peers.get(nodeId);
    // A comparison that is under way finds it by itself.
    if (peer?.queries !== true || this.#active !== undefined || !this.synced) return;
    if (this.#asked.has(shortChannelId)) return;
    const flags = this.#given.wanted({ shortChannelId });
    if (flags === 0) return;
    this.#asked.add(shortChannelId);
    this.#follow(peer, peer.sync.request(shortChannelId, flags));
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelCheck?.();
  }

  #sendFilter(nodeId: string, queries: boolean): void {
    const { chainHash, peers, nowSeconds } = this.#given;
    const now = nowSeconds();
    // What came while we were away: the range tells of new updates only where the peer has timestamps in it, and of
    // new node announcements never.
    const restart = this.#complete < this.#given.limits.initialSyncs && this.#storedUntil > 0;
    const first = restart
      ? Math.max(this.#storedUntil - RESTART_OVERLAP_SECONDS, now - OLDEST_SECONDS)
      : now - OVERLAP_SECONDS;
    peers.send(nodeId, [
      {
        type: 'gossip_timestamp_filter',
        chainHash,
        // BOLT 7: gossip_timestamp_filter, sender: to who does not offer gossip_queries: nothing, please
        firstTimestamp: queries ? Math.max(0, Math.min(first, 0xffff_ffff)) : 0xffff_ffff,
        timestampRange: queries ? 0xffff_ffff : 0,
      },
    ]);
  }

  #plan(): void {
    if (!this.#started || this.#stopped || this.#active !== undefined) return;
    const { scheduler, limits } = this.#given;
    const now = scheduler.now();
    const candidates = [...this.#peers.values()].filter(
      ({ queries, failedAt, sync }) =>
        queries && !sync.isBusy && (failedAt === undefined || now - failedAt >= FORGIVE_MS),
    );
    const fresh = candidates.find(({ syncedAt }) => syncedAt === undefined);
    if (fresh !== undefined && (this.#complete < limits.initialSyncs || now >= this.#nextResyncAt)) {
      this.#start(fresh);
      return;
    }
    if (now < this.#nextResyncAt) return;
    const oldest = candidates.sort((a, b) => (a.syncedAt as number) - (b.syncedAt as number))[0];
    if (oldest !== undefined) this.#start(oldest);
  }

  #start(peer: SyncPeer): void {
    const { scheduler, limits, logger } = this.#given;
    const now = scheduler.now();
    this.#active = { peer, since: now };
    this.#nextResyncAt = now + limits.resyncIntervalMs;
    peer.heardAt = now;
    peerLogger(logger, peer.nodeId).debug({}, 'comparing the network with a peer');
    this.#follow(peer, peer.sync.start(ALL_BLOCKS));
  }

  #follow(peer: SyncPeer, step: SyncStep): void {
    const { peers, punish, logger } = this.#given;
    if (step.send.length > 0) peers.send(peer.nodeId, step.send as Message[]);
    if (step.fault?.fault === 'reply_unexpected') return;
    if (step.done && this.#active?.peer === peer) this.#end(peer, step.fault === undefined);
    if (step.fault === undefined) return;
    peerLogger(logger, peer.nodeId).debug({ fault: step.fault.fault }, 'a query of gossip failed');
    if (step.fault.punish === 'warn_and_close')
      punish(peer.nodeId, `bad answer to a query: ${step.fault.fault}`);
  }

  #end(peer: SyncPeer, success: boolean): void {
    const now = this.#given.scheduler.now();
    this.#active = undefined;
    peer.syncedAt = now;
    if (success) {
      this.#finished++;
      if (peer.sync.isComplete) this.#complete++;
      peer.failedAt = undefined;
    } else {
      peer.failedAt = now;
      // Somebody else is asked at once.
      this.#nextResyncAt = now;
    }
    this.#plan();
  }

  #check(): void {
    if (this.#stopped) return;
    const { scheduler, limits, isBehind } = this.#given;
    const now = scheduler.now();
    for (const peer of this.#peers.values()) {
      if (!peer.sync.isBusy) continue;
      if (isBehind(peer.nodeId)) peer.heardAt = now;
      const endless = this.#active?.peer === peer && now - this.#active.since >= limits.syncMs;
      if (endless || now - peer.heardAt >= limits.syncStallMs) this.#follow(peer, peer.sync.timeout());
    }
    this.#plan();
    this.#cancelCheck = scheduler.schedule(CHECK_MS, () => this.#check());
  }
}
