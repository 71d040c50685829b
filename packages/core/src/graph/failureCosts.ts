import { atBirth, atCapacity, atHash, atMaximum, recordLength } from './channelTable.js';
import type { LiquidityEstimates } from './liquidityEstimates.js';
import {
  oldOutage,
  priorPenalties,
  priorSteps,
  unknownCapacityPenalty,
  valvePenalties,
  valveShare,
  youngBlocks,
  youngOutage,
} from './liquidityPrior.js';
import type { RouteWeights } from './routeWeights.js';
import type { SearchSpace } from './searchSpace.js';

/** What a cost depends on besides the channel and the amount. */
export interface FailureTask {
  readonly request: { readonly blockHeight: number; readonly nowMs: number };
  readonly weights: RouteWeights;
  readonly liquidity: LiquidityEstimates;
}

/**
 * What the risk that a channel does not carry an amount costs a route. Asked for every channel that a search
 * looks at: a table instead of a logarithm where nothing is known of the channel, and no allocation.
 */
export class FailureCosts {
  readonly #space: SearchSpace;
  #records = new Float64Array(0);
  #ids = new Uint32Array(0);
  #height = 0;
  #nowMs = 0;
  #base = 0;
  #perMsat = 0;
  /** `undefined` where nothing is known of any channel. */
  #liquidity: LiquidityEstimates | undefined;

  constructor(space: SearchSpace) {
    this.#space = space;
  }

  /** Takes in a task; the graph must not change until the next. */
  enter({ request, weights, liquidity }: FailureTask): void {
    const { records, ids } = this.#space.graph.channelTable;
    this.#records = records;
    this.#ids = ids;
    this.#height = request.blockHeight;
    this.#nowMs = request.nowMs;
    this.#base = weights.failureBase;
    this.#perMsat = weights.failurePerMsat;
    this.#liquidity = liquidity.count > 0 ? liquidity : undefined;
  }

  /** In msat; grows with the amount. */
  cost(directed: number, amount: number): number {
    return this.penalty(directed, amount) * (this.#base + amount * this.#perMsat);
  }

  /** Minus the logarithm of the probability that a directed channel of the space carries the amount. */
  penalty(directed: number, amount: number): number {
    if (directed < 0) return this.#hintPenalty(directed, amount);
    const records = this.#records;
    const at = recordLength * directed;
    const capacity = records[at + atCapacity] as number;
    const age = this.#height - (records[at + atBirth] as number);
    const outage = oldOutage + youngOutage / (1 + Math.max(0, age) / youngBlocks);
    const held = this.#space.edgeMarks[directed] === 0 ? 0 : this.#space.heldIn(directed);
    if (this.#liquidity !== undefined) {
      const index = this.#knownAt(directed);
      if (index >= 0) {
        const question = { direction: directed & 1, amount, held, capacity, nowMs: this.#nowMs };
        return outage + this.#liquidity.penalty(index, question);
      }
    }
    const valve = (records[at + atMaximum] as number) < valveShare * capacity;
    const table = valve ? valvePenalties : priorPenalties;
    const scale = priorSteps / capacity;
    const penalty = interpolate(table, (amount + held) * scale);
    // What is held is there: only the rest is in question.
    return outage + (held === 0 ? penalty : penalty - interpolate(table, held * scale));
  }

  #hintPenalty(directed: number, amount: number): number {
    if (this.#liquidity === undefined) return oldOutage + unknownCapacityPenalty;
    const { shortChannelId, direction } = this.#space.edgeAt(directed);
    const held = this.#space.heldIn(directed);
    const question = { direction, amount, held, capacity: 0, nowMs: this.#nowMs };
    return oldOutage + this.#liquidity.penaltyOf(shortChannelId, question);
  }

  /** The row of the estimates; -1 where nothing is known of the channel. */
  #knownAt(directed: number): number {
    const { slots, ids } = this.#liquidity as LiquidityEstimates;
    const high = this.#ids[directed & ~1] as number;
    const low = this.#ids[directed | 1] as number;
    const mask = slots.length - 1;
    const hash = this.#records[recordLength * directed + atHash] as number;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const index = (slots[slot] as number) - 1;
      if (index < 0 || (ids[2 * index] === high && ids[2 * index + 1] === low)) return index;
    }
  }
}

function interpolate(table: Float64Array, position: number): number {
  const step = position | 0;
  const low = table[step] as number;
  return low + (position - step) * ((table[step + 1] as number) - low);
}
