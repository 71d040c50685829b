import type { Scheduler } from '../peers/index.js';
import { TokenBucket } from '../peers/tokenBucket.js';
import type { ChannelKey } from './turns.js';

/** How long a channel must have been unusable before the network hears of it. */
export const disableAfterMs = 600_000;
/** How long it must have been usable again. */
const enableAfterMs = 120_000;
/** Changes of one channel that are told: so many at once, and one every two hours in the long run. */
export const flapBudget = { capacity: 6, perSecond: 1 / 7_200 } as const;

interface Watched {
  /** Since when the channel has differed from what was told of it. */
  readonly differsSinceMs: number;
}

/**
 * Decides when it is worth telling all the network that a channel can be used no longer, or again. A peer that
 * comes and goes would have us flood it: a change is told once it has lasted, and only so often.
 */
export class LinkWatch {
  readonly #scheduler: Scheduler;
  readonly #watched = new Map<ChannelKey, Watched>();
  readonly #budgets = new Map<ChannelKey, TokenBucket>();

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** Looks at a channel, every now and then; whether the difference has lasted long enough to be told. */
  isDue(key: ChannelKey, { usable, toldUsable }: { usable: boolean; toldUsable: boolean }): boolean {
    if (usable === toldUsable) {
      this.#watched.delete(key);
      return false;
    }
    const now = this.#scheduler.now();
    const watched = this.#watched.get(key);
    if (watched === undefined) this.#watched.set(key, { differsSinceMs: now });
    const lastedMs = now - (watched?.differsSinceMs ?? now);
    if (lastedMs < (usable ? enableAfterMs : disableAfterMs) || !this.#budgetOf(key).take()) return false;
    this.#watched.delete(key);
    return true;
  }

  /** What is not watched for its own sake any more is forgotten. */
  keepOnly(keys: { has(key: ChannelKey): boolean }): void {
    for (const map of [this.#watched, this.#budgets]) {
      for (const key of map.keys()) if (!keys.has(key)) map.delete(key);
    }
  }

  #budgetOf(key: ChannelKey): TokenBucket {
    const known = this.#budgets.get(key);
    if (known !== undefined) return known;
    const budget = new TokenBucket(this.#scheduler, flapBudget);
    this.#budgets.set(key, budget);
    return budget;
  }
}
