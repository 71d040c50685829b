import { below, createBenchRandom, logUniform } from './benchRandom.js';
import { type CheapestPath, CheapestPathSearch, limitOf } from './cheapestPath.js';
import type { KeyedGraph } from './keyedGraph.js';
import { feeLimit, type PathQuery, pathLimits } from './pathQuery.js';

/** From 100 sat to 1,000,000 sat. */
const amountRangeMsat = [100_000, 1_000_000_000] as const;
const partLimit = 10;

/** A question, and what the textbook's search found for it. */
export interface PathPair {
  readonly query: PathQuery;
  /** Absent where it was not asked: for amounts that need several parts. */
  readonly cheapest?: CheapestPath;
}

type FirstHops = PathQuery['firstHops'];

/** Draws pairs of nodes, the same ones for the same graph and seed. */
export class PathPairs {
  readonly #graph: KeyedGraph;
  readonly #search: CheapestPathSearch;
  /** By node: what it can send by each channel, and be sent. */
  readonly #outward: FirstHops[];
  readonly #inwardMsat: number[][];
  readonly #seed: number;

  constructor(graph: KeyedGraph, seed: number) {
    this.#graph = graph;
    this.#seed = seed;
    this.#search = new CheapestPathSearch(graph);
    const outward: FirstHops[number][][] = graph.nodeIds.map(() => []);
    const inward: number[][] = graph.nodeIds.map(() => []);
    for (const { nodes, directions, capacitySat, shortChannelId } of graph.channels) {
      for (const side of [0, 1] as const) {
        const limit = limitOf(directions[side], capacitySat);
        if (limit === 0) continue;
        inward[nodes[1 - side] as number]?.push(limit);
        outward[nodes[side]]?.push({
          nodeId: graph.nodeIds[nodes[1 - side] as number] as Uint8Array,
          shortChannelId,
          capacitySat,
          spendableMsat: BigInt(limit),
          minimumMsat: BigInt(directions[side].htlcMinimumMsat),
        });
      }
    }
    this.#outward = outward;
    this.#inwardMsat = inward.map((limits) => limits.sort((a, b) => b - a));
  }

  /** Pairs of any nodes between which one path within all limits exists. */
  feasible(count: number): PathPair[] {
    const random = createBenchRandom(this.#seed);
    const { length: nodes } = this.#graph.nodeIds;
    const pairs: PathPair[] = [];
    for (let tries = 0; pairs.length < count; tries++) {
      if (tries > 1000 * count + 10_000)
        throw new RangeError('the graph has too few pairs with a way between');
      const source = below(random, nodes);
      const destination = below(random, nodes);
      const amount = logUniform(random, amountRangeMsat);
      if (source === destination || this.#outward[source]?.length === 0) continue;
      const query = this.#query({ source, destination, amountMsat: BigInt(amount), maxParts: 1 });
      const cheapest = this.#search.find(source, destination, amount);
      if (cheapest === undefined || BigInt(cheapest.feeMsat) > query.maxFeeMsat) continue;
      const { finalCltvDelta, maxCltvDelta, maxHops } = pathLimits;
      if (cheapest.hops > maxHops || cheapest.cltvDelta + finalCltvDelta > maxCltvDelta) continue;
      pairs.push({ query, cheapest });
    }
    return pairs;
  }

  /**
   * Pairs of well connected nodes and amounts above what any one channel of theirs takes. Nobody knows whether
   * ten parts can carry them.
   */
  needingParts(count: number): PathPair[] {
    const random = createBenchRandom(this.#seed + 1);
    const sources = this.#wellConnected((node) => this.#outward[node]?.length ?? 0);
    const destinations = this.#wellConnected((node) => this.#inwardMsat[node]?.length ?? 0);
    const pairs: PathPair[] = [];
    for (let tries = 0; pairs.length < count && tries < 1000 * count; tries++) {
      const source = sources[below(random, sources.length)];
      const destination = destinations[below(random, destinations.length)];
      if (source === undefined || destination === undefined || source === destination) continue;
      const spendable = (this.#outward[source] as FirstHops)
        .map(({ spendableMsat }) => Number(spendableMsat))
        .sort((a, b) => b - a);
      const receivable = this.#inwardMsat[destination] as number[];
      const sum = (limits: readonly number[]): number =>
        limits.slice(0, partLimit).reduce((total, each) => total + each, 0);
      const one = Math.min(spendable[0] as number, receivable[0] as number);
      const amount = Math.floor(Math.min(0.4 * Math.min(sum(spendable), sum(receivable)), 2 * one));
      if (amount < 1.1 * one) continue;
      pairs.push({
        query: this.#query({ source, destination, amountMsat: BigInt(amount), maxParts: partLimit }),
      });
    }
    return pairs;
  }

  #wellConnected(degree: (node: number) => number): number[] {
    return this.#graph.nodeIds.flatMap((_, node) => (degree(node) >= partLimit ? [node] : []));
  }

  #query(given: { source: number; destination: number; amountMsat: bigint; maxParts: number }): PathQuery {
    const { source, destination, amountMsat, maxParts } = given;
    return {
      source: this.#graph.nodeIds[source] as Uint8Array,
      destination: this.#graph.nodeIds[destination] as Uint8Array,
      amountMsat,
      maxFeeMsat: feeLimit(amountMsat),
      maxParts,
      firstHops: this.#outward[source] as FirstHops,
    };
  }
}
