import type { BroadcastRejection, ChainBlock, ChainTip } from '@rivulet/chain';
import { bytesToHex } from '@rivulet/core/bytes';
import type { Channel } from '@rivulet/core/channel';
import { type ClaimPurpose, type FundingSpend, matureHeight } from '@rivulet/core/monitor';
import { type Outpoint, type Transaction, txid, txidToHex } from '@rivulet/core/tx';
import { channelLogger } from '../logging/index.js';
import { outpointKey } from './outpointKey.js';
import {
  buildBatch,
  groupClaims,
  isWorthwhile,
  type MatureClaim,
  nextFeerate,
  packageWeight,
  type SweepBatch,
} from './sweepBatch.js';
import {
  defaultSweepPolicy,
  type SpentChannel,
  type SweepEvent,
  type SweeperOptions,
  type SweepPolicy,
} from './sweepPorts.js';
import { type KeyedTransaction, TrackedSpend } from './trackedSpend.js';

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
 * 2. For each block: for each funding output that a transaction of it spends, store the spend's height with
 *    the channel and call `track`; then `onBlock`, and store what its events mean in the same transaction
 *    as the block's height.
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
  readonly #batches = new Map<string, SweepBatch>();
  /** The highest feerate that was broadcast for an output: no later transaction pays less. */
  readonly #feerateFloors = new Map<string, number>();
  /** Outputs whose shared transaction was refused. */
  readonly #alone = new Set<string>();
  #nextBatch = 0;
  #publishing: Promise<void> | undefined;
  #publishAgain = false;
  #height = 0;

  constructor(options: SweeperOptions) {
    this.#options = options;
    this.#policy = { ...defaultSweepPolicy, ...options.policy };
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
   * Tracks channels after a restart and shows them the blocks since their spends, up to the block that was
   * handled last before the restart. Where the chain has left that block the follower undoes it next.
   */
  async restore(
    spent: readonly SpentChannel[],
    options: { upToHeight: number; getBlock(height: number): Promise<ChainBlock | undefined> },
  ): Promise<SweepEvent[]> {
    for (const one of spent) this.track(one);
    const events: SweepEvent[] = [];
    const first = spent.reduce((lowest, { height }) => Math.min(lowest, height), options.upToHeight + 1);
    for (let height = first; height <= options.upToHeight; height++) {
      const block = await options.getBlock(height);
      if (block === undefined) break;
      events.push(...this.onBlock(block));
    }
    return events;
  }

  /** Takes in a block: after `track` for what it spends. */
  onBlock({ height, transactions }: Pick<ChainBlock, 'height' | 'transactions'>): SweepEvent[] {
    this.#height = height;
    this.#resolved = [];
    if (this.#tracked.size === 0) return [];
    const events: SweepEvent[] = [];
    const keyed = transactions.map((tx) => ({
      tx,
      inputKeys: tx.inputs.map(({ outpoint }) => outpointKey(outpoint)),
    }));
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
    const events: SweepEvent[] = [];
    for (const tracked of [...this.#tracked.values()]) {
      if (tracked.height < height) {
        tracked.undoFrom(height);
        continue;
      }
      this.#forget(tracked);
      events.push({ type: 'spendUndone', channelId: tracked.channelId });
    }
    return events;
  }

  /**
   * What the last block meant could not be stored: all is as it was after the block at `height`, and events
   * of later ones come again with them.
   */
  rollBack(height: number): void {
    this.#height = height;
    for (const tracked of this.#resolved) this.#tracked.set(bytesToHex(tracked.channelId), tracked);
    this.#resolved = [];
    for (const tracked of [...this.#tracked.values()]) {
      if (tracked.height > height) this.#forget(tracked);
      else tracked.rollBack(height);
    }
  }

  #forget(tracked: TrackedSpend): void {
    this.#tracked.delete(bytesToHex(tracked.channelId));
    for (const { key } of tracked.claims) {
      this.#feerateFloors.delete(key);
      this.#alone.delete(key);
    }
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
        await this.#publishOnce();
      } catch (err) {
        this.#options.logger.warn(
          { err },
          'claims on chain could not be prepared; the next block tries again',
        );
      }
    } while (this.#publishAgain);
  }

  async #publishOnce(): Promise<void> {
    const claims = this.#matureClaims();
    if (claims.size === 0 && this.#batches.size === 0) return;
    const estimates = {
      contested: await this.#estimate(this.#policy.contestedTargetBlocks),
      uncontested: await this.#estimate(this.#policy.uncontestedTargetBlocks),
    };
    this.#keepBatches(claims);
    this.#newBatches(claims, estimates);
    for (const batch of [...this.#batches.values()]) {
      const taken = batch.keys.flatMap((key) => claims.get(key) ?? []);
      const estimate = batch.contested ? estimates.contested : estimates.uncontested;
      try {
        await this.#publishBatch(batch, { claims: taken, estimate });
      } catch (err) {
        this.#options.logger.warn({ err }, 'a claim on chain was not broadcast; the next block tries again');
      }
    }
  }

  #matureClaims(): Map<string, MatureClaim> {
    const claims = new Map<string, MatureClaim>();
    for (const tracked of this.#tracked.values()) {
      const { channelId } = tracked;
      for (const claim of tracked.mature(this.#height)) claims.set(claim.key, { ...claim, channelId });
    }
    return claims;
  }

  async #estimate(targetBlocks: number): Promise<number> {
    const { fallbackFeeratePerKw } = this.#policy;
    try {
      return (await this.#options.estimateFeeratePerKw(targetBlocks)) ?? fallbackFeeratePerKw;
    } catch (err) {
      this.#options.logger.warn({ err }, 'no fee estimate for claims on chain');
      return fallbackFeeratePerKw;
    }
  }

  /** Takes out of batches what is spent meanwhile: what is left of such a batch is built anew. */
  #keepBatches(claims: ReadonlyMap<string, MatureClaim>): void {
    for (const batch of [...this.#batches.values()]) {
      const keys = batch.keys.filter((key) => claims.has(key));
      if (keys.length === 0) this.#dissolve(batch);
      else if (keys.length < batch.keys.length) {
        batch.keys = keys;
        delete batch.tx;
      }
    }
  }

  #newBatches(
    claims: ReadonlyMap<string, MatureClaim>,
    estimates: { contested: number; uncontested: number },
  ): void {
    const batched = new Set([...this.#batches.values()].flatMap(({ keys }) => keys));
    const free = [...claims.values()].filter(({ key, claim }) => {
      const feeratePerKw = claim.contested ? estimates.contested : estimates.uncontested;
      return !batched.has(key) && isWorthwhile(claim, feeratePerKw);
    });
    const context = { height: this.#height, policy: this.#policy, alone: this.#alone };
    for (const group of groupClaims(free, context)) {
      const id = `sweep ${this.#nextBatch++}`;
      const floors = group.map(({ key }) => this.#feerateFloors.get(key) ?? 0);
      this.#batches.set(id, {
        id,
        keys: group.map(({ key }) => key),
        contested: group.some(({ claim }) => claim.contested),
        feeratePerKw: Math.max(...floors),
        refusedFee: false,
        accepted: false,
      });
    }
  }

  #dissolve(batch: SweepBatch): void {
    this.#batches.delete(batch.id);
    if (batch.feeInputs !== undefined) this.#options.wallet.release(batch.id);
  }

  async #publishBatch(
    batch: SweepBatch,
    { claims, estimate }: { claims: readonly MatureClaim[]; estimate: number },
  ): Promise<void> {
    const feeratePerKw =
      batch.feeratePerKw === 0
        ? Math.min(estimate, this.#policy.maxFeeratePerKw)
        : nextFeerate(batch, { estimate, policy: this.#policy });
    if (feeratePerKw !== batch.feeratePerKw) {
      batch.feeratePerKw = feeratePerKw;
      delete batch.tx;
    }
    const rebuilt = batch.tx === undefined;
    const tx = batch.tx ?? (await this.#build(batch, claims));
    if (tx === undefined) {
      // Given free, its outputs may find company among what matures later.
      this.#dissolve(batch);
      return;
    }
    batch.tx = tx;
    const result = await this.#options.broadcast(tx);
    batch.refusedFee = false;
    if (result.accepted) {
      batch.accepted = true;
      for (const key of batch.keys) this.#feerateFloors.set(key, feeratePerKw);
      if (rebuilt) this.#logPublished(batch, { tx, claims });
    } else this.#onRejected(batch, result);
  }

  async #build(batch: SweepBatch, mature: readonly MatureClaim[]): Promise<Transaction | undefined> {
    const { wallet } = this.#options;
    const claims = mature.map(({ claim }) => claim);
    batch.script ??= await wallet.newScript();
    const weight = packageWeight(claims);
    if (weight > 0) {
      const { id, feeratePerKw } = batch;
      const feeInputs = await wallet.reserveFeeInputs({ id, weight, feeratePerKw });
      if (feeInputs === undefined) {
        this.#options.logger.warn(
          { feeratePerKw, htlcs: claims.length },
          'the wallet cannot pay the fee of HTLC transactions now: put confirmed funds into it',
        );
        return undefined;
      }
      batch.feeInputs = feeInputs;
    }
    return buildBatch({ ...batch, script: batch.script }, { claims, height: this.#height });
  }

  #logPublished(
    batch: SweepBatch,
    { tx, claims }: { tx: Transaction; claims: readonly MatureClaim[] },
  ): void {
    const { feeratePerKw } = batch;
    const purposes = [...new Set(claims.map(({ claim }) => claim.purpose))];
    const valueSat = claims.reduce((sum, { claim }) => sum + claim.valueSat, 0n);
    const fields = { txid: txidToHex(txid(tx)), feeratePerKw, purposes, outputs: claims.length, valueSat };
    this.#options.logger.info(fields, 'outputs of closed channels are being claimed');
  }

  #onRejected(batch: SweepBatch, { code, message }: BroadcastRejection): void {
    const fields = { code, rejection: message, outputs: batch.keys.length };
    switch (code) {
      case 'already_known':
      case 'already_confirmed':
        return;
      case 'insufficient_fee':
        batch.refusedFee = true;
        break;
      case 'missing_inputs':
        // A block that is on its way has spent one of them, or the wallet has.
        this.#dissolve(batch);
        break;
      case 'conflict':
      case 'not_standard':
      case 'dust':
      case 'too_long_chain':
      case 'invalid':
        // One of several may be at fault: then the others go without it.
        if (batch.keys.length > 1) for (const key of batch.keys) this.#alone.add(key);
        this.#dissolve(batch);
        break;
      case 'not_final':
        break;
    }
    if (code === 'invalid') this.#options.logger.error(fields, 'a claim on chain is not valid');
    else this.#options.logger.warn(fields, 'a claim on chain was refused; the next block tries again');
  }
}
