import type { Scheduler } from './scheduler.js';

/** A budget that refills with time: `capacity` at once, `perSecond` in the long run. */
export class TokenBucket {
  readonly #scheduler: Scheduler;
  readonly #capacity: number;
  readonly #perSecond: number;
  #tokens: number;
  #updatedAt: number;

  constructor(scheduler: Scheduler, budget: { capacity: number; perSecond: number }) {
    this.#scheduler = scheduler;
    this.#capacity = budget.capacity;
    this.#perSecond = budget.perSecond;
    this.#tokens = budget.capacity;
    this.#updatedAt = scheduler.now();
  }

  #refill(): void {
    const now = this.#scheduler.now();
    const earned = ((now - this.#updatedAt) / 1000) * this.#perSecond;
    this.#tokens = Math.min(this.#capacity, this.#tokens + earned);
    this.#updatedAt = now;
  }

  /** Takes what one event costs; `false`, and takes nothing, where the budget does not hold it. */
  take(cost = 1): boolean {
    this.#refill();
    if (this.#tokens < cost) return false;
    this.#tokens -= cost;
    return true;
  }

  /** Whether it is as good as new, so that it need not be remembered. */
  get full(): boolean {
    this.#refill();
    return this.#tokens >= this.#capacity;
  }
}
