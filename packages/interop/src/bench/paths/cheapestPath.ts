import type { BenchDirection } from './benchGraph.js';
import type { KeyedGraph } from './keyedGraph.js';

/** A way with the least fees, as far as this search knows: what the others' fees are compared with. */
export interface CheapestPath {
  readonly feeMsat: number;
  /** Without what the destination asks for. */
  readonly cltvDelta: number;
  readonly hops: number;
}

/** The most that one HTLC in this direction may be worth; nothing where it is disabled. */
export function limitOf(direction: BenchDirection, capacitySat: number): number {
  return direction.enabled ? Math.min(direction.htlcMaximumMsat, capacitySat * 1000) : 0;
}

/** A heap of (key, item) in arrays, least key first. */
class PlainHeap {
  readonly #keys: number[] = [];
  readonly #items: number[] = [];

  push(key: number, item: number): void {
    let at = this.#keys.length;
    for (; at > 0; at = (at - 1) >> 1) {
      const parent = (at - 1) >> 1;
      if ((this.#keys[parent] as number) <= key) break;
      this.#keys[at] = this.#keys[parent] as number;
      this.#items[at] = this.#items[parent] as number;
    }
    this.#keys[at] = key;
    this.#items[at] = item;
  }

  pop(): [number, number] | undefined {
    const key = this.#keys[0];
    const item = this.#items[0];
    const lastKey = this.#keys.pop();
    const lastItem = this.#items.pop();
    if (key === undefined || item === undefined || lastKey === undefined || lastItem === undefined) {
      return undefined;
    }
    const size = this.#keys.length;
    if (size === 0) return [key, item];
    let at = 0;
    for (let child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && (this.#keys[child + 1] as number) < (this.#keys[child] as number)) child++;
      if ((this.#keys[child] as number) >= lastKey) break;
      this.#keys[at] = this.#keys[child] as number;
      this.#items[at] = this.#items[child] as number;
      at = child;
    }
    this.#keys[at] = lastKey;
    this.#items[at] = lastItem;
    return [key, item];
  }
}

/**
 * The textbook's search, from the destination to the source, with fees as the only cost. It shares no code with
 * what is measured: it tells which pairs there is a way between.
 */
export class CheapestPathSearch {
  readonly #graph: KeyedGraph;
  /** By node: directed channels that lead to it, as twice the channel's index plus the direction. */
  readonly #inward: readonly (readonly number[])[];

  constructor(graph: KeyedGraph) {
    this.#graph = graph;
    const inward: number[][] = graph.nodeIds.map(() => []);
    for (const [i, { nodes, directions, capacitySat }] of graph.channels.entries()) {
      for (const side of [0, 1] as const) {
        if (limitOf(directions[side], capacitySat) > 0) inward[nodes[1 - side] as number]?.push(2 * i + side);
      }
    }
    this.#inward = inward;
  }

  find(source: number, destination: number, amountMsat: number): CheapestPath | undefined {
    const { channels } = this.#graph;
    const amounts = new Map<number, number>([[destination, amountMsat]]);
    const ways = new Map<number, { cltvDelta: number; hops: number }>([
      [destination, { cltvDelta: 0, hops: 0 }],
    ]);
    const done = new Set<number>();
    const heap = new PlainHeap();
    heap.push(amountMsat, destination);
    for (let next = heap.pop(); next !== undefined; next = heap.pop()) {
      const [amount, node] = next;
      if (done.has(node)) continue;
      done.add(node);
      const way = ways.get(node) as { cltvDelta: number; hops: number };
      if (node === source) return { feeMsat: amount - amountMsat, ...way };
      for (const directed of this.#inward[node] as readonly number[]) {
        const channel = channels[directed >> 1] as (typeof channels)[number];
        const side = (directed & 1) as 0 | 1;
        const direction = channel.directions[side];
        const from = channel.nodes[side];
        if (done.has(from)) continue;
        if (amount < direction.htlcMinimumMsat || amount > limitOf(direction, channel.capacitySat)) continue;
        const isFirst = from === source;
        const fee = isFirst
          ? 0
          : direction.feeBaseMsat + Math.floor((amount * direction.feeProportionalMillionths) / 1_000_000);
        if (amount + fee >= (amounts.get(from) ?? Number.POSITIVE_INFINITY)) continue;
        amounts.set(from, amount + fee);
        ways.set(from, {
          cltvDelta: way.cltvDelta + (isFirst ? 0 : direction.cltvExpiryDelta),
          hops: way.hops + 1,
        });
        heap.push(amount + fee, from);
      }
    }
    return undefined;
  }
}
