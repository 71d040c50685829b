import type { BroadcastRejection } from '@rivulet/chain';
import { type Sweep, type SweepInput, type Transaction, txid, txidToHex } from '@rivulet/core/tx';
import { minimumFeeratePerKw, raisedFeerate, usableEstimate } from './claimFees.js';
import { outpointKey } from './outpointKey.js';
import {
  batchFeerate,
  buildBatch,
  type FeeView,
  groupClaims,
  isPetty,
  isWorthwhile,
  type MatureClaim,
  packageWeight,
  type SweepBatch,
  sumOf,
} from './sweepBatch.js';
import type { ClaimFee, SweeperOptions, SweepPolicy } from './sweepPorts.js';

/** How often a transaction that is refused for its fee pays more at once; after that the next block is waited for. */
const contestedAttempts = 10;
const uncontestedAttempts = 2;
/** So many coins of the wallet may be bound at a time for what hardly brings more than it costs. */
const maxPettyBatches = 2;
/** How often what a refusal set free is put into new transactions at once. */
const maxRounds = 3;

/**
 * Puts mature claims into transactions and gets those into mempools: together where nobody can get between, at the
 * fee that deadlines and values ask for, and anew where others or fees get in the way. It keeps nothing that a
 * restart needs but feerates, which it has stored before it broadcasts them.
 */
export class ClaimPublisher {
  readonly #options: Omit<SweeperOptions, 'policy'>;
  readonly #policy: SweepPolicy;
  readonly #batches = new Map<string, SweepBatch>();
  /** The highest feerate that was broadcast for an output: no later transaction pays less. */
  readonly #feerateFloors = new Map<string, number>();
  /** Outputs whose shared transaction was refused. */
  readonly #alone = new Set<string>();
  /** Outputs that are tried again at the next call only. */
  readonly #resting = new Set<string>();
  /** Scripts of transactions that came to nothing, for the next ones: by whether they are for change of fees. */
  readonly #spareScripts = new Map<boolean, Uint8Array>();
  #nextBatch = 0;
  #height = 0;

  constructor({ policy, ...options }: SweeperOptions & { readonly policy: SweepPolicy }) {
    this.#options = options;
    this.#policy = policy;
  }

  /** After a start: the feerates that were broadcast before. */
  restore(fees: readonly ClaimFee[]): void {
    for (const { outpoint, feeratePerKw } of fees) {
      this.#feerateFloors.set(outpointKey(outpoint), feeratePerKw);
    }
  }

  /** Outputs, by their outpointKeys, that are over or not there any more. */
  forget(keys: readonly string[]): void {
    for (const key of keys) {
      this.#feerateFloors.delete(key);
      this.#alone.delete(key);
    }
  }

  /** Broadcasts what is mature at this height, again at every call. One call at a time. */
  async publish(claims: ReadonlyMap<string, MatureClaim>, height: number): Promise<void> {
    this.#height = height;
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
      return usableEstimate(await this.#options.estimateFeeratePerKw(targetBlocks), fallbackFeeratePerKw);
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
    const takenBy = ({ keys }: SweepBatch) => keys.flatMap((key) => claims.get(key) ?? []);
    let petty = [...this.#batches.values()].filter((batch) => isPetty(takenBy(batch))).length;
    for (const group of groupClaims(free, { ...view, alone: this.#alone })) {
      if (isPetty(group) && ++petty > maxPettyBatches) continue;
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
    // What cannot be built or is refused takes no new address with each block.
    const { script, feeInputs, waitingFeeSat } = batch;
    if (script !== undefined && waitingFeeSat === undefined)
      this.#spareScripts.set(feeInputs !== undefined, script);
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
      if (raised > most || taken.some(({ claim }) => claim.how === 'transaction')) {
        // What mempools do not take keeps no coin from others until the next block.
        if (batch.waitingFeeSat === undefined && batch.feeInputs !== undefined) this.#giveUpForNow(batch);
        return;
      }
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
    if (weight > 0) {
      const feeInputs = await this.#feeInputs(batch, { weight, htlcs: claims.length });
      if (feeInputs === undefined) return undefined;
      batch.feeInputs = feeInputs;
    }
    const forFees = weight > 0;
    const script = batch.script ?? this.#spareScripts.get(forFees) ?? (await wallet.newScript({ forFees }));
    const sweep = buildBatch({ ...batch, script }, { claims, height: this.#height });
    if (this.#spareScripts.get(forFees) === script) this.#spareScripts.delete(forFees);
    batch.script = script;
    return sweep;
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
    const valueSat = sumOf(claims);
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
