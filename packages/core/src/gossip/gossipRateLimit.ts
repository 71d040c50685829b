import { TokenBucket } from './tokenBucket.js';
import type { Verdict } from './verdict.js';

export interface GossipRateLimitOptions {
  /** How many updates of one key are taken at once. */
  readonly burst?: number;
  /** And then one in so many seconds. */
  readonly intervalSeconds?: number;
  /** How many keys are remembered, at most. */
  readonly maxKeys?: number;
}

/**
 * Limits how often one channel direction, or one node, may change what it says. A message counts only where its
 * signature was found valid: nobody else can use up a node's share. What is remembered is bounded: the key that was
 * quiet for longest is forgotten first.
 */
export class GossipRateLimit {
  readonly #burst: number;
  readonly #perSecond: number;
  readonly #maxKeys: number;
  /** In the order of their last use. */
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(options: GossipRateLimitOptions = {}) {
    this.#burst = options.burst ?? 10;
    this.#perSecond = 1 / (options.intervalSeconds ?? 60);
    this.#maxKeys = options.maxKeys ?? 50_000;
  }

  /** How many keys are remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  /**
   * Whether a message is to be taken; if so, it counts.
   * @param about.verdict of the message's signature: an invalid one is never taken and never counts.
   * @param about.key for example `${shortChannelId}/${direction}`, or a node id in hex.
   */
  admit(about: { readonly verdict: Verdict; readonly key: string; readonly nowMs: number }): boolean {
    const { verdict, key, nowMs } = about;
    if (!verdict.valid) return false;
    const bucket =
      this.#buckets.get(key) ?? new TokenBucket({ capacity: this.#burst, perSecond: this.#perSecond });
    this.#buckets.delete(key);
    this.#makeRoom(nowMs);
    this.#buckets.set(key, bucket);
    if (bucket.waitMs(nowMs) > 0) return false;
    bucket.spend(1);
    return true;
  }

  #makeRoom(nowMs: number): void {
    for (const [key, bucket] of this.#buckets) {
      // A full bucket is as good as none. The first that is not, and all after it, were used later.
      if (this.#buckets.size < this.#maxKeys && !bucket.isFull(nowMs)) return;
      this.#buckets.delete(key);
    }
  }
}
