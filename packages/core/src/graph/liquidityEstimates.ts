import { grownCapacity, grownUint32 } from './growable.js';
import { HashIndex, hashWords, highWord, lowWord } from './hashIndex.js';
import { decodeEstimates, encodeEstimates } from './liquidityCodec.js';
import {
  leastProbability,
  oldOutage,
  priorPenalties,
  priorSteps,
  probabilityAtLeast,
  unknownCapacityPenalty,
  youngBlocks,
  youngOutage,
} from './liquidityPrior.js';
import type { LiquidityObservation } from './route.js';

export interface LiquidityOptions {
  /** After so many milliseconds half of what a bound says is forgotten. */
  readonly halfLifeMs?: number;
  /** How many channels are remembered: the one that was seen longest ago is forgotten first. */
  readonly mostChannels?: number;
}

/** Where and when something was seen. */
export interface ObservationContext {
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  /** `undefined` where nobody knows it: a channel of a hint. */
  readonly capacityMsat?: bigint;
  /** What other HTLCs of ours held in this direction when this one was tried, itself not counted. */
  readonly inFlightMsat?: bigint;
}

export interface LiquidityQuestion {
  readonly shortChannelId: bigint;
  readonly direction: 0 | 1;
  readonly amountMsat: bigint;
  /** `undefined` where nobody knows it. */
  readonly capacityMsat?: bigint;
  /** What HTLCs of ours hold in this direction now. */
  readonly inFlightMsat?: bigint;
  readonly nowMs: number;
  /** Of the funding transaction; an old channel is more likely to be in service. */
  readonly ageBlocks?: number;
}

/** What is known of the liquidity of one channel, seen from `base`; in msat. */
export interface LiquidityRow {
  shortChannelId: bigint;
  /** The direction that `lower` and `upper` speak of. */
  base: 0 | 1;
  /** 0 where nobody knows it: then the other direction is not known either. */
  capacity: number;
  /** It had at least so much at `lowerAtMs`. */
  lower: number;
  lowerAtMs: number;
  /** It had at most so much at `upperAtMs`; infinite where nothing is known. */
  upper: number;
  upperAtMs: number;
}

interface Bounds {
  readonly lower: number;
  readonly upper: number;
}

const hour = 3_600_000;
const defaultHalfLifeMs = 6 * hour;
const defaultMostChannels = 10_000;
/** A channel of unknown capacity is taken to have so many times what was last seen of it. */
const assumedCapacityFactor = 4;

/**
 * What payments and probes taught of channels of others: for each channel a lower and an upper bound of its
 * liquidity in one direction, which tells the other one. Bounds fade with time, the lower one towards nothing,
 * the upper one towards the capacity.
 */
export class LiquidityEstimates {
  readonly #halfLifeMs: number;
  readonly #mostChannels: number;
  readonly #rows: LiquidityRow[] = [];
  /** By row, high and low word of the channel's id. */
  #ids = new Uint32Array(32);
  readonly #index = new HashIndex((index) =>
    hashWords(this.#ids[2 * index] as number, this.#ids[2 * index + 1] as number),
  );

  constructor({ halfLifeMs = defaultHalfLifeMs, mostChannels = defaultMostChannels }: LiquidityOptions = {}) {
    this.#halfLifeMs = halfLifeMs;
    this.#mostChannels = Math.max(1, mostChannels);
  }

  /** How many channels something is known of. */
  get count(): number {
    return this.#rows.length;
  }

  /** Learns from what was seen. */
  observe(observation: LiquidityObservation, context: ObservationContext): void {
    const { shortChannelId, direction, outcome } = observation;
    const { nowMs, capacityMsat, inFlightMsat = 0n } = context;
    const capacity = capacityMsat === undefined ? 0 : Number(capacityMsat);
    const amount = Number(observation.amountMsat);
    const row = this.#rowFor(shortChannelId, { direction, capacity, nowMs });
    const bounds = this.#boundsAt(row, nowMs);
    const next = learn(bounds, {
      outcome,
      amount,
      held: Number(inFlightMsat),
      towards: row.base === direction,
      capacity,
    });
    row.lower = next.lower;
    row.upper = next.upper;
    row.lowerAtMs = nowMs;
    row.upperAtMs = nowMs;
  }

  /** How likely an HTLC of this amount is to pass: above 0, at most 1. */
  probability(question: LiquidityQuestion): number {
    const { shortChannelId, direction, capacityMsat, inFlightMsat = 0n, nowMs, ageBlocks } = question;
    const capacity = capacityMsat === undefined ? 0 : Number(capacityMsat);
    const penalty = this.penalty(this.#find(shortChannelId), {
      direction,
      amount: Number(question.amountMsat),
      held: Number(inFlightMsat),
      capacity,
      nowMs,
    });
    return Math.exp(-(penalty + outagePenalty(ageBlocks)));
  }

  /** What is known of one direction now, in msat; `undefined` where nothing is. */
  bounds(
    shortChannelId: bigint,
    { direction, nowMs }: { direction: 0 | 1; nowMs: number },
  ): { lowerMsat: bigint; upperMsat: bigint | undefined } | undefined {
    const row = this.#rows[this.#find(shortChannelId)];
    if (row === undefined) return undefined;
    const { lower, upper } = this.#boundsOf(row, { direction, nowMs });
    return {
      lowerMsat: BigInt(Math.floor(lower)),
      upperMsat: Number.isFinite(upper) ? BigInt(Math.floor(upper)) : undefined,
    };
  }

  /** Forgets a channel: it is closed. */
  forget(shortChannelId: bigint): void {
    const index = this.#find(shortChannelId);
    if (index >= 0) this.#removeAt(index);
  }

  /** All that is known, for the store: a byte of version, then 49 bytes a channel. */
  encode(): Uint8Array {
    return encodeEstimates(this.#rows);
  }

  /**
   * What `encode` wrote; more channels than `mostChannels` are forgotten, those seen longest ago first.
   * @throws LiquidityEstimatesError
   */
  static decode(bytes: Uint8Array, options: LiquidityOptions = {}): LiquidityEstimates {
    const estimates = new LiquidityEstimates(options);
    const rows = decodeEstimates(bytes).sort((a, b) => b.upperAtMs - a.upperAtMs);
    for (const row of rows.slice(0, estimates.#mostChannels)) {
      if (estimates.#find(row.shortChannelId) < 0) estimates.#add(row);
    }
    return estimates;
  }

  /** For the search of routes alone: where a channel may be found by its hash, see `HashIndex.slots`. */
  get slots(): Int32Array {
    return this.#index.slots;
  }

  /** For the search of routes alone: by row, high and low word of the channel's id. */
  get ids(): Uint32Array {
    return this.#ids;
  }

  /**
   * For the search of routes alone: minus the logarithm of the probability, outages not counted.
   * @param index of `slots`; -1 where nothing is known of the channel.
   */
  penalty(
    index: number,
    question: { direction: number; amount: number; held: number; capacity: number; nowMs: number },
  ): number {
    const { direction, amount, held, capacity, nowMs } = question;
    const row = this.#rows[index];
    if (row === undefined) return unknownPenalty({ amount, held, capacity });
    const { lower, upper } = this.#boundsOf(row, { direction, nowMs });
    const size = capacity > 0 ? capacity : row.capacity;
    if (size <= 0 && amount + held > lower && upper === Number.POSITIVE_INFINITY)
      return unknownCapacityPenalty;
    const known =
      size > 0
        ? { lower: Math.min(lower, size), upper: Math.min(upper, size), capacity: size }
        : { lower, upper, capacity: Math.max(upper, assumedCapacityFactor * (amount + held)) };
    // What is held is there: only the rest is in question.
    const reached = probabilityAtLeast(held, known);
    const both = probabilityAtLeast(amount + held, known);
    const probability = reached > 0 ? both / reached : 0;
    return -Math.log(Math.min(1, Math.max(probability, leastProbability)));
  }

  /** For the search of routes alone: the penalty of a channel that is not in the graph. */
  penaltyOf(shortChannelId: bigint, question: Parameters<LiquidityEstimates['penalty']>[1]): number {
    return this.penalty(this.#find(shortChannelId), question);
  }

  #find(shortChannelId: bigint): number {
    return this.#index.find(
      hashOf(shortChannelId),
      (index) => (this.#rows[index] as LiquidityRow).shortChannelId === shortChannelId,
    );
  }

  #rowFor(
    shortChannelId: bigint,
    { direction, capacity, nowMs }: { direction: 0 | 1; capacity: number; nowMs: number },
  ): LiquidityRow {
    const found = this.#rows[this.#find(shortChannelId)];
    // A capacity that changed (a splice), or one direction of a channel of unknown capacity after the other:
    // what was known does not speak of this.
    const fits =
      found !== undefined && found.capacity === capacity && (capacity > 0 || found.base === direction);
    if (found !== undefined && fits) return found;
    const row: LiquidityRow = {
      shortChannelId,
      base: direction,
      capacity,
      lower: 0,
      lowerAtMs: nowMs,
      upper: capacity > 0 ? capacity : Number.POSITIVE_INFINITY,
      upperAtMs: nowMs,
    };
    if (found !== undefined) return Object.assign(found, row);
    if (this.#rows.length >= this.#mostChannels) this.#removeAt(this.#oldest());
    this.#add(row);
    return row;
  }

  #add(row: LiquidityRow): void {
    const index = this.#rows.push(row) - 1;
    if (2 * index >= this.#ids.length)
      this.#ids = grownUint32(this.#ids, 2 * grownCapacity(index, index + 1));
    this.#ids[2 * index] = highWord(row.shortChannelId);
    this.#ids[2 * index + 1] = lowWord(row.shortChannelId);
    this.#index.add(index);
  }

  #removeAt(index: number): void {
    const last = this.#rows.length - 1;
    this.#index.remove(index);
    if (index !== last) {
      this.#index.remove(last);
      this.#rows[index] = this.#rows[last] as LiquidityRow;
      this.#ids[2 * index] = this.#ids[2 * last] as number;
      this.#ids[2 * index + 1] = this.#ids[2 * last + 1] as number;
      this.#index.add(index);
    }
    this.#rows.pop();
  }

  #oldest(): number {
    let oldest = 0;
    let atMs = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.#rows.length; i++) {
      const seenAtMs = (this.#rows[i] as LiquidityRow).upperAtMs;
      if (seenAtMs >= atMs) continue;
      oldest = i;
      atMs = seenAtMs;
    }
    return oldest;
  }

  /** The bounds of the row's own direction, as faded as they are now. */
  #boundsAt({ capacity, lower, lowerAtMs, upper, upperAtMs }: LiquidityRow, nowMs: number): Bounds {
    const left = 2 ** (-Math.max(0, nowMs - lowerAtMs) / this.#halfLifeMs);
    if (capacity <= 0) {
      const grown = 2 ** (Math.max(0, nowMs - upperAtMs) / this.#halfLifeMs);
      return { lower: lower * left, upper: upper * grown };
    }
    const leftAbove = 2 ** (-Math.max(0, nowMs - upperAtMs) / this.#halfLifeMs);
    return { lower: lower * left, upper: capacity - (capacity - upper) * leftAbove };
  }

  /** The bounds of either direction now. */
  #boundsOf(row: LiquidityRow, { direction, nowMs }: { direction: number; nowMs: number }): Bounds {
    const bounds = this.#boundsAt(row, nowMs);
    if (direction === row.base) return bounds;
    if (row.capacity <= 0) return { lower: 0, upper: Number.POSITIVE_INFINITY };
    // What one end has, the other has not.
    return { lower: row.capacity - bounds.upper, upper: row.capacity - bounds.lower };
  }
}

/** What an observation makes of bounds; `towards` if it is of the direction that the bounds speak of. */
function learn(
  { lower, upper }: Bounds,
  seen: {
    outcome: LiquidityObservation['outcome'];
    amount: number;
    held: number;
    towards: boolean;
    capacity: number;
  },
): Bounds {
  const { outcome, amount, held, towards, capacity } = seen;
  const most = capacity > 0 ? capacity : Number.POSITIVE_INFINITY;
  if (!towards) {
    const turned = learn({ lower: most - upper, upper: most - lower }, { ...seen, towards: true });
    return { lower: most - turned.upper, upper: most - turned.lower };
  }
  const total = Math.min(amount + held, most);
  switch (outcome) {
    case 'refused': {
      const below = Math.max(0, total - 1);
      return { lower: lower > below ? 0 : lower, upper: Math.min(upper, below) };
    }
    case 'carried':
      return { lower: Math.max(lower, total), upper: upper < total ? most : upper };
    case 'settled': {
      const moved = Math.min(amount, most);
      const before = { lower: Math.max(lower, total), upper: upper < total ? most : upper };
      return { lower: Math.max(0, before.lower - moved), upper: Math.max(0, before.upper - moved) };
    }
  }
}

function unknownPenalty({
  amount,
  held,
  capacity,
}: {
  amount: number;
  held: number;
  capacity: number;
}): number {
  if (capacity <= 0) return unknownCapacityPenalty;
  return Math.max(
    0,
    priorPenalty((amount + held) / capacity) - (held > 0 ? priorPenalty(held / capacity) : 0),
  );
}

function priorPenalty(share: number): number {
  const at = Math.min(share, 1) * priorSteps;
  const step = Math.floor(at);
  const low = priorPenalties[step] as number;
  return low + (at - step) * ((priorPenalties[step + 1] as number) - low);
}

/** Minus the logarithm of the probability that a channel is in service. */
export function outagePenalty(ageBlocks: number | undefined): number {
  if (ageBlocks === undefined) return oldOutage + youngOutage / 2;
  return oldOutage + youngOutage / (1 + Math.max(0, ageBlocks) / youngBlocks);
}

function hashOf(shortChannelId: bigint): number {
  return hashWords(highWord(shortChannelId), lowWord(shortChannelId));
}
