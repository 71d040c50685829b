import type { BroadcastRejection, ChainBlock, ChainTip } from '@rivulet/chain';
import { bytesToHex } from '@rivulet/core/bytes';
import type { Channel } from '@rivulet/core/channel';
import { type ClaimPurpose, type FundingSpend, matureHeight } from '@rivulet/core/monitor';
import {
  type Outpoint,
  type Sweep,
  type SweepInput,
  type Transaction,
  txid,
  txidToHex,
} from '@rivulet/core/tx';
import { channelLogger } from '../logging/index.js';
import { minimumFeeratePerKw, raisedFeerate } from './claimFees.js';
import { outpointKey } from './outpointKey.js';
import {
  batchFeerate,
  buildBatch,
  type FeeView,
  groupClaims,
  isWorthwhile,
  type MatureClaim,
  packageWeight,
  type SweepBatch,
} from './sweepBatch.js';
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

/** How often a transaction that is refused for its fee pays more at once; after that the next block is waited for. */
const contestedAttempts = 10;
const uncontestedAttempts = 2;
/** How often what a refusal set free is put into new transactions at once. */
const maxRounds = 3;

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
  readonly #batches = new Map<string, SweepBatch>();
  /** The highest feerate that was broadcast for an output: no later transaction pays less. */
  readonly #feerateFloors = new Map<string, number>();
  /** Outputs whose shared transaction was refused. */
  readonly #alone = new Set<string>();
  /** Outputs that are tried again at the next call only. */
  readonly #resting = new Set<string>();
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
    for (const { outpoint, feeratePerKw } of options.fees) {
      this.#feerateFloors.set(outpointKey(outpoint), feeratePerKw);
    }
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
    this.#resolved = [];
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
    await this.watchMempool();
    const claims = this.#matureClaims();
    if (claims.size === 0 && this.#batches.size === 0) return;
    this.#keepBatches(claims);
    const view = await this.#feeView();
    const done = new Set<string>();
    this.#resting.clear();
    for (let round = 0; round < maxRounds; round++) {
      this.#newBatches(claims, view);
      const batches = [...this.#batches.values()].filter(({ id }) => !done.has(id));
      if (batches.length === 0) return;
      for (const batch of batches) {
        done.add(batch.id);
        const taken = batch.keys.flatMap((key) => claims.get(key) ?? []);
        try {
          await this.#publishBatch(batch, { claims: taken, view });
        } catch (err) {
          this.#options.logger.warn(
            { err },
            'a claim on chain was not broadcast; the next block tries again',
          );
        }
      }
    }
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

  async #feeView(): Promise<FeeView> {
    const { contestedTargetBlocks: contested, uncontestedTargetBlocks: uncontested } = this.#policy;
    const known = new Map<number, number>();
    for (const target of new Set([contested, 3 * contested, 6 * contested, uncontested])) {
      known.set(target, await this.#estimate(target));
    }
    const estimate = (target: number) => known.get(target) ?? this.#policy.fallbackFeeratePerKw;
    return { height: this.#height, policy: this.#policy, estimate };
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
        this.#shrink(batch, keys);
      }
    }
  }

  /** What is left of a batch is built anew, at its feerate; the transaction that had all of it is gone (threat 17). */
  #shrink(batch: SweepBatch, keys: readonly string[]): void {
    batch.keys = keys;
    delete batch.sweep;
    delete batch.waitingFeeSat;
  }

  #newBatches(claims: ReadonlyMap<string, MatureClaim>, view: FeeView): void {
    const batched = new Set([...this.#batches.values()].flatMap(({ keys }) => keys));
    const free = [...claims.values()].filter(
      (mature) => !batched.has(mature.key) && !this.#resting.has(mature.key) && isWorthwhile(mature, view),
    );
    for (const group of groupClaims(free, { ...view, alone: this.#alone })) {
      const id = `sweep ${this.#nextBatch++}`;
      const floors = group.map(({ key }) => this.#feerateFloors.get(key) ?? 0);
      this.#batches.set(id, {
        id,
        keys: group.map(({ key }) => key),
        contested: group.some(({ claim }) => claim.contested),
        feeratePerKw: Math.max(...floors),
      });
    }
  }

  #dissolve(batch: SweepBatch): void {
    this.#batches.delete(batch.id);
    if (batch.feeInputs !== undefined) this.#options.wallet.release(batch.id);
  }

  /** The same, and its outputs wait for the next call. */
  #giveUpForNow(batch: SweepBatch): void {
    this.#dissolve(batch);
    for (const key of batch.keys) this.#resting.add(key);
  }

  async #publishBatch(
    batch: SweepBatch,
    { claims, view }: { claims: readonly MatureClaim[]; view: FeeView },
  ): Promise<void> {
    const { feeratePerKw: wanted, most } = batchFeerate(batch, { claims, view });
    const waiting = { sweep: batch.sweep, feeratePerKw: batch.feeratePerKw };
    if (wanted !== batch.feeratePerKw) {
      batch.feeratePerKw = wanted;
      delete batch.sweep;
    }
    const attempts = batch.contested ? contestedAttempts : uncontestedAttempts;
    let taken = claims;
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const rebuilt = batch.sweep === undefined;
      let sweep = batch.sweep ?? (await this.#build(batch, taken));
      if (sweep === undefined && waiting.sweep !== undefined && taken === claims) {
        // Where the wallet cannot pay more, what waits already is sent again.
        batch.feeratePerKw = waiting.feeratePerKw;
        sweep = waiting.sweep;
      }
      if (sweep === undefined) {
        // Given free, its outputs may find company among what matures later.
        this.#giveUpForNow(batch);
        return;
      }
      batch.sweep = sweep;
      await this.#rememberFees(batch, taken);
      const result = await this.#options.broadcast(sweep.tx);
      if (result.accepted) {
        batch.waitingFeeSat = sweep.feeSat;
        if (rebuilt) this.#logPublished(batch, { tx: sweep.tx, claims: taken });
        return;
      }
      if (result.code !== 'insufficient_fee') {
        this.#onRejected(batch, result);
        return;
      }
      this.#logRejected(batch, result);
      const left = attempt === 1 ? await this.#leftByOthers(batch, taken) : taken;
      if (left.length < taken.length) {
        taken = left;
        continue;
      }
      // A transaction whose fee both sides signed cannot pay more.
      const raised = raisedFeerate(batch.feeratePerKw);
      if (raised > most || taken.some(({ claim }) => claim.how === 'transaction')) return;
      batch.feeratePerKw = raised;
      delete batch.sweep;
    }
  }

  /**
   * Where others' unconfirmed transactions take some of a batch's outputs, those part from the rest: each then
   * competes for itself, and the rest is claimed at once (threat 17).
   */
  async #leftByOthers(batch: SweepBatch, claims: readonly MatureClaim[]): Promise<readonly MatureClaim[]> {
    const { getMempoolSpend } = this.#options;
    if (getMempoolSpend === undefined || claims.length < 2) return claims;
    const left: MatureClaim[] = [];
    for (const mature of claims) {
      if ((await getMempoolSpend(mature.claim.outpoint)) === undefined) left.push(mature);
    }
    if (left.length === 0 || left.length === claims.length) return claims;
    const keys = left.map(({ key }) => key);
    for (const key of batch.keys) if (!keys.includes(key)) this.#alone.add(key);
    this.#shrink(batch, keys);
    return left;
  }

  /** Before it is broadcast: after a crash nothing pays less either. */
  async #rememberFees({ feeratePerKw }: SweepBatch, claims: readonly MatureClaim[]): Promise<void> {
    const higher = claims.filter(({ key }) => (this.#feerateFloors.get(key) ?? 0) < feeratePerKw);
    if (higher.length === 0) return;
    for (const { key } of higher) this.#feerateFloors.set(key, feeratePerKw);
    try {
      const fees = higher.map(({ claim }) => ({ outpoint: claim.outpoint, feeratePerKw }));
      await this.#options.rememberFees?.(fees);
    } catch (err) {
      this.#options.logger.warn(
        { err },
        'the feerate of a claim could not be stored; it is broadcast all the same',
      );
    }
  }

  async #build(batch: SweepBatch, mature: readonly MatureClaim[]): Promise<Sweep | undefined> {
    const { wallet } = this.#options;
    const claims = mature.map(({ claim }) => claim);
    const weight = packageWeight(claims);
    batch.script ??= await wallet.newScript({ forFees: weight > 0 });
    if (weight > 0) {
      const feeInputs = await this.#feeInputs(batch, { weight, htlcs: claims.length });
      if (feeInputs === undefined) return undefined;
      batch.feeInputs = feeInputs;
    }
    return buildBatch({ ...batch, script: batch.script }, { claims, height: this.#height });
  }

  /** Coins that pay the batch's feerate; a poor wallet pays for what it can, unless that is less than what waits. */
  async #feeInputs(
    batch: SweepBatch,
    { weight, htlcs }: { weight: number; htlcs: number },
  ): Promise<readonly SweepInput[] | undefined> {
    const { id, waitingFeeSat } = batch;
    // What replaces one that waits pays at least its fee, even where it is smaller.
    const extraSat = waitingFeeSat === undefined ? {} : { extraSat: BigInt(weight) };
    const wanted = batch.feeratePerKw;
    for (let feeratePerKw = wanted; ; feeratePerKw = Math.floor(feeratePerKw / 2)) {
      const request = { id, weight, feeratePerKw, ...extraSat };
      const feeInputs = await this.#options.wallet.reserveFeeInputs(request);
      if (feeInputs !== undefined) {
        batch.feeratePerKw = feeratePerKw;
        return feeInputs;
      }
      if (feeratePerKw === wanted) {
        this.#options.logger.warn(
          { feeratePerKw, htlcs },
          'the wallet cannot pay the fee of HTLC transactions now: put confirmed funds into it',
        );
      }
      if (waitingFeeSat !== undefined || feeratePerKw / 2 < minimumFeeratePerKw) return undefined;
    }
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

  #onRejected(batch: SweepBatch, rejection: BroadcastRejection): void {
    switch (rejection.code) {
      case 'already_known':
      case 'already_confirmed':
      case 'not_final':
      case 'insufficient_fee':
        return;
      case 'missing_inputs':
        // A block that is on its way has spent one of them, or the wallet has: that is seen with the block.
        this.#giveUpForNow(batch);
        break;
      case 'conflict':
      case 'not_standard':
      case 'dust':
      case 'too_long_chain':
      case 'invalid':
        if (batch.keys.length > 1) {
          // One of several may be at fault: then the others go without it, at once.
          for (const key of batch.keys) this.#alone.add(key);
          this.#dissolve(batch);
        } else this.#giveUpForNow(batch);
        break;
    }
    this.#logRejected(batch, rejection);
  }

  #logRejected({ keys, feeratePerKw }: SweepBatch, { code, message }: BroadcastRejection): void {
    const fields = { code, rejection: message, outputs: keys.length, feeratePerKw };
    if (code === 'invalid') this.#options.logger.error(fields, 'a claim on chain is not valid');
    else this.#options.logger.warn(fields, 'a claim on chain was refused; it is tried again');
  }
}
