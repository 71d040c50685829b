import { type BucketLevel, type BucketSize, TokenBucket } from './tokenBucket.js';

/** The key of the bucket that channels share for which there is no place. */
const OTHERS = 'others';

/**
 * A bucket for each channel, for a bounded number of them. A bucket is forgotten once it is full again, never
 * before: whoever has used up a channel's rate cannot get a new one by using many others. Where there is no place,
 * the channels that have none share one.
 */
export class ChannelRates {
  readonly #size: BucketSize;
  readonly #maxChannels: number;
  /** The one that was taken from last is last. */
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(
    size: BucketSize,
    maxChannels: number,
    levels: readonly (readonly [string, BucketLevel])[] = [],
  ) {
    this.#size = size;
    this.#maxChannels = maxChannels;
    for (const [channelId, level] of levels.slice(-maxChannels)) {
      this.#buckets.set(channelId, new TokenBucket(size, level.atMs, level));
    }
  }

  allows(payment: { channelId: string; msat: number; nowMs: number }): boolean {
    const bucket = this.#find(payment.channelId, payment.nowMs);
    // One that is full takes whatever is not larger than it.
    if (bucket === undefined) return payment.msat <= this.#size.msat;
    return bucket.allows(payment);
  }

  level(channelId: string, nowMs: number): number {
    return this.#find(channelId, nowMs)?.level(nowMs) ?? 1;
  }

  take({ channelId, msat, nowMs }: { channelId: string; msat: number; nowMs: number }): void {
    const key = this.#keyFor(channelId, nowMs);
    const bucket = this.#buckets.get(key) ?? new TokenBucket(this.#size, nowMs);
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    bucket.take(msat, nowMs);
  }

  state(): [string, BucketLevel][] {
    return [...this.#buckets].map(([channelId, bucket]) => [channelId, bucket.state()]);
  }

  #find(channelId: string, nowMs: number): TokenBucket | undefined {
    return this.#buckets.get(channelId) ?? (this.#hasPlace(nowMs) ? undefined : this.#buckets.get(OTHERS));
  }

  #keyFor(channelId: string, nowMs: number): string {
    if (this.#buckets.has(channelId)) return channelId;
    if (!this.#hasPlace(nowMs)) return OTHERS;
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size >= this.#maxChannels && oldest !== undefined) this.#buckets.delete(oldest);
    return channelId;
  }

  #hasPlace(nowMs: number): boolean {
    if (this.#buckets.size < this.#maxChannels) return true;
    const [oldest] = this.#buckets.values();
    return oldest === undefined || oldest.level(nowMs) >= 1;
  }
}
