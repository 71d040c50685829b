import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hexToBytes } from '@rivulet/core/bytes';
import { writeGossipFile } from '../gossip/gossipFile.js';
import { createNetworkMessages } from '../gossip/networkMessages.js';
import { readGraphFile } from './benchGraph.js';
import { keyGraph } from './keyedGraph.js';
import { encodeLdkGraph } from './ldkGraphFile.js';
import { type PathPair, PathPairs } from './pathPairs.js';
import type { LoadedGraph, PathAnswer } from './pathQuery.js';
import { type PathsImplementation, PathsProcess } from './pathsProcess.js';
import { comparePaths, type PathsResult } from './pathsResult.js';
import { RouteChecker } from './routeCheck.js';
import { createSyntheticGraph } from './syntheticGraph.js';

export interface PathsBenchArguments {
  /** A `.csv` or `.csv.gz` file; without it a network is drawn. */
  readonly graphFile: string | undefined;
  readonly pairs: number;
  /** Pairs and amounts that need several parts. */
  readonly splitPairs: number;
  readonly seed: number;
  readonly skipLdk: boolean;
}

/** Of Bitcoin's mainnet, internal byte order: LDK's graph is of one chain. */
const chainHash = hexToBytes('6fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000');
/** Code is compiled by then. */
const warmUpPairs = 200;

interface Measured {
  loaded: LoadedGraph;
  one: PathAnswer[];
  several: PathAnswer[];
}

async function measure(
  implementation: PathsImplementation,
  graphPath: string,
  { warmUp, one, several }: Record<'warmUp' | 'one' | 'several', readonly PathPair[]>,
): Promise<Measured> {
  const child = new PathsProcess(implementation);
  try {
    const loaded = await child.load(graphPath);
    const find = (pairs: readonly PathPair[]) => child.find(pairs.map(({ query }) => query));
    await find(warmUp);
    return { loaded, one: await find(one), several: await find(several) };
  } finally {
    await child.stop();
  }
}

/** Both path-finders, one after the other, on the same network, pairs, amounts and limits. */
export async function benchPaths(args: PathsBenchArguments): Promise<PathsResult> {
  const { graphFile, seed } = args;
  const graph = keyGraph(graphFile === undefined ? createSyntheticGraph({ seed }) : readGraphFile(graphFile));
  const folder = mkdtempSync(join(tmpdir(), 'rivulet-bench-'));
  try {
    const draw = new PathPairs(graph, seed);
    const sets = {
      warmUp: new PathPairs(graph, seed + 1000).feasible(warmUpPairs),
      one: draw.feasible(args.pairs),
      several: draw.needingParts(args.splitPairs),
    };
    const paths = { rivulet: join(folder, 'gossip.db'), ldk: join(folder, 'ldk-graph') };
    // Loading does not look at signatures.
    const messages = createNetworkMessages(graph, { chainHash, timestamp: 1_770_000_000, signed: false });
    writeGossipFile(paths.rivulet, messages);
    writeFileSync(paths.ldk, encodeLdkGraph(graph, chainHash));
    const rivulet = await measure('rivulet', paths.rivulet, sets);
    const ldk = args.skipLdk ? undefined : await measure('ldk', paths.ldk, sets);
    const checker = new RouteChecker(graph);
    const compare = (set: 'one' | 'several') =>
      comparePaths(sets[set], { rivulet: rivulet[set], ...(ldk && { ldk: ldk[set] }) }, checker);
    return {
      graph: { origin: graph.origin, nodes: graph.nodeIds.length, channels: graph.channels.length },
      loaded: { rivulet: rivulet.loaded, ...(ldk && { ldk: ldk.loaded }) },
      onePath: compare('one'),
      severalParts: compare('several'),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
