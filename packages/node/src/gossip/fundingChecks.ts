import type { ChainBlock } from '@rivulet/chain';
import { equalBytes, RivuletError } from '@rivulet/core/bytes';
import { fundingScriptOf } from '@rivulet/core/gossip';
import { type Transaction, txid } from '@rivulet/core/tx';
import { type ChannelAnnouncement, fromShortChannelId } from '@rivulet/core/wire';
import type { Logger } from '../logging/logger.js';
import type { CancelTimer, Scheduler } from '../peers/scheduler.js';
import { FairQueue } from './fairQueue.js';
import type { GossipLimits } from './gossipLimits.js';
import type { GossipChain } from './gossipPorts.js';
import type { Funding } from './networkView.js';

/** What the chain says of an announcement. */
export type FundingVerdict =
  | { readonly type: 'unspent'; readonly funding: Funding }
  /** There is no such block, transaction or output. */
  | { readonly type: 'missing' }
  /** The output pays to something else. */
  | { readonly type: 'mismatch' }
  | { readonly type: 'spent' };

interface FundingChecksOptions {
  readonly chain: GossipChain;
  readonly scheduler: Scheduler;
  readonly limits: GossipLimits;
  readonly logger: Logger;
  /** Changes whenever a block was followed: a look at the chain that it overtook is repeated. */
  readonly tipVersion: () => number;
  readonly onChecked: (checked: {
    peer: string;
    announcement: ChannelAnnouncement;
    verdict: FundingVerdict;
  }) => void;
  /** There is room for more of this peer. */
  readonly onRoom: () => void;
}

/** How many blocks are kept for announcements that refer to the same ones. */
const CACHED_BLOCKS = 3;
const RETRY_MS = 10_000;
/** How often the backend may fail over one announcement: it may have deleted that block alone. */
const MAX_FAILURES = 5;
/** How often a check that a block overtook is repeated. */
const MAX_OVERTAKEN = 5;

interface Check {
  readonly announcement: ChannelAnnouncement;
  readonly failures: number;
}

/**
 * Looks on chain for the outputs that announcements refer to: few at a time, each peer in turn, announcements of
 * one block together. While the backend fails, all of it waits.
 */
export class FundingChecks {
  readonly #given: FundingChecksOptions;
  readonly #queue: FairQueue<Check>;
  readonly #blocks = new Map<number, Promise<ChainBlock | undefined>>();
  /** How many are queued or under way for each channel. */
  readonly #pending = new Map<bigint, number>();
  readonly #running = new Map<string, number>();
  #runningCount = 0;
  #cancelRetry: CancelTimer | undefined;
  #stopped = false;

  constructor(options: FundingChecksOptions) {
    this.#given = options;
    this.#queue = new FairQueue({
      sizeOf: () => 1,
      maxPeerSize: options.limits.maxFundingChecksPerPeer,
      // See isFull: who asks there first is never over it.
      maxSize: Number.MAX_SAFE_INTEGER,
    });
  }

  get size(): number {
    return this.#queue.count + this.#runningCount;
  }

  /** How many announcements of a channel wait: several may, as only the chain tells which is true. */
  pendingFor(shortChannelId: bigint): number {
    return this.#pending.get(shortChannelId) ?? 0;
  }

  #countOf(peer: string): number {
    return this.#queue.countOf(peer) + (this.#running.get(peer) ?? 0);
  }

  /** Whether more of this peer would wait than may. Each has room for one, however many others wait. */
  isFull(peer: string): boolean {
    const count = this.#countOf(peer);
    const { maxFundingChecksPerPeer, maxFundingChecks } = this.#given.limits;
    return count >= maxFundingChecksPerPeer || (count > 0 && this.size >= maxFundingChecks);
  }

  submit(peer: string, announcement: ChannelAnnouncement): void {
    if (!this.#queue.push(peer, { announcement, failures: 0 })) return;
    this.#count(announcement.shortChannelId, 1);
    this.#pump();
  }

  /** Whether announcements of this peer wait. */
  has(peer: string): boolean {
    return this.#countOf(peer) > 0;
  }

  /** Forgets what a peer has waiting. */
  drop(peer: string): void {
    for (;;) {
      const entry = this.#queue.next((of) => of === peer);
      if (entry === undefined) return;
      this.#count(entry.item.announcement.shortChannelId, -1);
    }
  }

  /** A reorganisation: blocks that were fetched may be gone. */
  forgetBlocks(): void {
    this.#blocks.clear();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelRetry?.();
  }

  #count(shortChannelId: bigint, change: 1 | -1): void {
    const count = this.pendingFor(shortChannelId) + change;
    if (count === 0) this.#pending.delete(shortChannelId);
    else this.#pending.set(shortChannelId, count);
  }

  #pump(): void {
    if (this.#stopped || this.#cancelRetry !== undefined) return;
    while (this.#runningCount < this.#given.limits.fundingCheckConcurrency) {
      const entry = this.#queue.next(() => true);
      if (entry === undefined) return;
      this.#start(entry.peer, entry.item);
    }
  }

  #start(peer: string, { announcement, failures }: Check): void {
    this.#runningCount++;
    this.#running.set(peer, (this.#running.get(peer) ?? 0) + 1);
    const ended = () => {
      this.#runningCount--;
      const left = (this.#running.get(peer) as number) - 1;
      if (left === 0) this.#running.delete(peer);
      else this.#running.set(peer, left);
    };
    this.#check(announcement).then(
      (verdict) => {
        ended();
        if (this.#stopped) return;
        this.#count(announcement.shortChannelId, -1);
        this.#given.onChecked({ peer, announcement, verdict });
        this.#pump();
        this.#given.onRoom();
      },
      (error: unknown) => {
        ended();
        if (this.#stopped) return;
        // Nothing says that the announcement is wrong: it waits for the backend.
        const again = failures + 1 < MAX_FAILURES;
        if (!again || !this.#queue.push(peer, { announcement, failures: failures + 1 })) {
          this.#count(announcement.shortChannelId, -1);
        }
        this.#retryLater(error);
      },
    );
  }

  #retryLater(error: unknown): void {
    this.#blocks.clear();
    if (this.#cancelRetry !== undefined) return;
    const { logger, scheduler } = this.#given;
    const details = error instanceof RivuletError ? { reason: error.message } : { err: error };
    logger.warn(details, 'announced channels cannot be looked up on chain for now');
    this.#cancelRetry = scheduler.schedule(RETRY_MS, () => {
      this.#cancelRetry = undefined;
      this.#pump();
    });
  }

  async #check(announcement: ChannelAnnouncement): Promise<FundingVerdict> {
    const { chain, tipVersion } = this.#given;
    const { blockHeight, txIndex, outputIndex } = fromShortChannelId(announcement.shortChannelId);
    for (let attempt = 0; ; attempt++) {
      const version = tipVersion();
      const block = await this.#block(blockHeight);
      const tx: Transaction | undefined = block?.transactions[txIndex];
      const output = tx?.outputs[outputIndex];
      if (tx === undefined || output === undefined) return { type: 'missing' };
      // BOLT 7: channel_announcement, receiving node: not the P2WSH of both keys: MUST ignore
      if (!equalBytes(output.script, fundingScriptOf(announcement))) return { type: 'mismatch' };
      const id = txid(tx);
      const unspent = await chain.getTxOut({ txid: id, index: outputIndex }, { includeMempool: false });
      // A block that came meanwhile may have spent it, and was not looked through for this channel.
      if (version !== tipVersion() && attempt < MAX_OVERTAKEN) continue;
      if (unspent === undefined) return { type: 'spent' };
      return { type: 'unspent', funding: { txid: id, capacitySat: unspent.valueSat } };
    }
  }

  #block(height: number): Promise<ChainBlock | undefined> {
    const cached = this.#blocks.get(height);
    if (cached !== undefined) return cached;
    const fetched = this.#given.chain.getBlock(height);
    this.#blocks.set(height, fetched);
    // Whoever asks sees the failure; the next one asks anew.
    fetched.catch(() => this.#blocks.delete(height));
    for (const oldest of this.#blocks.keys()) {
      if (this.#blocks.size <= CACHED_BLOCKS) break;
      this.#blocks.delete(oldest);
    }
    return fetched;
  }
}
