import { describe, expect, test } from 'vitest';
import { bytesToHex, HexError } from '../bytes/index.js';
import { encodeFeatureBits } from '../wire/index.js';
import { createRouteFinder, findRoutes } from './findRoutes.js';
import {
  faultsOf,
  firstHop,
  graphOf,
  hintFrom,
  nodeId,
  noKnowledge,
  routeRequest,
  type TestEdge,
  testEdge,
} from './graph.test.support.js';
import { GraphError } from './graphError.js';
import { LiquidityEstimates } from './liquidityEstimates.js';
import { NetworkGraph } from './networkGraph.js';
import type { Route, RouteRequest, RouteResult } from './route.js';

/** 0 - 1 - 2 - 9 by channels 12 and 29, and 1 - 3 - 4 - 9, longer and dearer, by 13, 34 and 49. */
const diamond: readonly TestEdge[] = [
  testEdge(12, [1, 2]),
  testEdge(29, [2, 9]),
  testEdge(13, [1, 3], { feeBaseMsat: 2000 }),
  testEdge(34, [3, 4], { feeBaseMsat: 2000 }),
  testEdge(49, [4, 9], { feeBaseMsat: 2000 }),
];

function search(
  edges: readonly TestEdge[],
  request: Partial<RouteRequest> = {},
  liquidity = noKnowledge(),
): { result: RouteResult; channels: number[][]; faults: string[] } {
  const graph = graphOf(edges);
  const whole = routeRequest({ firstHops: [firstHop(1, 1)], ...request });
  const result = findRoutes({ graph, liquidity, request: whole });
  if (result.type === 'none') return { result, channels: [], faults: [] };
  const channels = result.routes.map(({ hops }) => hops.map(({ shortChannelId }) => Number(shortChannelId)));
  return { result, channels, faults: faultsOf(result.routes, { graph, request: whole }) };
}

function theRoute(result: RouteResult): Route {
  if (result.type === 'none' || result.routes.length !== 1) throw new Error('one route is expected');
  return result.routes[0] as Route;
}

describe('findRoutes', () => {
  test('adds fees and time locks from the destination back to us', () => {
    const { result, channels, faults } = search(diamond);
    expect(channels).toEqual([[1, 12, 29]]);
    expect(faults).toEqual([]);
    const route = theRoute(result);
    // 1000 + 100 ppm of 1,000,000 for channel 29, then 1000 + 100 ppm of 1,001,100 for channel 12.
    expect(route.hops.map(({ amountMsat }) => amountMsat)).toEqual([1_002_200n, 1_001_100n, 1_000_000n]);
    expect(route.hops.map(({ cltvDelta }) => cltvDelta)).toEqual([98, 58, 18]);
    expect(route.hops.map(({ nodeId: id }) => bytesToHex(id))).toEqual(
      [1, 2, 9].map((n) => bytesToHex(nodeId(n))),
    );
    expect(route.feeMsat).toBe(2_200n);
    expect(route.probability).toBeGreaterThan(0.8);
  });

  test('pays a peer over our own channel, by the one with the least to spend that suffices', () => {
    const firstHops = [firstHop(1, 9, 5_000_000n), firstHop(2, 9, 2_000_000n), firstHop(3, 9, 500_000n)];
    const { result, channels, faults } = search(diamond, { firstHops });
    expect(channels).toEqual([[2]]);
    expect(faults).toEqual([]);
    expect(theRoute(result)).toMatchObject({ feeMsat: 0n, probability: 1 });
  });

  test('pays a peer that no graph knows', () => {
    expect(search([], { firstHops: [firstHop(1, 9)] }).channels).toEqual([[1]]);
  });

  test('goes around our own channel to the peer where it is excluded or too small', () => {
    const firstHops = [firstHop(1, 1), firstHop(2, 9, 900_000n)];
    expect(search(diamond, { firstHops }).channels).toEqual([[1, 12, 29]]);
    const enough = [firstHop(1, 1), firstHop(2, 9)];
    expect(search(diamond, { firstHops: enough, excludedChannels: new Set(['2/0']) }).channels).toEqual([
      [1, 12, 29],
    ]);
  });

  test('leaves out channels and nodes that are excluded, in the direction that is meant', () => {
    expect(search(diamond, { excludedChannels: new Set(['29/0']) }).channels).toEqual([[1, 13, 34, 49]]);
    expect(search(diamond, { excludedChannels: new Set(['29/1']) }).channels).toEqual([[1, 12, 29]]);
    const without2 = { excludedNodes: new Set([bytesToHex(nodeId(2))]) };
    expect(search(diamond, without2).channels).toEqual([[1, 13, 34, 49]]);
    const without9 = { excludedNodes: new Set([bytesToHex(nodeId(9))]) };
    expect(search(diamond, without9).result).toEqual({ type: 'none', reason: 'no_path' });
  });

  test('does not use disabled channels, nor amounts out of their limits', () => {
    const detour = [[1, 13, 34, 49]];
    const change = (policy: Partial<TestEdge>) =>
      diamond.map((edge) => (edge.from === 2 ? { ...edge, ...policy } : edge));
    expect(search(change({ disabled: true })).channels).toEqual(detour);
    expect(search(change({ htlcMinimumMsat: 1_000_001n })).channels).toEqual(detour);
    expect(search(change({ htlcMaximumMsat: 999_999n })).channels).toEqual(detour);
    expect(search(change({ capacitySat: 999n })).channels).toEqual(detour);
    expect(search(change({ htlcMinimumMsat: 2_000_000n, htlcMaximumMsat: 1_500_000n })).channels).toEqual(
      detour,
    );
  });

  test('counts what payments of ours hold in a channel', () => {
    const edges = [testEdge(12, [1, 2]), testEdge(29, [2, 9], { capacitySat: 1_500n })];
    expect(search(edges, { inFlightMsat: new Map([['29/0', 500_000n]]) }).channels).toEqual([[1, 12, 29]]);
    expect(search(edges, { inFlightMsat: new Map([['29/1', 500_001n]]) }).channels).toEqual([[1, 12, 29]]);
    const full = search(edges, { inFlightMsat: new Map([['29/0', 500_001n]]) });
    expect(full.result).toEqual({ type: 'none', reason: 'no_path' });
  });

  test('leads through no node and no channel that requires what we do not know', () => {
    const graph = graphOf(diamond);
    const request = routeRequest({ firstHops: [firstHop(1, 1)] });
    graph.setNode(nodeId(2), { features: encodeFeatureBits([100]), timestamp: 1 });
    // A payment to such a node may be asked for by an invoice: that is not the search's to judge.
    graph.setNode(nodeId(9), { features: encodeFeatureBits([100]), timestamp: 1 });
    const through = (): unknown => {
      const result = findRoutes({ graph, liquidity: noKnowledge(), request });
      return result.type === 'found'
        ? result.routes[0]?.hops.map((hop) => Number(hop.shortChannelId))
        : result.reason;
    };
    expect(through()).toEqual([1, 13, 34, 49]);
    graph.removeChannel(34n);
    const channel = { shortChannelId: 34n, nodeId1: nodeId(3), nodeId2: nodeId(4), capacitySat: 1_000_000n };
    graph.addChannel({ ...channel, features: encodeFeatureBits([200]) });
    graph.updateChannel({ ...testEdge(34, [3, 4]), direction: 0, timestamp: 1 });
    expect(through()).toBe('no_path');
    graph.setNode(nodeId(2), { features: encodeFeatureBits([101]), timestamp: 2 });
    expect(through()).toEqual([1, 12, 29]);
  });

  test('follows the graph as it changes', () => {
    const graph = graphOf(diamond);
    const finder = createRouteFinder(graph);
    const request = routeRequest({ firstHops: [firstHop(1, 1)] });
    const hops = (): number[] => {
      const result = finder.findRoutes({ liquidity: noKnowledge(), request });
      return result.type === 'none'
        ? []
        : theRoute(result).hops.map(({ shortChannelId }) => Number(shortChannelId));
    };
    expect(hops()).toEqual([1, 12, 29]);
    graph.removeChannel(29n);
    expect(hops()).toEqual([1, 13, 34, 49]);
    graph.updateChannel({ ...testEdge(34, [3, 4], { disabled: true }), direction: 0, timestamp: 2 });
    expect(hops()).toEqual([]);
    for (let i = 0; i < 500; i++) {
      const channel = {
        shortChannelId: BigInt(5000 + i),
        nodeId1: nodeId(1000 + i),
        nodeId2: nodeId(2000 + i),
      };
      graph.addChannel({ ...channel, capacitySat: 5n });
    }
    graph.updateChannel({ ...testEdge(34, [3, 4]), direction: 0, timestamp: 3 });
    expect(hops()).toEqual([1, 13, 34, 49]);
  });

  test('prefers a dearer way whose channels are known to have the amount', () => {
    const liquidity = new LiquidityEstimates();
    const context = { nowMs: 1_700_000_000_000, capacityMsat: 1_000_000_000n };
    liquidity.observe(
      { shortChannelId: 29n, direction: 0, amountMsat: 1_000_000n, outcome: 'refused' },
      context,
    );
    expect(search(diamond, {}, liquidity).channels).toEqual([[1, 13, 34, 49]]);
    const later = { nowMs: context.nowMs + 10 * 24 * 3_600_000 };
    expect(search(diamond, later, liquidity).channels).toEqual([[1, 12, 29]]);
  });

  test('takes time into account where fees are equal', () => {
    const edges = [
      testEdge(12, [1, 2]),
      testEdge(28, [2, 9], { cltvExpiryDelta: 400 }),
      testEdge(29, [2, 9]),
    ];
    expect(search(edges).channels).toEqual([[1, 12, 29]]);
  });
});

describe('findRoutes over hints', () => {
  test('reaches a destination that is in no graph, over one hop and over several', () => {
    const edges = [testEdge(12, [1, 2])];
    const one = search(edges, { destination: nodeId(77), hints: [[hintFrom(2, 277)]] });
    expect(one.channels).toEqual([[1, 12, 277]]);
    expect(one.faults).toEqual([]);
    const hints = [[hintFrom(2, 255), hintFrom(55, 566), hintFrom(66, 677)]];
    const several = search(edges, { destination: nodeId(77), hints });
    expect(several.channels).toEqual([[1, 12, 255, 566, 677]]);
    expect(several.faults).toEqual([]);
  });

  test('begins a hint at our own peer', () => {
    const { channels } = search([], { destination: nodeId(77), hints: [[hintFrom(1, 177)]] });
    expect(channels).toEqual([[1, 177]]);
  });

  test('keeps the limits of a hint, and what is in flight in it', () => {
    const request = { destination: nodeId(77) };
    const limited = [
      [hintFrom(1, 177, { htlcMaximumMsat: 999_999n })],
      [hintFrom(1, 178, { htlcMinimumMsat: 2_000_000n })],
    ];
    expect(search([], { ...request, hints: limited }).result).toEqual({ type: 'none', reason: 'no_path' });
    const excluded = {
      ...request,
      hints: [[hintFrom(1, 177)]],
      excludedChannels: new Set(['177/0'] as const),
    };
    expect(search([], excluded).result).toEqual({ type: 'none', reason: 'no_path' });
    const two = { ...request, hints: [[hintFrom(1, 177)], [hintFrom(1, 178, { feeBaseMsat: 0 })]] };
    expect(search([], two).channels).toEqual([[1, 178]]);
  });

  test('threat 25: does not go through us, whatever a hint says', () => {
    const hints = [[hintFrom(5, 50), hintFrom(0, 99)], [hintFrom(0, 98)]];
    const { result } = search([testEdge(15, [1, 5])], { destination: nodeId(77), hints });
    expect(result).toEqual({ type: 'none', reason: 'no_path' });
  });

  test('survives hints without end', () => {
    const hints = Array.from({ length: 3000 }, (_, i) => [
      hintFrom(100 + (i % 150), 4000 + i),
      hintFrom(5, 9000 + i),
    ]);
    const { result } = search(diamond, { destination: nodeId(77), hints });
    expect(result).toEqual({ type: 'none', reason: 'no_path' });
  });
});

describe('findRoutes in a circle', () => {
  const circle = { destination: nodeId(0) };

  test('comes back through the channel that a hint names', () => {
    const { channels, faults, result } = search(diamond, { ...circle, hints: [[hintFrom(9, 90)]] });
    expect(channels).toEqual([[1, 12, 29, 90]]);
    expect(faults).toEqual([]);
    expect(theRoute(result).hops.at(-1)).toMatchObject({
      cltvDelta: 18,
      amountMsat: 1_000_000n,
      direction: 1,
    });
  });

  test('comes back through the same peer by another channel, never by the same', () => {
    expect(search(diamond, { ...circle, hints: [[hintFrom(1, 10)]] }).channels).toEqual([[1, 10]]);
    expect(search(diamond, { ...circle, hints: [[hintFrom(1, 1)]] }).result).toEqual({
      type: 'none',
      reason: 'no_path',
    });
    // Both of our channels are on both sides: out by the one, in by the other, through the network.
    const firstHops = [firstHop(1, 1), firstHop(2, 9)];
    const hints = [[hintFrom(1, 1)], [hintFrom(9, 2)]];
    const { channels, faults } = search(diamond, { ...circle, firstHops, hints });
    expect(channels).toEqual([[1, 12, 29, 2]]);
    expect(faults).toEqual([]);
  });

  test('has no way without a hint, even where the graph knows our channels', () => {
    const edges = [...diamond, testEdge(90, [9, 0])];
    expect(search(edges, circle).result).toEqual({ type: 'none', reason: 'no_path' });
  });
});

describe('findRoutes where there is no route', () => {
  const none = (edges: readonly TestEdge[], request: Partial<RouteRequest>) => {
    const { result } = search(edges, request);
    if (result.type === 'found') throw new Error('no route is expected');
    const { type: _, ...reason } = result;
    return reason;
  };

  test('says that there are no channels', () => {
    expect(none(diamond, { firstHops: [] })).toEqual({ reason: 'no_channels' });
  });

  test('says what our channels carry: the best one, or all', () => {
    const firstHops = [firstHop(1, 1, 600_000n), firstHop(2, 1, 300_000n)];
    expect(none(diamond, { firstHops })).toEqual({ reason: 'insufficient_balance', spendableMsat: 600_000n });
    expect(none(diamond, { firstHops, maxParts: 4 })).toEqual({
      reason: 'insufficient_balance',
      spendableMsat: 900_000n,
    });
  });

  test('says the same where the fees are too much for the balance', () => {
    const firstHops = [firstHop(1, 1, 1_000_500n)];
    const reason = { reason: 'insufficient_balance', spendableMsat: 1_000_500n };
    expect(none(diamond, { firstHops })).toEqual(reason);
    expect(none(diamond, { firstHops, maxParts: 4 })).toEqual(reason);
  });

  test('says that nobody knows the destination', () => {
    expect(none(diamond, { destination: nodeId(77) })).toEqual({ reason: 'destination_unknown' });
  });

  test('says that nothing connects us', () => {
    expect(none(diamond.slice(1), { excludedChannels: new Set(['13/0']) })).toEqual({ reason: 'no_path' });
    expect(
      none(diamond, {
        amountMsat: 90_000_000n,
        maxParts: 1,
        firstHops: [firstHop(1, 2)],
        excludedChannels: new Set(['29/0']),
      }),
    ).toEqual({
      reason: 'no_path',
    });
  });

  test('says what the cheapest route would cost', () => {
    expect(none(diamond, { maxFeeMsat: 2_199n })).toEqual({ reason: 'fee_limit', feeMsat: 2_200n });
    expect(search(diamond, { maxFeeMsat: 2_200n }).result.type).toBe('found');
    expect(none(diamond, { maxFeeMsat: 0n, maxParts: 3 })).toMatchObject({ reason: 'fee_limit' });
  });

  test('says how long the shortest time lock would be', () => {
    expect(none(diamond, { maxCltvDelta: 97 })).toEqual({ reason: 'cltv_limit', cltvDelta: 98 });
    expect(none(diamond, { maxCltvDelta: 10 })).toEqual({ reason: 'cltv_limit', cltvDelta: 98 });
    expect(none(diamond, { maxCltvDelta: 10, firstHops: [firstHop(1, 9)] })).toEqual({
      reason: 'cltv_limit',
      cltvDelta: 18,
    });
    expect(none(diamond, { maxCltvDelta: 97, maxParts: 2 })).toEqual({ reason: 'cltv_limit', cltvDelta: 98 });
  });

  test('says how many hops the shortest route has', () => {
    expect(none(diamond, { maxHops: 2 })).toEqual({ reason: 'too_many_hops', hops: 3 });
    expect(none(diamond, { maxHops: 2, maxParts: 2 })).toEqual({ reason: 'too_many_hops', hops: 3 });
    expect(search(diamond, { maxHops: 3 }).channels).toEqual([[1, 12, 29]]);
  });

  test('finds the one way within a limit that a better way to a node in the middle would break', () => {
    // The cheap way to 5 takes so long that nothing is left for the rest; the dear one does not.
    const edges = [
      testEdge(15, [1, 5], { cltvExpiryDelta: 100 }),
      testEdge(52, [5, 2], { feeBaseMsat: 0, cltvExpiryDelta: 150 }),
      testEdge(29, [2, 9], { feeBaseMsat: 0 }),
      testEdge(53, [5, 3], { feeBaseMsat: 90_000 }),
      testEdge(39, [3, 9], { feeBaseMsat: 90_000 }),
    ];
    const { channels, faults } = search(edges, { maxCltvDelta: 260 });
    expect(channels).toEqual([[1, 15, 53, 39]]);
    expect(faults).toEqual([]);
  });

  test('finds the one way whose fees leave an amount that the channels before take', () => {
    // The dearer of two channels to 9 is more likely to carry it, but then channel 12 would have to take more.
    const edges = [
      testEdge(12, [1, 2], { htlcMaximumMsat: 1_000_000n }),
      testEdge(28, [2, 9], { feeBaseMsat: 1 }),
      testEdge(29, [2, 9], { feeBaseMsat: 0, feeProportionalMillionths: 0, capacitySat: 1_010n }),
    ];
    expect(search(edges).channels).toEqual([[1, 12, 29]]);
  });

  test('answers on a graph that was made to be hard', () => {
    // Between each pair of neighbours many channels, each better in one respect: ways without number.
    const edges: TestEdge[] = [];
    for (let node = 1; node < 60; node++) {
      for (let i = 0; i < 12; i++) {
        const policy = { feeBaseMsat: i * 7 ** (node % 5), cltvExpiryDelta: (12 - i) * 5 ** (node % 4) };
        edges.push(testEdge(node * 100 + i, [node, node + 1], policy));
      }
    }
    const graph = graphOf(edges);
    const request = routeRequest({
      firstHops: [firstHop(1, 1)],
      destination: nodeId(19),
      maxFeeMsat: 100_000n,
      maxCltvDelta: 900,
    });
    const result = findRoutes({ graph, liquidity: noKnowledge(), request });
    if (result.type === 'found') expect(faultsOf(result.routes, { graph, request })).toEqual([]);
    else expect(['fee_limit', 'cltv_limit']).toContain(result.reason);
  });

  test('is of use after a request that no search understands', () => {
    const graph = graphOf(diamond);
    const finder = createRouteFinder(graph);
    const request = routeRequest({ firstHops: [firstHop(1, 1)] });
    const broken = { ...request, excludedNodes: new Set(['no hex']) };
    expect(() => finder.findRoutes({ liquidity: noKnowledge(), request: broken })).toThrow(HexError);
    const nothing = { ...request, amountMsat: 0n };
    expect(() => finder.findRoutes({ liquidity: noKnowledge(), request: nothing })).toThrow(GraphError);
    expect(finder.findRoutes({ liquidity: noKnowledge(), request }).type).toBe('found');
  });

  test('has no answer to a graph that is empty but that', () => {
    const request = routeRequest({ firstHops: [firstHop(1, 1)] });
    const result = findRoutes({ graph: new NetworkGraph(), liquidity: noKnowledge(), request });
    expect(result).toEqual({ type: 'none', reason: 'destination_unknown' });
  });
});
