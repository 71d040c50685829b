import { inwardUsable } from './adjacency.js';
import { atCapacity, atCltvDelta, atMaximum, atMinimum } from './channelTable.js';
import { Heap } from './heap.js';
import { nodeBarred } from './networkGraph.js';
import { reachBounds } from './reachBounds.js';
import type { FirstHop } from './route.js';
import { feeAt, type Path, type SearchTask } from './routeSearch.js';
import { edgeExcluded, type SearchSpace } from './searchSpace.js';

/** So many ways to one node are kept: each new one is compared with all of them. */
const mostLabelsOfNode = 24;

/** One way from a node to the destination, that no other way is better than in all respects. */
interface Label {
  readonly node: number;
  readonly amount: number;
  readonly cltv: number;
  readonly hops: number;
  /** The directed channel that it begins with, and what follows it. */
  readonly edge: number;
  readonly next: Label | undefined;
  dominated: boolean;
}

export type Objective = 'fee' | 'cltv' | 'hops';

const keys = { fee: 'amount', cltv: 'cltv', hops: 'hops' } as const satisfies Record<Objective, keyof Label>;

/**
 * The path of the least fee (or the earliest expiry, or the fewest hops) within limits of time and hops, where the search that
 * keeps one label a node is led astray: its best way to a node can be the one that breaks a limit later. This
 * one keeps all ways that are not worse in every respect. Slow, so only for requests that had no answer.
 * @param mostLabels so many ways are followed: on a graph that was made to be hard, the search gives up.
 */
export function paretoSearch(
  space: SearchSpace,
  { task, objective, mostLabels }: { task: SearchTask; objective: Objective; mostLabels: number },
): Path | undefined {
  const { limits, amount: arriving, request } = task;
  const blocked = new Set(space.blocked);
  const { destination } = space;
  if (blocked.has(destination) || limits.maxHops < 1) return undefined;
  // What the rest of any way takes at least: a way that cannot be completed within the limits is not followed.
  const hopsAhead = reachBounds(space, { amount: arriving, resource: 'hops' });
  const cltvAhead = Number.isFinite(limits.maxCltv)
    ? reachBounds(space, { amount: arriving, resource: 'cltv' })
    : undefined;
  const labels: Label[] = [];
  const ofNode = new Map<number, Label[]>();
  const heap = new Heap();
  const add = (label: Label): void => {
    if (label.hops + (hopsAhead[label.node] as number) > limits.maxHops) return;
    if (cltvAhead !== undefined && label.cltv + (cltvAhead[label.node] as number) > limits.maxCltv) return;
    const others = ofNode.get(label.node);
    if (others === undefined) ofNode.set(label.node, [label]);
    else if (!admit(label, others)) return;
    labels.push(label);
    heap.push(label[keys[objective]], labels.length - 1);
  };
  add({ node: destination, amount: arriving, cltv: 0, hops: 0, edge: -1, next: undefined, dominated: false });
  while (heap.size > 0) {
    if (labels.length > mostLabels) return undefined;
    const label = labels[heap.pop()] as Label;
    const { node } = label;
    if (label.dominated || isBarred(space, node)) continue;
    const firstHop = firstHopFor(space, {
      label,
      hops: request.firstHops,
      ignoreSpendable: limits.ignoreSpendable,
    });
    if (firstHop >= 0) return pathOf(label, firstHop);
    if (label.hops + 2 > limits.maxHops) continue;
    for (const { directed, from } of edgesInto(space, node)) {
      if (blocked.has(from)) continue;
      const { records, at } = space.recordOf(directed);
      const { amount } = label;
      if (amount > (records[at + atMaximum] as number) || amount < (records[at + atMinimum] as number))
        continue;
      if (amount + space.heldIn(directed) > (records[at + atCapacity] as number)) continue;
      const sent = amount + feeAt(records, at, amount);
      const cltv = label.cltv + (records[at + atCltvDelta] as number);
      if (sent - arriving > limits.maxFee || cltv > limits.maxCltv) continue;
      add({
        node: from,
        amount: sent,
        cltv,
        hops: label.hops + 1,
        edge: directed,
        next: label,
        dominated: false,
      });
    }
  }
  return undefined;
}

/** Puts a label among the others of its node, those that it is better than go; false if it is not kept. */
function admit(label: Label, others: Label[]): boolean {
  for (const other of others) if (isBetter(other, label)) return false;
  let kept = 0;
  for (const other of others) {
    if (isBetter(label, other)) other.dominated = true;
    else others[kept++] = other;
  }
  others.length = kept;
  if (kept >= mostLabelsOfNode) return false;
  others.push(label);
  return true;
}

function isBetter(a: Label, b: Label): boolean {
  return a.amount <= b.amount && a.cltv <= b.cltv && a.hops <= b.hops;
}

function isBarred(space: SearchSpace, node: number): boolean {
  if (node === space.destination || node >= space.graph.nodeTable.high) return false;
  return ((space.graph.nodeFlags[node] as number) & nodeBarred) !== 0;
}

function firstHopFor(
  space: SearchSpace,
  { label, hops, ignoreSpendable }: { label: Label; hops: readonly FirstHop[]; ignoreSpendable: boolean },
): number {
  for (const i of space.firstHopsAt.get(label.node) ?? []) {
    const { spendableMsat, minimumMsat } = hops[i] as FirstHop;
    if (Number(minimumMsat) > label.amount) continue;
    if (ignoreSpendable || Number(spendableMsat) >= label.amount) return i;
  }
  return -1;
}

function pathOf(label: Label, firstHop: number): Path {
  const edges: number[] = [];
  for (let at = label; at.next !== undefined; at = at.next) edges.push(at.edge);
  return { firstHop, edges };
}

function* edgesInto(space: SearchSpace, node: number): Generator<{ directed: number; from: number }> {
  for (const index of space.hintsInto.get(node) ?? []) {
    yield { directed: -2 - index, from: (space.hintEdges[index] as { from: number }).from };
  }
  if (node >= space.graph.nodeTable.high) return;
  const { pool, starts, lengths } = space.graph.adjacency;
  const start = starts[node] as number;
  const end = start + 2 * (lengths[node] as number);
  for (let position = start; position < end; position += 2) {
    const entry = pool[position] as number;
    if ((entry & inwardUsable) === 0) continue;
    const directed = (entry >> 2) ^ 1;
    if (((space.edgeMarks[directed] as number) & edgeExcluded) !== 0) continue;
    yield { directed, from: pool[position + 1] as number };
  }
}
