import type { ChainBlock, ChainTip } from '@rivulet/chain';
import { bytesToHex } from '@rivulet/core/bytes';
import type { Channel } from '@rivulet/core/channel';
import { type ClaimPurpose, type FundingSpend, matureHeight } from '@rivulet/core/monitor';
import { type Outpoint, txid, txidToHex } from '@rivulet/core/tx';
import { channelLogger } from '../logging/index.js';
import { ClaimPublisher } from './claimPublisher.js';
import type { MatureClaim } from './sweepBatch.js';
import {
  type ClaimFee,
  defaultSweepPolicy,
  type SpentChannel,
  type StoredSpentChannel,
  type SweepEvent,
  type SweeperOptions,
  type SweepPolicy,
} from './sweepPorts.js';
import { type KeyedTransaction, keyedTransaction, TrackedSpend } from './trackedSpend.js';

/** What is known of one output of a spent channel. */
interface ClaimStatus {
  readonly outpoint: Outpoint;
  readonly purpose: ClaimPurpose;
  readonly valueSat: bigint;
  readonly createdHeight: number;
  /** The height of the chain from which on it can be broadcast. */
  readonly matureHeight: number;
  /** Where its output was spent, by whomever. */
  readonly spentHeight?: number;
  readonly spentBy?: Uint8Array;
}

export interface SpentChannelStatus {
  readonly spend: FundingSpend;
  readonly height: number;
  readonly claims: readonly ClaimStatus[];
}

/**
 * Brings the money of channels home that were closed on chain (BOLT 5).
 *
 * Order of calls, from a ChainFollower's handlers:
 * 1. After a start: `restore` with every stored channel that is spent and not resolved, before following.
 * 2. For each block: for each funding output that a transaction of it spends, store the spend with its height
 *    and call `track`; then `onBlock`, and store its events (what spends outputs of closed channels among them),
 *    and what they mean, in the same transaction as the block's height.
 * 3. For each undone block: `onUndo`, and the same with its events.
 * 4. When the follower has caught up: `publish`. It can be called at any other time too.
 * 5. When a tracked channel changes (a settlement of an HTLC): `update`, then `publish`.
 *
 * `publish` alone does I/O. Everything else is synchronous and follows from blocks alone.
 */
export class Sweeper {
  readonly #options: SweeperOptions;
  readonly #policy: SweepPolicy;
  readonly #tracked = new Map<string, TrackedSpend>();
  /** Those that the last block resolved: what it meant may not have been stored. */
  #resolved: TrackedSpend[] = [];
  /** Those whose spend the last undoing took away: that may not have been stored either. */
  #undone: TrackedSpend[] = [];
  readonly #publisher: ClaimPublisher;
  #publishing: Promise<void> | undefined;
  #publishAgain = false;
  #height = 0;

  constructor(options: SweeperOptions) {
    this.#options = options;
    this.#policy = { ...defaultSweepPolicy, ...options.policy };
    this.#publisher = new ClaimPublisher({ ...options, policy: this.#policy });
  }

  /**
   * Begins to care for a channel whose funding output a confirmed transaction has spent; `undefined` where a
   * fault of ours does not let us.
   */
  track(spent: SpentChannel): FundingSpend | undefined {
    const { channelId } = spent.channel.params;
    return this.#guarded(channelId, () => {
      const tracked = new TrackedSpend(spent);
      this.#tracked.set(bytesToHex(channelId), tracked);
      this.#logSpend(tracked);
      return tracked.spend;
    });
  }

  /** A fault over one closed channel must not keep the chain back from all the others: it is shouted. */
  #guarded<T>(channelId: Uint8Array, work: () => T): T | undefined {
    try {
      return work();
    } catch (err) {
      channelLogger(this.#options.logger, channelId).error(
        { err },
        'an internal fault: this closed channel is not followed on chain as it should be; report it and restart',
      );
      return undefined;
    }
  }

  #logSpend({ channelId, spend, by, claims }: TrackedSpend): void {
    const logger = channelLogger(this.#options.logger, channelId);
    const fields = { spend: spend.kind, txid: txidToHex(txid(by)), claims: claims.length };
    if (spend.kind === 'unknown') {
      // BOLT 5: MUST warn the user of potentially lost funds
      logger.error(fields, 'an unknown transaction has spent the channel: its funds may be lost');
    } else if (spend.kind === 'revoked_commitment') {
      logger.warn(
        fields,
        'the peer has published a revoked commitment: all of its outputs are being claimed',
      );
    } else if (spend.kind === 'local_commitment' && !spend.latest) {
      logger.error(fields, 'a commitment of ours that is not our latest is on chain: the peer may punish it');
    } else if (spend.kind === 'remote_commitment' && !spend.latest) {
      logger.warn(
        fields,
        'the peer closed with a commitment that we do not know: only our balance comes back',
      );
    } else {
      logger.info(fields, 'the channel is closed on chain');
    }
  }

  /** Takes a tracked channel's newer value; nothing for one that is not tracked. */
  update(channel: Channel): void {
    const { channelId } = channel.params;
    this.#guarded(channelId, () => this.#tracked.get(bytesToHex(channelId))?.update(channel));
  }

  isTracked(channelId: Uint8Array): boolean {
    return this.#tracked.has(bytesToHex(channelId));
  }

  /** How far a tracked channel is. */
  status(channelId: Uint8Array): SpentChannelStatus | undefined {
    const tracked = this.#tracked.get(bytesToHex(channelId));
    if (tracked === undefined) return undefined;
    const claims = tracked.claims.map(({ claim, createdHeight, spend }): ClaimStatus => {
      const { outpoint, purpose, valueSat } = claim;
      const spent = spend && { spentHeight: spend.height, spentBy: txid(spend.tx) };
      const mature = matureHeight(claim, createdHeight);
      return { outpoint, purpose, valueSat, createdHeight, matureHeight: mature, ...spent };
    });
    return { spend: tracked.spend, height: tracked.height, claims };
  }

  /**
   * Tracks channels after a restart and shows them what has spent their outputs, up to the block that was handled
   * last before the restart. Where the chain has left that block the follower undoes it next. Of a channel whose
   * spends were not stored (by an older version) the blocks since are asked for.
   */
  async restore(
    spent: readonly StoredSpentChannel[],
    options: {
      upToHeight: number;
      fees: readonly ClaimFee[];
      getBlock(height: number): Promise<ChainBlock | undefined>;
    },
  ): Promise<SweepEvent[]> {
    const { upToHeight } = options;
    this.#publisher.restore(options.fees);
    const events: SweepEvent[] = [];
    for (const one of spent) this.track(one);
    const unknown = spent.filter(({ spends }) => spends === undefined);
    const first = unknown.reduce((lowest, { height }) => Math.min(lowest, height), upToHeight + 1);
    for (let height = first; height <= upToHeight; height++) {
      const block = await options.getBlock(height);
      if (block === undefined) break;
      const keyed = block.transactions.map(keyedTransaction);
      for (const { channel } of unknown) events.push(...this.#show(channel, { height, keyed }));
    }
    for (const { channel, spends = [] } of spent) {
      for (const { tx, height } of spends) {
        events.push(...this.#show(channel, { height, keyed: [keyedTransaction(tx)] }));
      }
    }
    return [...events, ...this.onBlock({ height: upToHeight, transactions: [] })];
  }

  #show(
    { params }: Channel,
    { height, keyed }: { height: number; keyed: readonly KeyedTransaction[] },
  ): SweepEvent[] {
    const tracked = this.#tracked.get(bytesToHex(params.channelId));
    if (tracked === undefined) return [];
    const told = () => keyed.flatMap((tx) => tracked.onTransaction(tx, height));
    return this.#guarded(params.channelId, told) ?? [];
  }

  /** Takes in a block: after `track` for what it spends. */
  onBlock({ height, transactions }: Pick<ChainBlock, 'height' | 'transactions'>): SweepEvent[] {
    this.#height = height;
    // What they meant is stored by now.
    for (const { claims } of this.#resolved) this.#publisher.forget(claims.map(({ key }) => key));
    this.#resolved = [];
    this.#undone = [];
    if (this.#tracked.size === 0) return [];
    const events: SweepEvent[] = [];
    const keyed = transactions.map(keyedTransaction);
    for (const tracked of [...this.#tracked.values()]) {
      const told = this.#guarded(tracked.channelId, () => this.#eventsOf(tracked, { height, keyed }));
      events.push(...(told ?? []));
    }
    return events;
  }

  #eventsOf(
    tracked: TrackedSpend,
    { height, keyed }: { height: number; keyed: readonly KeyedTransaction[] },
  ): SweepEvent[] {
    const events = keyed.flatMap((tx) => tracked.onTransaction(tx, height));
    const final = tracked.becameFinal(height, this.#policy);
    if (final.some(({ type }) => type === 'resolved')) {
      this.#resolved.push(tracked);
      this.#forget(tracked);
    }
    return [...events, ...final];
  }

  /** Takes a block back. */
  onUndo({ height }: Pick<ChainTip, 'height'>): SweepEvent[] {
    this.#height = height - 1;
    this.#undone = [];
    const events: SweepEvent[] = [];
    for (const tracked of [...this.#tracked.values()]) {
      if (tracked.height < height) {
        tracked.undoFrom(height);
        continue;
      }
      this.#undone.push(tracked);
      this.#forget(tracked);
      events.push({ type: 'spendUndone', channelId: tracked.channelId });
    }
    return events;
  }

  /**
   * What the last block, or its undoing, meant could not be stored: all is as it was after the block at `height`,
   * and events of later ones come again with them.
   */
  rollBack(height: number): void {
    this.#height = height;
    for (const tracked of [...this.#resolved, ...this.#undone]) {
      this.#tracked.set(bytesToHex(tracked.channelId), tracked);
    }
    this.#resolved = [];
    this.#undone = [];
    for (const tracked of [...this.#tracked.values()]) {
      if (tracked.height > height) this.#forget(tracked);
      else tracked.rollBack(height);
    }
  }

  #forget(tracked: TrackedSpend): void {
    this.#tracked.delete(bytesToHex(tracked.channelId));
    channelLogger(this.#options.logger, tracked.channelId).debug(
      'the channel is not watched on chain any more',
    );
  }

  /**
   * Broadcasts everything that has matured and is not confirmed yet, again at every call. Never rejects:
   * what fails is logged and tried at the next call.
   */
  publish(): Promise<void> {
    if (this.#publishing !== undefined) {
      this.#publishAgain = true;
      return this.#publishing;
    }
    this.#publishing = this.#publishLoop().finally(() => {
      this.#publishing = undefined;
    });
    return this.#publishing;
  }

  async #publishLoop(): Promise<void> {
    do {
      this.#publishAgain = false;
      try {
        await this.watchMempool();
        await this.#publisher.publish(this.#matureClaims(), this.#height);
      } catch (err) {
        this.#options.logger.warn(
          { err },
          'claims on chain could not be prepared; the next block tries again',
        );
      }
    } while (this.#publishAgain);
  }

  /** Outputs that could be taken by us now and that no block has a spend of, with who else can and when. */
  get openClaims(): { channelId: Uint8Array; valueSat: bigint; deadlineHeight: number | undefined }[] {
    return [...this.#tracked.values()].flatMap((tracked) =>
      tracked.mature(this.#height).map(({ claim, deadline }) => ({
        channelId: tracked.channelId,
        valueSat: claim.valueSat,
        deadlineHeight: deadline,
      })),
    );
  }

  /** How many outputs of HTLCs that we offered have expired and are unspent: the mempool is worth a look. */
  get contestedOffers(): number {
    return [...this.#tracked.values()].reduce(
      (sum, one) => sum + one.contestedOffers(this.#height).length,
      0,
    );
  }

  /**
   * Looks into the mempool for who takes HTLCs that we offered and that have expired: a preimage that shows there
   * is as good as one in a block, and need never come into one (threat 7). Never rejects.
   * @returns how many outputs it looked for: where there are some, it is worth looking again soon.
   */
  async watchMempool(): Promise<number> {
    const { getMempoolSpend, onUnconfirmedPreimage, logger } = this.#options;
    if (getMempoolSpend === undefined || onUnconfirmedPreimage === undefined) return 0;
    let count = 0;
    for (const tracked of [...this.#tracked.values()]) {
      for (const claim of tracked.contestedOffers(this.#height)) {
        count++;
        try {
          const by = await getMempoolSpend(claim.outpoint);
          if (by !== undefined)
            for (const event of tracked.preimagesOf(by, [claim])) onUnconfirmedPreimage(event);
        } catch (err) {
          logger.warn({ err }, 'the mempool could not be searched for preimages; the next block tries again');
          return count;
        }
      }
    }
    return count;
  }

  #matureClaims(): Map<string, MatureClaim> {
    const claims = new Map<string, MatureClaim>();
    for (const tracked of this.#tracked.values()) {
      const { channelId } = tracked;
      for (const { deadline, ...claim } of tracked.mature(this.#height)) {
        const { htlc } = claim.claim;
        const isOffer = claim.claim.purpose === 'htlc_timeout' && htlc !== undefined;
        const upstream = isOffer ? this.#options.deadlineOf?.(channelId, htlc) : undefined;
        claims.set(claim.key, { ...claim, deadline: deadline ?? upstream, channelId });
      }
    }
    return claims;
  }
}
