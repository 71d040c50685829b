import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hexToBytes } from '@rivulet/core/bytes';
import { initCrypto } from '@rivulet/core/crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeGossipFile } from '../gossip/gossipFile.js';
import { createNetworkMessages } from '../gossip/networkMessages.js';
import { type KeyedGraph, keyGraph } from './keyedGraph.js';
import { encodeLdkGraph } from './ldkGraphFile.js';
import { LdkPaths } from './ldkPaths.js';
import { type PathPair, PathPairs } from './pathPairs.js';
import type { AnsweredHop, PathsChildMethods } from './pathQuery.js';
import { comparePaths } from './pathsResult.js';
import { RivuletPaths } from './rivuletPaths.js';
import { RouteChecker } from './routeCheck.js';
import { createSyntheticGraph } from './syntheticGraph.js';

const chainHash = hexToBytes('6fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000');
const unsigned = { chainHash, timestamp: 1_770_000_000, signed: false };
let folder: string;
let graph: KeyedGraph;
let pairs: PathPair[];

beforeAll(async () => {
  await initCrypto();
  folder = mkdtempSync(join(tmpdir(), 'rivulet-paths-'));
  graph = keyGraph(createSyntheticGraph({ seed: 3, nodes: 400, channels: 1600 }));
  const draw = new PathPairs(graph, 5);
  pairs = [...draw.feasible(40), ...draw.needingParts(5)];
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each([
  ['rivulet', () => new RivuletPaths()],
  ['ldk', () => new LdkPaths()],
] as const)("%s's path-finder", (name, create) => {
  test('loads the whole network, and finds routes that keep its rules', async () => {
    const path = join(folder, name);
    if (name === 'ldk') writeFileSync(path, encodeLdkGraph(graph, chainHash));
    else writeGossipFile(path, createNetworkMessages(graph, unsigned));
    const paths: PathsChildMethods = create();
    const loaded = await paths.load(path);
    expect(loaded).toMatchObject({ channels: graph.channels.length, nodes: 400 });
    const answers = await paths.find(pairs.map(({ query }) => query));
    const found = comparePaths(pairs, { [name]: answers }, new RouteChecker(graph)).byImplementation[name];
    expect(found).toMatchObject({ invalid: 0, invalidRule: undefined });
    expect(found?.found).toBeGreaterThanOrEqual(40);
  });
});

describe('the check of routes', () => {
  test.each<[string, (hop: AnsweredHop, i: number) => Partial<AnsweredHop>]>([
    ['it ends at the destination', (_, i) => ({ nodeId: graph.nodeIds[i] as Uint8Array })],
    ['all arrives', ({ amountMsat }) => ({ amountMsat: amountMsat - 1n })],
    ['the final delta', () => ({ cltvDelta: 41 })],
    ['exists', () => ({ shortChannelId: 1n })],
    ['the fee', ({ amountMsat }, i) => (i === 0 ? { amountMsat: amountMsat - 1n } : {})],
    ['cltv_expiry_delta', ({ cltvDelta }, i) => (i === 0 ? { cltvDelta: cltvDelta - 1 } : {})],
  ])('refuses a route with another value for: %s', async (rule, change) => {
    const path = join(folder, 'checked');
    writeGossipFile(path, createNetworkMessages(graph, unsigned));
    const paths = new RivuletPaths();
    await paths.load(path);
    const checker = new RouteChecker(graph);
    const answers = await paths.find(pairs.map(({ query }) => query));
    // A route whose fee and delay are exactly what is asked for, over a hop that charges.
    const refused = pairs.some(({ query }, i) => {
      const hops = answers[i]?.parts?.[0];
      if (hops === undefined || hops.length < 2) return false;
      checker.check(query, answers[i]?.parts ?? []);
      try {
        checker.check(query, [hops.map((hop, at) => ({ ...hop, ...change(hop, at) }))]);
        return false;
      } catch (error) {
        return String(error).includes(rule);
      }
    });
    expect(refused).toBe(true);
  });
});
