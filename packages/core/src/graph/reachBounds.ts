import { outwardUsable } from './adjacency.js';
import { atCltvDelta, atMaximum, recordLength } from './channelTable.js';
import { Heap } from './heap.js';
import { nodeBarred } from './networkGraph.js';
import { edgeExcluded, type SearchSpace } from './searchSpace.js';

/**
 * By node: the least that any way from us to it has, of hops (our own channel is the first) or of time lock;
 * infinite where no channels that take the amount lead to it.
 */
export function reachBounds(
  space: SearchSpace,
  { amount, resource }: { amount: number; resource: 'hops' | 'cltv' },
): Float64Array {
  const { graph, edgeMarks } = space;
  const { pool, starts, lengths } = graph.adjacency;
  const { records } = graph.channelTable;
  const high = graph.nodeTable.high;
  const bounds = new Float64Array(space.nodeLimit).fill(Number.POSITIVE_INFINITY);
  const settled = new Uint8Array(space.nodeLimit);
  const heap = new Heap();
  const reach = (node: number, bound: number): void => {
    if (bound >= (bounds[node] as number)) return;
    bounds[node] = bound;
    heap.push(bound, node);
  };
  for (const node of space.blocked) settled[node] = 1;
  for (const node of space.firstHopsAt.keys()) reach(node, resource === 'hops' ? 1 : 0);
  while (heap.size > 0) {
    const node = heap.pop();
    if (settled[node] === 1) continue;
    settled[node] = 1;
    if (node < high && ((graph.nodeFlags[node] as number) & nodeBarred) !== 0) continue;
    const bound = bounds[node] as number;
    for (const index of space.hintsFrom.get(node) ?? []) {
      const { to } = space.hintEdges[index] as { to: number };
      const delta = space.hintRecords[recordLength * index + atCltvDelta] as number;
      reach(to, bound + (resource === 'hops' ? 1 : delta));
    }
    if (node >= high) continue;
    const start = starts[node] as number;
    const end = start + 2 * (lengths[node] as number);
    for (let position = start; position < end; position += 2) {
      const entry = pool[position] as number;
      if ((entry & outwardUsable) === 0) continue;
      const to = pool[position + 1] as number;
      if (settled[to] === 1) continue;
      const directed = entry >> 2;
      if (amount > (records[recordLength * directed + atMaximum] as number)) continue;
      if (((edgeMarks[directed] as number) & edgeExcluded) !== 0) continue;
      reach(
        to,
        bound + (resource === 'hops' ? 1 : (records[recordLength * directed + atCltvDelta] as number)),
      );
    }
  }
  return bounds;
}
