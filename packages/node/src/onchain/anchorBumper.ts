import type { BroadcastResult, ChainBackend } from '@rivulet/chain';
import { bytesToHex } from '@rivulet/core/bytes';
import { type Channel, completeLocalCommitment } from '@rivulet/core/channel';
import type { ChannelSigner } from '@rivulet/core/keys';
import {
  type AnchoredCommitment,
  anchoredCommitment,
  type CommitmentStakes,
  commitmentStakes,
} from '@rivulet/core/monitor';
import { buildSweep, type Outpoint, type Sweep, txid, txidToHex } from '@rivulet/core/tx';
import { channelLogger } from '../logging/index.js';
import {
  affordableFeerate,
  claimFeerate,
  type FeeQuestion,
  minimumFeeratePerKw,
  nextFeerate,
  raisedFeerate,
  replacementFeeSat,
  targetBlocks,
  usableEstimate,
} from './claimFees.js';
import { outpointKey } from './outpointKey.js';
import { type ClaimFee, defaultSweepPolicy, type SweeperOptions, type SweepPolicy } from './sweepPorts.js';

/** A channel that failed: its commitment waits for a block. */
export interface FailedChannel {
  readonly channel: Channel;
  readonly signer: ChannelSigner;
}

export interface AnchorBumperOptions
  extends Pick<
    SweeperOptions,
    'estimateFeeratePerKw' | 'wallet' | 'logger' | 'policy' | 'deadlineOf' | 'rememberFees'
  > {
  readonly backend: Pick<ChainBackend, 'broadcastPackage' | 'getMempoolSpend'>;
}

/** A child of one commitment, as it was broadcast last. */
interface Bump {
  /** Our anchor on that commitment. */
  readonly outpoint: Outpoint;
  feeratePerKw: number;
  /** Where the change goes. */
  script?: Uint8Array;
  sweep?: Sweep;
  waitingFeeSat?: bigint;
}

/** Own money that only waits is worth this part of it at most, and the patience of a day. */
const patientShare = 20n;
const patientTargetBlocks = 144;
const attempts = 10;
/** The child without its fee inputs: frame, anchor, and an output of the longest standard script. */
const childWeight = 4 * (8 + 2 + 43) + 2 + 281;
const feeInputWeight = 272;
/** At or above the dust limit of every standard script: what the child's only output must have. */
const dustReserveSat = 600n;

/**
 * Whether the funding of a channel can be relied on to exist: it is ours, or a block has it. What a peer has never
 * funded, or what a reorganisation took out again, nobody can close, and nothing of ours may be bound by it.
 */
export function isFunded({ params, readiness }: Channel): boolean {
  return params.localIsOpener || readiness.fundingConfirmed !== undefined;
}

const idOf = ({ params }: Channel) => `anchor ${bytesToHex(params.channelId)}`;

/**
 * Gets commitments of anchor channels into blocks (BOLT 5: MUST spend any `to_local_anchor` output, providing
 * sufficient fees): a child of our anchor and of wallet coins pays for both, as much as the estimate, the nearest
 * deadline and what is at stake ask for, more as the deadline comes near, and never less than before. Where the
 * peer's commitment is the one that nodes have, that one is paid for. It knows nothing of its own that it could
 * lose: what is to be done follows from the failed channels, the mempool and the stored feerates.
 */
export class AnchorBumper {
  readonly #options: AnchorBumperOptions;
  readonly #policy: SweepPolicy;
  readonly #bumps = new Map<string, Bump>();
  readonly #floors = new Map<string, number>();
  #running: Promise<void> = Promise.resolve();

  constructor(options: AnchorBumperOptions) {
    this.#options = options;
    this.#policy = { ...defaultSweepPolicy, ...options.policy };
  }

  /** After a start: the feerates that were broadcast before. */
  restore(fees: readonly ClaimFee[]): void {
    for (const { outpoint, feeratePerKw } of fees) this.#floors.set(outpointKey(outpoint), feeratePerKw);
  }

  /**
   * Broadcasts what the channels need at this height; those that are not among them any more are let go. Never
   * rejects: what fails is logged and tried at the next call.
   */
  publish(channels: readonly FailedChannel[], height: number): Promise<void> {
    this.#running = this.#running.then(() => this.#publish(channels, height));
    return this.#running;
  }

  async #publish(channels: readonly FailedChannel[], height: number): Promise<void> {
    const waiting = channels.filter(
      ({ channel }) => channel.params.format.commitment === 'anchors' && isFunded(channel),
    );
    const ids = new Set(waiting.map(({ channel }) => idOf(channel)));
    for (const [id, bump] of [...this.#bumps]) {
      if (!ids.has(id) && (await this.#freeCoins(id, bump))) this.#bumps.delete(id);
    }
    for (const one of waiting) {
      try {
        await this.#bump(one, height);
      } catch (err) {
        channelLogger(this.#options.logger, one.channel.params.channelId).warn(
          { err },
          'the fee of a commitment could not be raised; the next block tries again',
        );
      }
    }
  }

  /** Coins are free when no mempool has a child any more that spends them. @returns whether they are */
  async #freeCoins(id: string, { outpoint }: Bump): Promise<boolean> {
    try {
      if ((await this.#options.backend.getMempoolSpend(outpoint)) !== undefined) return false;
    } catch {
      return false;
    }
    this.#options.wallet.release(id);
    return true;
  }

  async #bump(one: FailedChannel, height: number): Promise<void> {
    const { channel, signer } = one;
    const theirs = await this.#options.backend.getMempoolSpend(channel.params.fundingOutpoint);
    const tx = theirs ?? completeLocalCommitment(channel, signer).tx;
    const commitment = anchoredCommitment(tx, one);
    // What waits is a mutual close: it pays for itself.
    if (commitment === undefined) return;
    const bump = this.#bumpOf(idOf(channel), commitment);
    const { feeratePerKw, most } = await this.#feerate(channel, { commitment, bump, height });
    const isEnough = commitment.feeSat * 1000n >= BigInt(feeratePerKw) * BigInt(commitment.weight);
    // Where nothing is at stake the commitment is the peer's concern.
    if ((isEnough || most === 0) && bump.sweep === undefined) return;
    await this.#send(channel, { commitment, bump, feeratePerKw, most, height });
  }

  #bumpOf(id: string, { anchor }: AnchoredCommitment): Bump {
    const { outpoint } = anchor;
    const key = outpointKey(outpoint);
    const known = this.#bumps.get(id);
    if (known !== undefined && outpointKey(known.outpoint) === key) return known;
    // Another commitment is the one that nodes have: the child of the first one went with it.
    const made: Bump = { outpoint, feeratePerKw: this.#floors.get(key) ?? 0 };
    this.#bumps.set(id, made);
    return made;
  }

  async #estimate(target: number): Promise<number> {
    try {
      const estimate = await this.#options.estimateFeeratePerKw(target);
      return usableEstimate(estimate, this.#policy.fallbackFeeratePerKw);
    } catch (err) {
      this.#options.logger.warn({ err }, 'no fee estimate for a commitment');
      return this.#policy.fallbackFeeratePerKw;
    }
  }

  /** What commitment and child pay together, for each thing that is at stake; the highest counts. */
  async #feerate(
    channel: Channel,
    { commitment, bump, height }: { commitment: AnchoredCommitment; bump: Bump; height: number },
  ): Promise<{ feeratePerKw: number; most: number }> {
    const stakes = commitmentStakes(channel);
    const common = {
      weight: commitment.weight + childWeight + feeInputWeight,
      paidSat: commitment.feeSat,
      floor: 0,
      maxFeeratePerKw: this.#policy.maxFeeratePerKw,
    };
    const questions: FeeQuestion[] = [];
    const patientSat = stakes.balanceSat + sumSat(stakes.offered);
    if (patientSat > 0n)
      questions.push({
        ...common,
        estimate: await this.#estimate(patientTargetBlocks),
        // Far from any deadline half of a value may be spent: that of a patient one is made smaller.
        valueSat: (2n * patientSat) / patientShare,
      });
    const estimates = new Map<number, number>();
    let valueSat = 0n;
    for (const { deadline, valueSat: added } of this.#deadlines(channel.params.channelId, stakes)) {
      valueSat += added;
      // Half of the time is for the claim that follows the commitment.
      const blocksLeft = Math.floor((deadline - height) / 2);
      const target = targetBlocks(blocksLeft, {
        contested: this.#policy.contestedTargetBlocks,
        uncontested: this.#policy.uncontestedTargetBlocks,
      });
      const estimate = estimates.get(target) ?? (await this.#estimate(target));
      estimates.set(target, estimate);
      questions.push({ ...common, estimate, blocksLeft, valueSat });
    }
    if (questions.length === 0) return { feeratePerKw: bump.feeratePerKw, most: 0 };
    const most = Math.max(minimumFeeratePerKw, ...questions.map(affordableFeerate));
    // What was paid for an HTLC that is over is not paid once more for what is left.
    if (bump.waitingFeeSat === undefined) bump.feeratePerKw = Math.min(bump.feeratePerKw, most);
    const floor = bump.feeratePerKw;
    const wanted = Math.max(...questions.map((question) => claimFeerate({ ...question, floor })));
    return { feeratePerKw: floor === 0 ? wanted : nextFeerate(floor, wanted), most };
  }

  /** HTLCs whose money is lost at a height, the nearest first. */
  #deadlines(
    channelId: Uint8Array,
    { received, offered }: CommitmentStakes,
  ): { deadline: number; valueSat: bigint }[] {
    const ours = received.map(({ cltvExpiry, amountMsat }) => ({
      deadline: cltvExpiry,
      valueSat: amountMsat / 1000n,
    }));
    const passedOn = offered.flatMap((htlc) => {
      const deadline = this.#options.deadlineOf?.(channelId, htlc);
      return deadline === undefined ? [] : [{ deadline, valueSat: htlc.amountMsat / 1000n }];
    });
    return [...ours, ...passedOn].sort((a, b) => a.deadline - b.deadline);
  }

  async #send(
    channel: Channel,
    sending: {
      commitment: AnchoredCommitment;
      bump: Bump;
      feeratePerKw: number;
      most: number;
      height: number;
    },
  ): Promise<void> {
    const { commitment, bump, most } = sending;
    let { feeratePerKw } = sending;
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const isNew = bump.sweep === undefined || feeratePerKw !== bump.feeratePerKw;
      const built = isNew ? await this.#build(channel, { ...sending, feeratePerKw }) : undefined;
      // Where the wallet cannot pay more, what waits already is sent again.
      const sweep = built?.sweep ?? bump.sweep;
      if (sweep === undefined) return;
      if (built !== undefined) bump.feeratePerKw = built.feeratePerKw;
      bump.sweep = sweep;
      await this.#remember(bump);
      const results = await this.#options.backend.broadcastPackage([commitment.tx, sweep.tx]);
      const result = results.at(-1);
      if (result?.accepted === true) {
        bump.waitingFeeSat = sweep.feeSat;
        if (built !== undefined) this.#log(channel, { bump, sweep, commitment });
        return;
      }
      // What waits is one of ours from before a restart, whose fee is not known, or mempools are full.
      feeratePerKw = raisedFeerate(bump.feeratePerKw);
      if (result?.code !== 'insufficient_fee' || feeratePerKw > most) {
        this.#logRefused(channel, results);
        // What nobody has keeps no coin from others until the next block: its parent, or a coin of it, may be gone.
        if (await this.#freeCoins(idOf(channel), bump)) {
          delete bump.sweep;
          delete bump.waitingFeeSat;
        }
        return;
      }
      delete bump.sweep;
    }
  }

  /** At the wanted feerate, or at the highest that the wallet can pay. */
  async #build(
    channel: Channel,
    {
      commitment,
      bump,
      feeratePerKw: wanted,
      height,
    }: { commitment: AnchoredCommitment; bump: Bump; feeratePerKw: number; height: number },
  ): Promise<{ sweep: Sweep; feeratePerKw: number } | undefined> {
    const { wallet } = this.#options;
    const id = idOf(channel);
    const { anchor, weight, feeSat, tx } = commitment;
    const waitingSat = bump.waitingFeeSat;
    for (let feeratePerKw = wanted; ; feeratePerKw = Math.floor(feeratePerKw / 2)) {
      const parentSat = (BigInt(weight) * BigInt(feeratePerKw)) / 1000n + 1n - feeSat;
      const extraSat = (parentSat > 0n ? parentSat : 0n) + dustReserveSat;
      const inputs = await wallet.reserveFeeInputs({ id, weight: childWeight, feeratePerKw, extraSat });
      if (inputs !== undefined) {
        bump.script ??= await wallet.newScript({ forFees: true });
        const { script } = bump;
        const parents = [{ weight, feeSat }];
        const plan = { inputs: [anchor, ...inputs], script, feeratePerKw, parents, lockTime: height };
        let sweep = buildSweep(plan);
        if (sweep !== undefined && waitingSat !== undefined) {
          const minimumFeeSat = replacementFeeSat(waitingSat, sweep.weight);
          sweep = buildSweep({ ...plan, minimumFeeSat });
        }
        return sweep && { sweep, feeratePerKw };
      }
      if (feeratePerKw === wanted) {
        channelLogger(this.#options.logger, channel.params.channelId).warn(
          { feeratePerKw, txid: txidToHex(txid(tx)) },
          'the wallet cannot pay what the commitment of this channel needs: put confirmed funds into it',
        );
      }
      // What waits already is not replaced by less.
      if (waitingSat !== undefined || feeratePerKw <= minimumFeeratePerKw) return undefined;
    }
  }

  async #remember({ outpoint, feeratePerKw }: Bump): Promise<void> {
    const key = outpointKey(outpoint);
    if ((this.#floors.get(key) ?? 0) >= feeratePerKw) return;
    this.#floors.set(key, feeratePerKw);
    try {
      await this.#options.rememberFees?.([{ outpoint, feeratePerKw }]);
    } catch (err) {
      this.#options.logger.warn(
        { err },
        'the feerate of a commitment could not be stored; it is broadcast all the same',
      );
    }
  }

  #log(
    channel: Channel,
    { bump, sweep, commitment }: { bump: Bump; sweep: Sweep; commitment: AnchoredCommitment },
  ): void {
    const fields = {
      txid: txidToHex(txid(sweep.tx)),
      commitment: txidToHex(txid(commitment.tx)),
      feeratePerKw: bump.feeratePerKw,
      feeSat: sweep.feeSat,
    };
    channelLogger(this.#options.logger, channel.params.channelId).info(
      fields,
      'a child pays for the commitment of this channel',
    );
  }

  #logRefused(channel: Channel, results: readonly BroadcastResult[]): void {
    const refusals = results.flatMap((one) => (one.accepted ? [] : [`${one.code}: ${one.message}`]));
    channelLogger(this.#options.logger, channel.params.channelId).warn(
      { refusals },
      'a child that pays for the commitment of this channel was refused; the next block tries again',
    );
  }
}

function sumSat(htlcs: readonly { readonly amountMsat: bigint }[]): bigint {
  return htlcs.reduce((sum, { amountMsat }) => sum + amountMsat / 1000n, 0n);
}
