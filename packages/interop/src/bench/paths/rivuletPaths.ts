import {
  createRouteFinder,
  LiquidityEstimates,
  NetworkGraph,
  type RouteFinder,
  type RouteRequest,
} from '@rivulet/core/graph';
import { NetworkView } from '@rivulet/node';
import { type GossipStore, openGossipStore } from '@rivulet/storage';
import { benchBlockHeight } from './keyedGraph.js';
import {
  type LoadedGraph,
  type PathAnswer,
  type PathQuery,
  type PathsChildMethods,
  pathLimits,
} from './pathQuery.js';

const nowMs = 1_770_003_600_000;
const empty: Pick<RouteRequest, 'hints' | 'excludedNodes' | 'excludedChannels' | 'inFlightMsat'> = {
  hints: [],
  excludedNodes: new Set(),
  excludedChannels: new Set(),
  inFlightMsat: new Map(),
};

function usedBytes(): { rss: number; heap: number } {
  // Twice: the first collection may only find out what the second can free.
  globalThis.gc?.();
  globalThis.gc?.();
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
  return { rss, heap: heapUsed + arrayBuffers };
}

/** Rivulet's path-finder over what its node loads from its store, with nothing known of liquidity. */
export class RivuletPaths implements PathsChildMethods {
  #store: GossipStore | undefined;
  #finder: RouteFinder | undefined;
  readonly #liquidity = new LiquidityEstimates();

  async load(graphPath: string): Promise<LoadedGraph> {
    const before = usedBytes();
    const begin = performance.now();
    const store = openGossipStore({ path: graphPath, warn: (message) => console.error(message) });
    const graph = new NetworkGraph();
    new NetworkView({ graph, store, ourNodeId: new Uint8Array(33) }).load(nowMs / 1000);
    const loadMs = performance.now() - begin;
    const after = usedBytes();
    this.#store = store;
    this.#finder = createRouteFinder(graph);
    return {
      loadMs,
      channels: graph.channelCount,
      nodes: graph.nodeCount,
      rssBytes: after.rss - before.rss,
      heapBytes: after.heap - before.heap,
    };
  }

  async find(queries: readonly PathQuery[]): Promise<PathAnswer[]> {
    const finder = this.#finder;
    if (finder === undefined || this.#store === undefined) throw new RangeError('no graph has been loaded');
    return queries.map((query) => {
      const request: RouteRequest = {
        ...empty,
        ...query,
        ...pathLimits,
        nowMs,
        blockHeight: benchBlockHeight,
      };
      const begin = performance.now();
      const result = finder.findRoutes({ liquidity: this.#liquidity, request });
      const elapsedMs = performance.now() - begin;
      if (result.type === 'none') return { elapsedMs, parts: undefined, reason: result.reason };
      return { elapsedMs, parts: result.routes.map(({ hops }) => hops) };
    });
  }
}
