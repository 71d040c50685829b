import { compareBytes } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import { toShortChannelId } from '@rivulet/core/wire';
import type { BenchDirection, BenchGraph } from './benchGraph.js';

/** The height that routes are found at: some years above the oldest channel. */
export const benchBlockHeight = 900_000;

/** A channel as the network knows it. */
export interface KeyedChannel {
  readonly shortChannelId: bigint;
  /** Numbers of nodes, the one with the lesser id first. */
  readonly nodes: readonly [number, number];
  readonly capacitySat: number;
  /** Of `node_id_1`, of `node_id_2`. */
  readonly directions: readonly [BenchDirection, BenchDirection];
}

/** A network with keys and channel ids. */
export interface KeyedGraph {
  readonly origin: string;
  /** By number; on the curve. */
  readonly nodeIds: readonly Uint8Array[];
  readonly channels: readonly KeyedChannel[];
}

/** The private key of a node of a generated network; nobody else's. */
export function benchNodeKey(number: number): Uint8Array {
  return sha256(new TextEncoder().encode(`a node of a benchmark, ${number}`));
}

/** Gives every node a key and every channel an id; the same for the same graph. */
export function keyGraph(
  { nodeCount, channels, origin }: BenchGraph,
  { firstBlock = 600_000, channelsPerBlock = 4 } = {},
): KeyedGraph {
  const nodeIds = Array.from({ length: nodeCount }, (_, i) => secp256k1.publicKey(benchNodeKey(i)));
  return {
    origin,
    nodeIds,
    channels: channels.map(({ nodes: [a, b], capacitySat, directions: [first, second] }, i) => {
      const inOrder = compareBytes(nodeIds[a] as Uint8Array, nodeIds[b] as Uint8Array) < 0;
      return {
        shortChannelId: toShortChannelId({
          blockHeight: firstBlock + Math.floor(i / channelsPerBlock),
          txIndex: 1 + (i % channelsPerBlock),
          outputIndex: 0,
        }),
        nodes: inOrder ? [a, b] : [b, a],
        capacitySat,
        directions: inOrder ? [first, second] : [second, first],
      };
    }),
  };
}
