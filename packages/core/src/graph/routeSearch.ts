import { inwardUsable, outwardUsable } from './adjacency.js';
import {
  atCapacity,
  atCltvDelta,
  atFeeBase,
  atFeeProportional,
  atMaximum,
  atMinimum,
  recordLength,
} from './channelTable.js';
import type { FailureCosts, FailureTask } from './failureCosts.js';
import { grownCapacity } from './growable.js';
import { Heap } from './heap.js';
import { nodeBarred } from './networkGraph.js';
import type { RouteRequest } from './route.js';
import type { RouteWeights } from './routeWeights.js';
import { edgeExcluded, hintBegins, hintEnds, leadsIn, type SearchSpace } from './searchSpace.js';

export interface SearchLimits {
  /** In msat; may be infinite. */
  readonly maxFee: number;
  /** Of the channels after the first: the final delta is not in it. May be infinite. */
  readonly maxCltv: number;
  readonly maxHops: number;
  /** To find out why there is no route: as if our channels held whatever is needed. */
  readonly ignoreSpendable: boolean;
}

export interface SearchTask extends FailureTask {
  readonly request: RouteRequest;
  readonly amount: number;
  readonly limits: SearchLimits;
}

/** A way through the space: which of the first hops, then directed channels up to the destination. */
export interface Path {
  readonly firstHop: number;
  readonly edges: readonly number[];
}

export interface SearchCut {
  fee: boolean;
  cltv: boolean;
  hops: boolean;
  /** A channel would take what arrives, but not the fees on top of it: a cheaper way may fit. */
  amount: boolean;
  /** One of our channels has too little to spend. */
  spendable: boolean;
}

export const uncut: SearchCut = { fee: false, cltv: false, hops: false, amount: false, spendable: false };

export interface SearchOutcome {
  readonly path: Path | undefined;
  /** Which limits kept the search from going on somewhere: what was found may not be the best. */
  readonly cut: SearchCut;
}

/** How many nodes around us are looked at before the search begins at the destination. */
const defaultNodesAround = 50;
const none = -1;

/**
 * One search for the path of the least cost, from the destination to us, as amounts and fees are known only
 * there. To see fewer nodes, it knows for those around us what the way from us costs at least (searched
 * forward, with the amount that arrives), and for all others that it is no less than for those: A* with a
 * potential that is exact near its target. Labels live in typed arrays that are kept from search to search.
 */
export class RouteSearch {
  readonly #space: SearchSpace;
  readonly #nodesAround: number;
  readonly #failures: FailureCosts;
  readonly #heap = new Heap();
  #run = 0;
  // Labels of the search from the destination.
  #stamps = new Int32Array(0);
  #costs = new Float64Array(0);
  #amounts = new Float64Array(0);
  #cltvs = new Float64Array(0);
  #hops = new Uint16Array(0);
  #edges = new Int32Array(0);
  #nexts = new Int32Array(0);
  // Labels of the search around us.
  #nearStamps = new Int32Array(0);
  #nearCosts = new Float64Array(0);
  #radius = 0;
  #cut: SearchCut = { ...uncut };

  constructor(
    space: SearchSpace,
    { failures, nodesAround }: { failures: FailureCosts; nodesAround?: number },
  ) {
    this.#space = space;
    this.#failures = failures;
    this.#nodesAround = nodesAround ?? defaultNodesAround;
  }

  /** The space must be that of the task's request. */
  find(task: SearchTask): SearchOutcome {
    this.#reserve();
    this.#run += 2;
    this.#cut = { ...uncut };
    this.#failures.enter(task);
    const reached = this.#lookAround(task) && this.#searchBack(task);
    return { path: reached ? this.#trace() : undefined, cut: this.#cut };
  }

  #reserve(): void {
    const { nodeLimit } = this.#space;
    if (nodeLimit <= this.#stamps.length && this.#run < 2 ** 30) return;
    const capacity = grownCapacity(this.#stamps.length, nodeLimit);
    this.#run = 0;
    this.#stamps = new Int32Array(capacity);
    this.#costs = new Float64Array(capacity);
    this.#amounts = new Float64Array(capacity);
    this.#cltvs = new Float64Array(capacity);
    this.#hops = new Uint16Array(capacity);
    this.#edges = new Int32Array(capacity);
    this.#nexts = new Int32Array(capacity);
    this.#nearStamps = new Int32Array(capacity);
    this.#nearCosts = new Float64Array(capacity);
  }

  /** @returns false where the destination is out of reach whatever the limits of fee, time and hops. */
  #lookAround(task: SearchTask): boolean {
    const { request, amount, limits, weights } = task;
    const space = this.#space;
    const heap = this.#heap;
    const { nodeFlags, adjacency, usableInward } = space.graph;
    const { records } = space.graph.channelTable;
    const { pool, starts, lengths } = adjacency;
    const failures = this.#failures;
    const { nodeMarks, edgeMarks, destination } = space;
    const stamps = this.#nearStamps;
    const costs = this.#nearCosts;
    const open = this.#run;
    const settled = open + 1;
    const high = space.graph.nodeTable.high;
    const { feeFactor, timeLockPerBlock, hop } = weights;
    const timeLock = weights.timeLockPerMsatBlock * amount;
    const withFailures = weights.failureBase > 0 || weights.failurePerMsat > 0;
    // An HTLC on the way is worth no more than this.
    const most = amount + limits.maxFee;
    heap.clear();
    for (const node of space.blocked) stamps[node] = settled;
    if (stamps[destination] === settled) return false;
    if (nodeMarks[destination] === 0 && (destination >= high || usableInward[destination] === 0))
      return false;
    for (const [node, hops] of space.firstHopsAt) {
      if (stamps[node] === settled) continue;
      let usable = false;
      for (const i of hops) {
        const { spendableMsat, minimumMsat } = request.firstHops[i] as (typeof request.firstHops)[number];
        if (Number(minimumMsat) > most) continue;
        if (limits.ignoreSpendable || Number(spendableMsat) >= amount) usable = true;
        else this.#cut.spendable = true;
      }
      if (!usable) continue;
      stamps[node] = open;
      costs[node] = 0;
      heap.push(0, node);
    }
    let left = this.#nodesAround;
    while (heap.size > 0) {
      this.#radius = heap.keys[0] as number;
      if (left === 0) return true;
      const node = heap.pop();
      if (stamps[node] === settled) continue;
      stamps[node] = settled;
      left--;
      if (node === destination) return true;
      if (node < high && ((nodeFlags[node] as number) & nodeBarred) !== 0) continue;
      const cost = costs[node] as number;
      if (((nodeMarks[node] as number) & hintBegins) !== 0) {
        for (const index of space.hintsFrom.get(node) ?? []) {
          const { to } = space.hintEdges[index] as { to: number };
          if (stamps[to] === settled) continue;
          const way = cost + this.#hintCost(index, { amount, most, weights });
          if (way === Number.POSITIVE_INFINITY || (stamps[to] === open && way >= (costs[to] as number)))
            continue;
          stamps[to] = open;
          costs[to] = way;
          heap.push(way, to);
        }
      }
      if (node >= high) continue;
      const start = starts[node] as number;
      const end = start + 2 * (lengths[node] as number);
      for (let position = start; position < end; position += 2) {
        const entry = pool[position] as number;
        if ((entry & outwardUsable) === 0) continue;
        const to = pool[position + 1] as number;
        if (stamps[to] === settled) continue;
        const directed = entry >> 2;
        const at = recordLength * directed;
        if (amount > (records[at + atMaximum] as number) || most < (records[at + atMinimum] as number))
          continue;
        const mark = edgeMarks[directed] as number;
        if ((mark & edgeExcluded) !== 0) continue;
        const held = mark === 0 ? 0 : space.heldIn(directed);
        if (amount + held > (records[at + atCapacity] as number)) continue;
        const fee =
          (records[at + atFeeBase] as number) +
          Math.floor((amount * (records[at + atFeeProportional] as number)) / 1e6);
        let way =
          cost +
          fee * feeFactor +
          (records[at + atCltvDelta] as number) * (timeLock + timeLockPerBlock) +
          hop;
        const isOpen = stamps[to] === open;
        if (isOpen && way >= (costs[to] as number)) continue;
        if (withFailures) way += failures.cost(directed, amount);
        if (isOpen && way >= (costs[to] as number)) continue;
        stamps[to] = open;
        costs[to] = way;
        heap.push(way, to);
      }
    }
    // All that can be reached from us was seen.
    this.#radius = Number.POSITIVE_INFINITY;
    return stamps[destination] === settled;
  }

  /** @returns whether we were reached; then the labels tell how. */
  #searchBack(task: SearchTask): boolean {
    const { amount: arriving, limits, weights } = task;
    const space = this.#space;
    const heap = this.#heap;
    const cut = this.#cut;
    const { nodeFlags, adjacency, usableInward } = space.graph;
    const { records } = space.graph.channelTable;
    const { pool, starts, lengths } = adjacency;
    const failures = this.#failures;
    const { nodeMarks, edgeMarks, source, destination } = space;
    const stamps = this.#stamps;
    const costs = this.#costs;
    const amounts = this.#amounts;
    const cltvs = this.#cltvs;
    const hopCounts = this.#hops;
    const nearStamps = this.#nearStamps;
    const nearCosts = this.#nearCosts;
    const radius = this.#radius;
    const open = this.#run;
    const settled = open + 1;
    const high = space.graph.nodeTable.high;
    const { feeFactor, timeLockPerMsatBlock, timeLockPerBlock, hop } = weights;
    const withFailures = weights.failureBase > 0 || weights.failurePerMsat > 0;
    const { maxFee, maxCltv, maxHops } = limits;
    heap.clear();
    if (maxHops < 1) {
      cut.hops = true;
      return false;
    }
    for (const node of space.blocked) stamps[node] = settled;
    if (stamps[destination] === settled) return false;
    stamps[destination] = open;
    costs[destination] = 0;
    amounts[destination] = arriving;
    cltvs[destination] = 0;
    hopCounts[destination] = 0;
    this.#edges[destination] = none;
    this.#nexts[destination] = none;
    heap.push(0, destination);
    while (heap.size > 0) {
      const node = heap.pop();
      if (stamps[node] === settled) continue;
      stamps[node] = settled;
      if (node === source) return true;
      if (node !== destination && node < high && ((nodeFlags[node] as number) & nodeBarred) !== 0) continue;
      const marks = nodeMarks[node] as number;
      if ((marks & leadsIn) !== 0) this.#relaxFirstHops(node, task);
      const hops = (hopCounts[node] as number) + 1;
      if (hops >= maxHops) {
        cut.hops = true;
        continue;
      }
      if ((marks & hintEnds) !== 0) this.#relaxHints(node, task);
      if (node >= high) continue;
      const cost = costs[node] as number;
      const amount = amounts[node] as number;
      const cltv = cltvs[node] as number;
      const timeLock = timeLockPerMsatBlock * amount + timeLockPerBlock;
      const start = starts[node] as number;
      const end = start + 2 * (lengths[node] as number);
      for (let position = start; position < end; position += 2) {
        const entry = pool[position] as number;
        if ((entry & inwardUsable) === 0) continue;
        const from = pool[position + 1] as number;
        const stamp = stamps[from] as number;
        if (stamp === settled) continue;
        // Where nothing else leads to, no route leads over.
        if (nodeMarks[from] === 0 && (usableInward[from] as number) <= (entry & outwardUsable) >> 1) continue;
        const directed = (entry >> 2) ^ 1;
        const at = recordLength * directed;
        const maximum = records[at + atMaximum] as number;
        if (amount > maximum) {
          if (arriving <= maximum) cut.amount = true;
          continue;
        }
        if (amount < (records[at + atMinimum] as number)) continue;
        const mark = edgeMarks[directed] as number;
        if ((mark & edgeExcluded) !== 0) continue;
        const held = mark === 0 ? 0 : space.heldIn(directed);
        if (amount + held > (records[at + atCapacity] as number)) {
          cut.amount = true;
          continue;
        }
        const fee =
          (records[at + atFeeBase] as number) +
          Math.floor((amount * (records[at + atFeeProportional] as number)) / 1e6);
        if (amount + fee - arriving > maxFee) {
          cut.fee = true;
          continue;
        }
        const delta = records[at + atCltvDelta] as number;
        if (cltv + delta > maxCltv) {
          cut.cltv = true;
          continue;
        }
        let way = cost + fee * feeFactor + delta * timeLock + hop;
        const isOpen = stamp === open;
        if (isOpen && way >= (costs[from] as number)) continue;
        if (withFailures) way += failures.cost(directed, amount);
        if (isOpen && way >= (costs[from] as number)) continue;
        const ahead = nearStamps[from] === settled ? (nearCosts[from] as number) : radius;
        if (ahead === Number.POSITIVE_INFINITY) continue;
        stamps[from] = open;
        costs[from] = way;
        amounts[from] = amount + fee;
        cltvs[from] = cltv + delta;
        hopCounts[from] = hops;
        this.#edges[from] = directed;
        this.#nexts[from] = node;
        heap.push(way + ahead, from);
      }
    }
    return false;
  }

  /** From us into the node: our own channels take no fee. */
  #relaxFirstHops(node: number, { request, limits }: SearchTask): void {
    const { source, firstHopsAt } = this.#space;
    const amount = this.#amounts[node] as number;
    const cost = this.#costs[node] as number;
    if (this.#stamps[source] === this.#run && cost >= (this.#costs[source] as number)) return;
    let best = none;
    let bestSpendable = Number.POSITIVE_INFINITY;
    for (const i of firstHopsAt.get(node) ?? []) {
      const { spendableMsat, minimumMsat } = request.firstHops[i] as (typeof request.firstHops)[number];
      if (Number(minimumMsat) > amount) continue;
      const spendable = Number(spendableMsat);
      if (spendable < amount && !limits.ignoreSpendable) {
        this.#cut.spendable = true;
        continue;
      }
      // The least that suffices: the others stay for greater amounts.
      if (spendable >= bestSpendable) continue;
      best = i;
      bestSpendable = spendable;
    }
    if (best === none) return;
    this.#stamps[source] = this.#run;
    this.#costs[source] = cost;
    this.#edges[source] = best;
    this.#nexts[source] = node;
    this.#heap.push(cost, source);
  }

  #relaxHints(node: number, { amount: arriving, limits, weights }: SearchTask): void {
    const space = this.#space;
    const amount = this.#amounts[node] as number;
    for (const index of space.hintsInto.get(node) ?? []) {
      if (amount > (space.hintRecords[recordLength * index + atMaximum] as number)) this.#cut.amount = true;
      const { from } = space.hintEdges[index] as { from: number };
      if (this.#stamps[from] === this.#run + 1) continue;
      const cost = (this.#costs[node] as number) + this.#hintCost(index, { amount, most: amount, weights });
      if (cost === Number.POSITIVE_INFINITY) continue;
      const at = recordLength * index;
      const fee = feeAt(space.hintRecords, at, amount);
      const cltv = (this.#cltvs[node] as number) + (space.hintRecords[at + atCltvDelta] as number);
      if (amount + fee - arriving > limits.maxFee) this.#cut.fee = true;
      else if (cltv > limits.maxCltv) this.#cut.cltv = true;
      else if (this.#stamps[from] !== this.#run || cost < (this.#costs[from] as number)) {
        const ahead =
          this.#nearStamps[from] === this.#run + 1 ? (this.#nearCosts[from] as number) : this.#radius;
        if (ahead === Number.POSITIVE_INFINITY) continue;
        this.#stamps[from] = this.#run;
        this.#costs[from] = cost;
        this.#amounts[from] = amount + fee;
        this.#cltvs[from] = cltv;
        this.#hops[from] = (this.#hops[node] as number) + 1;
        this.#edges[from] = -2 - index;
        this.#nexts[from] = node;
        this.#heap.push(cost + ahead, from);
      }
    }
  }

  /** Infinite where the channel does not take the amount; `most` is what an amount could be here. */
  #hintCost(
    index: number,
    { amount, most, weights }: { amount: number; most: number; weights: RouteWeights },
  ): number {
    const records = this.#space.hintRecords;
    const at = recordLength * index;
    if (amount > (records[at + atMaximum] as number) || most < (records[at + atMinimum] as number)) {
      return Number.POSITIVE_INFINITY;
    }
    const delta = records[at + atCltvDelta] as number;
    const cost =
      feeAt(records, at, amount) * weights.feeFactor +
      delta * (weights.timeLockPerMsatBlock * amount + weights.timeLockPerBlock) +
      weights.hop;
    if (weights.failureBase === 0 && weights.failurePerMsat === 0) return cost;
    return cost + this.#failures.cost(-2 - index, amount);
  }

  #trace(): Path {
    const { source, destination } = this.#space;
    const edges: number[] = [];
    for (let node = this.#nexts[source] as number; node !== destination; node = this.#nexts[node] as number) {
      edges.push(this.#edges[node] as number);
    }
    return { firstHop: this.#edges[source] as number, edges };
  }
}

/** BOLT 7, HTLC fees; exact as long as the amount times the rate is below 2^53. */
export function feeAt(records: Float64Array, at: number, amount: number): number {
  return (
    (records[at + atFeeBase] as number) +
    Math.floor((amount * (records[at + atFeeProportional] as number)) / 1e6)
  );
}
