import { ByteReader, ByteWriter } from '@rivulet/core/bytes';
import type { Channel } from '@rivulet/core/channel';
import { receivableNowMsat, spendableNowMsat } from '@rivulet/core/channel';
import type { NodeStorage } from '@rivulet/storage';
import type { Logger } from '../logging/logger.js';
import type { CancelTimer, Scheduler } from '../peers/index.js';
import { isUsable } from './describe.js';
import { PaymentError } from './payments/paymentError.js';
import type { RebalanceRequest } from './payments/rebalance.js';
import { channelKey, type Turn, type Turns } from './turns.js';

/** How channels are kept in a band by payments to ourselves. Shares are percent of the capacity on our side. */
export interface RebalancePolicy {
  readonly enabled: boolean;
  readonly minLocalPercent: number;
  readonly maxLocalPercent: number;
  /** The channels that are kept so; all announced ones where it is empty. */
  readonly channels: readonly string[];
  readonly maxFeePpm: number;
  readonly dailyBudgetSat: bigint;
  readonly intervalMs: number;
}

export interface RebalancerOptions {
  readonly policy: RebalancePolicy;
  readonly turns: Turns;
  readonly storage: NodeStorage;
  /** Pays ourselves; resolves with the fee. */
  readonly rebalance: (request: RebalanceRequest) => Promise<bigint>;
  readonly scheduler: Scheduler;
  readonly now: () => number;
  readonly logger: Logger;
}

/** A payment to ourselves that would bring two channels nearer to the middle. */
export interface RebalanceStep {
  readonly from: Channel;
  readonly to: Channel;
  readonly amountMsat: bigint;
}

const budgetKey = 'rebalance/spent';
const dayMs = 86_400_000;
/** Less is not worth its fee. */
const leastMsat = 10_000_000n;

/**
 * Finds the fullest and the emptiest of the channels that are to be kept in the band, and what would have to
 * move to bring the one that is out of it back to the middle. Nothing where all are in the band.
 */
export function nextRebalance(
  channels: readonly Channel[],
  policy: Pick<RebalancePolicy, 'minLocalPercent' | 'maxLocalPercent' | 'channels'>,
): RebalanceStep | undefined {
  const kept = channels
    .filter((channel) => isUsable(channel) && isKept(channel, policy.channels))
    .map((channel) => ({ channel, share: localShare(channel) }))
    .sort((a, b) => a.share - b.share);
  const low = kept[0];
  const high = kept.at(-1);
  if (low === undefined || high === undefined || low === high) return undefined;
  const isLow = low.share * 100 < policy.minLocalPercent;
  const isHigh = high.share * 100 > policy.maxLocalPercent;
  if (!isLow && !isHigh) return undefined;
  // The other one is not pushed out of the band for it: both move at most to the middle.
  const wantedMsat = smallest(
    toMiddleMsat(low.channel),
    -toMiddleMsat(high.channel),
    spendableNowMsat(high.channel),
    receivableNowMsat(low.channel),
  );
  if (wantedMsat < leastMsat) return undefined;
  return { from: high.channel, to: low.channel, amountMsat: wantedMsat };
}

function isKept({ params }: Channel, chosen: readonly string[]): boolean {
  return chosen.length === 0 ? params.announce : chosen.includes(channelKey(params.channelId));
}

function localShare({ localMsat, params }: Channel): number {
  return Number(localMsat) / Number(params.fundingSat * 1000n);
}

/** What is missing on our side to half of the channel; negative where there is more. */
function toMiddleMsat({ localMsat, params }: Channel): bigint {
  return (params.fundingSat * 1000n) / 2n - localMsat;
}

function smallest(first: bigint, ...others: bigint[]): bigint {
  let least = first;
  for (const value of others) if (value < least) least = value;
  return least;
}

/** Keeps chosen channels in a band, one payment at a time, within a budget of fees a day. */
export class Rebalancer {
  readonly #options: RebalancerOptions;
  #cancel: CancelTimer | undefined;
  #stopped = false;

  constructor(options: RebalancerOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#options.policy.enabled) this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#cancel = this.#options.scheduler.schedule(this.#options.policy.intervalMs, () => {
      void this.run().finally(() => this.#schedule());
    });
  }

  /** Looks once; never rejects. */
  async run(): Promise<void> {
    const { policy, turns, logger } = this.#options;
    const step = nextRebalance([...turns.channels.values()], policy);
    if (step === undefined) return;
    const byRateMsat = (step.amountMsat * BigInt(policy.maxFeePpm)) / 1_000_000n;
    const maxFeeMsat = smallest(byRateMsat, this.#leftMsat());
    if (maxFeeMsat <= 0n) return;
    try {
      // All that it may cost is taken from the budget before anything is sent: a crash spends it, never exceeds it.
      await this.#spend(maxFeeMsat);
      const feeMsat = await this.#options.rebalance({ ...step, maxFeeMsat });
      await this.#spend(feeMsat - maxFeeMsat);
      logger.info({ amountMsat: step.amountMsat, feeMsat }, 'two channels were rebalanced');
    } catch (error) {
      if (!(error instanceof PaymentError)) {
        logger.error({ err: error }, 'rebalancing failed by a fault of ours');
        return;
      }
      logger.info({ code: error.code }, `no rebalancing: ${error.message}`);
      // Nothing was paid. What cannot be stored now stays spent.
      await this.#spend(-maxFeeMsat).catch((cause: unknown) =>
        logger.warn({ err: cause }, 'the budget stays used'),
      );
    }
  }

  #leftMsat(): bigint {
    const spent = this.#spentToday(this.#options.storage.getValue(budgetKey));
    const left = this.#options.policy.dailyBudgetSat * 1000n - spent;
    return left > 0n ? left : 0n;
  }

  #day(): number {
    return Math.floor(this.#options.now() / dayMs);
  }

  #spentToday(value: Uint8Array | undefined): bigint {
    if (value === undefined) return 0n;
    const reader = new ByteReader(value);
    return reader.u32() === this.#day() ? reader.u64() : 0n;
  }

  #spend(msat: bigint): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#options.turns.enqueue({
        run: (turn: Turn) => {
          const spent = this.#spentToday(turn.tx.getValue(budgetKey)) + msat;
          const writer = new ByteWriter(12).u32(this.#day()).u64(spent > 0n ? spent : 0n);
          turn.tx.putValue(budgetKey, writer.finish());
          turn.afterCommit(resolve);
        },
        failed: reject,
      });
    });
  }
}
