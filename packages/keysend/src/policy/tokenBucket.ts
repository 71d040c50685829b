import type { PolicyRate } from './policySettings.js';

/** How full a bucket was, and when. Plain JSON. */
export interface BucketLevel {
  /** What may still be taken, in payments and in msat. */
  readonly payments: number;
  readonly msat: number;
  readonly atMs: number;
}

/** A rate as the numbers that a bucket needs; Infinity where it does not limit. */
export interface BucketSize {
  readonly payments: number;
  readonly msat: number;
  readonly perMs: number;
}

export function bucketSize(rate: PolicyRate): BucketSize {
  return {
    payments: rate.payments ?? Number.POSITIVE_INFINITY,
    msat: rate.msat === undefined ? Number.POSITIVE_INFINITY : Number(rate.msat),
    perMs: rate.perSeconds * 1_000,
  };
}

/**
 * A token bucket of payments and msat. It is filled evenly, all of it in the time of its rate; a clock that goes back
 * fills nothing.
 */
export class TokenBucket {
  readonly #size: BucketSize;
  #payments: number;
  #msat: number;
  #atMs: number;

  constructor(size: BucketSize, nowMs: number, level?: BucketLevel) {
    this.#size = size;
    this.#payments = Math.min(size.payments, level?.payments ?? size.payments);
    this.#msat = Math.min(size.msat, level?.msat ?? size.msat);
    this.#atMs = level?.atMs ?? nowMs;
  }

  /** Whether a payment fits, with `reserve` (0 to 1) of the bucket left over. */
  allows(payment: { msat: number; nowMs: number; reserve?: number }): boolean {
    this.#fill(payment.nowMs);
    const { payments, msat } = this.#size;
    const reserve = payment.reserve ?? 0;
    return this.#payments - 1 >= rest(payments, reserve) && this.#msat - payment.msat >= rest(msat, reserve);
  }

  /** How much of the bucket there is, 0 to 1: the scarcer of the two. */
  level(nowMs: number): number {
    this.#fill(nowMs);
    return Math.min(part(this.#payments, this.#size.payments), part(this.#msat, this.#size.msat));
  }

  take(msat: number, nowMs: number): void {
    this.#fill(nowMs);
    this.#payments -= 1;
    this.#msat -= msat;
  }

  state(): BucketLevel {
    // JSON has no Infinity; what is beyond a bucket's size is cut to it again.
    const plain = (amount: number): number => (Number.isFinite(amount) ? amount : Number.MAX_VALUE);
    return { payments: plain(this.#payments), msat: plain(this.#msat), atMs: this.#atMs };
  }

  #fill(nowMs: number): void {
    if (nowMs <= this.#atMs) return;
    const filled = (nowMs - this.#atMs) / this.#size.perMs;
    this.#atMs = nowMs;
    const { payments, msat } = this.#size;
    if (this.#payments < payments) this.#payments = Math.min(payments, this.#payments + payments * filled);
    if (this.#msat < msat) this.#msat = Math.min(msat, this.#msat + msat * filled);
  }
}

function rest(size: number, reserve: number): number {
  // A hair less than nothing: what was filled in many steps may lack the last bit of a payment.
  return size === Number.POSITIVE_INFINITY ? Number.NEGATIVE_INFINITY : size * reserve - 1e-6;
}

function part(amount: number, size: number): number {
  return size === Number.POSITIVE_INFINITY ? 1 : amount / size;
}
