import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToHex, equalBytes } from '../bytes/index.js';
import { createRouteFinder, findRoutes } from './findRoutes.js';
import {
  faultsOf,
  firstHop,
  graphOf,
  nodeId,
  noKnowledge,
  routeRequest,
  type TestEdge,
  testEdge,
} from './graph.test.support.js';
import { routeCost } from './partFinder.js';
import type { DirectedChannel, FirstHop, Route, RouteRequest, RouteResult } from './route.js';
import { defaultRouteWeights } from './routeWeights.js';

/** Node 0 pays the last node. */
const nodes = 7;

const edges: fc.Arbitrary<TestEdge[]> = fc
  .array(
    fc.record({
      from: fc.integer({ min: 1, max: nodes - 1 }),
      to: fc.integer({ min: 1, max: nodes - 1 }),
      capacitySat: fc.constantFrom(500n, 990n, 1_000n, 1_001n, 1_010n, 5_000n),
      feeBaseMsat: fc.constantFrom(0, 1, 1000, 7000),
      feeProportionalMillionths: fc.constantFrom(0, 1, 333, 5000),
      cltvExpiryDelta: fc.constantFrom(1, 18, 40, 144),
      htlcMinimumMsat: fc.constantFrom(0n, 1000n, 1_000_000n, 90_000_000n),
      htlcMaximumMsat: fc.constantFrom(400_000n, 1_000_000n, 1_002_000n, 1_020_000n, 10_000_000n),
      disabled: fc.nat(9).map((roll) => roll === 0),
    }),
    { maxLength: 24, size: 'max' },
  )
  .map((list) =>
    list
      .filter(({ from, to }) => from !== to)
      .map((edge, i) => ({ ...edge, shortChannelId: BigInt(1000 + i) })),
  );

const someChannel = fc.bigInt({ min: 1000n, max: 1020n });

const request: fc.Arbitrary<RouteRequest> = fc
  .record({
    amountMsat: fc.constantFrom(1_000n, 499_000n, 1_000_000n),
    maxFeeMsat: fc.constantFrom(0n, 1_000n, 8_000n, 20_000n, 1_000_000n),
    maxCltvDelta: fc.constantFrom(18, 100, 200, 400, 2016),
    maxHops: fc.constantFrom(1, 2, 3, 4, 20),
    firstHops: fc.array(
      fc.record({
        to: fc.integer({ min: 1, max: nodes - 1 }),
        spendableMsat: fc.constantFrom(400_000n, 1_000_000n, 1_001_000n, 1_007_000n, 2_000_000n),
        minimumMsat: fc.constantFrom(0n, 1_000n),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    excludedNode: fc.option(fc.integer({ min: 1, max: nodes - 1 })),
    excludedChannel: fc.option(someChannel),
    inFlight: fc.option(someChannel),
  })
  .map(({ firstHops, excludedNode, excludedChannel, inFlight, ...rest }) => {
    const held: [DirectedChannel, bigint][] =
      inFlight === null
        ? []
        : [
            [`${inFlight}/0`, 300_000n],
            [`${inFlight}/1`, 200_000n],
          ];
    return routeRequest({
      ...rest,
      destination: nodeId(nodes - 1),
      firstHops: firstHops.map((hop, i): FirstHop => ({ ...firstHop(10 + i, hop.to), ...hop })),
      excludedNodes: new Set(excludedNode === null ? [] : [bytesToHex(nodeId(excludedNode))]),
      excludedChannels: new Set<DirectedChannel>(
        excludedChannel === null ? [] : [`${excludedChannel}/0`, `${excludedChannel}/1`],
      ),
      inFlightMsat: new Map(held),
    });
  });

interface Way {
  readonly feeMsat: bigint;
  readonly cltvDelta: number;
  readonly hops: number;
  readonly affordable: boolean;
}

/** All simple paths whose channels take their amounts, by trying each. */
function allWays(list: readonly TestEdge[], request: RouteRequest): Way[] {
  const ways: Way[] = [];
  const extend = (
    node: number,
    at: { amount: bigint; cltv: number; hops: number; seen: ReadonlySet<number> },
  ): void => {
    if (request.excludedNodes.has(bytesToHex(nodeId(node)))) return;
    for (const hop of request.firstHops) {
      if (!equalBytes(hop.nodeId, nodeId(node)) || hop.minimumMsat > at.amount) continue;
      ways.push({
        feeMsat: at.amount - request.amountMsat,
        cltvDelta: at.cltv,
        hops: at.hops + 1,
        affordable: hop.spendableMsat >= at.amount,
      });
    }
    for (const edge of list) {
      if (edge.to !== node || at.seen.has(edge.from) || edge.disabled) continue;
      if (edge.htlcMaximumMsat < edge.htlcMinimumMsat) continue;
      const key: DirectedChannel = `${edge.shortChannelId}/${edge.from < edge.to ? 0 : 1}`;
      if (request.excludedChannels.has(key)) continue;
      const held = request.inFlightMsat.get(key) ?? 0n;
      if (at.amount < edge.htlcMinimumMsat || at.amount > edge.htlcMaximumMsat) continue;
      if (at.amount + held > edge.capacitySat * 1000n) continue;
      const fee =
        BigInt(edge.feeBaseMsat) + (at.amount * BigInt(edge.feeProportionalMillionths)) / 1_000_000n;
      extend(edge.from, {
        amount: at.amount + fee,
        cltv: at.cltv + edge.cltvExpiryDelta,
        hops: at.hops + 1,
        seen: new Set([...at.seen, edge.from]),
      });
    }
  };
  extend(nodes - 1, {
    amount: request.amountMsat,
    cltv: request.finalCltvDelta,
    hops: 0,
    seen: new Set([nodes - 1]),
  });
  return ways;
}

function least<T extends bigint | number>(values: readonly T[]): T | undefined {
  return values.reduce<T | undefined>((a, b) => (a === undefined || b < a ? b : a), undefined);
}

/** What must come out, from all ways there are. */
function expected(
  list: readonly TestEdge[],
  request: RouteRequest,
): RouteResult['type'] | Record<string, unknown> {
  const destination = nodeId(nodes - 1);
  const known =
    list.some(({ from, to }) => from === nodes - 1 || to === nodes - 1) ||
    request.firstHops.some((hop) => equalBytes(hop.nodeId, destination));
  if (!known) return { reason: 'destination_unknown' };
  const usable = request.firstHops.filter((hop) => !request.excludedNodes.has(bytesToHex(hop.nodeId)));
  if (usable.length === 0) return { reason: 'no_path' };
  const best = -(least(usable.map(({ spendableMsat }) => -spendableMsat)) ?? 0n);
  if (best < request.amountMsat) return { reason: 'insufficient_balance', spendableMsat: best };
  const all = allWays(list, request);
  const affordable = all.filter((way) => way.affordable);
  const short = affordable.filter((way) => way.hops <= request.maxHops);
  const soon = short.filter((way) => way.cltvDelta <= request.maxCltvDelta);
  const cheap = soon.filter((way) => way.feeMsat <= request.maxFeeMsat);
  if (cheap.length > 0) return 'found';
  if (soon.length > 0) return { reason: 'fee_limit', feeMsat: least(soon.map(({ feeMsat }) => feeMsat)) };
  if (short.length > 0)
    return { reason: 'cltv_limit', cltvDelta: least(short.map(({ cltvDelta }) => cltvDelta)) };
  if (affordable.length > 0)
    return { reason: 'too_many_hops', hops: least(affordable.map(({ hops }) => hops)) };
  if (all.length > 0) return { reason: 'insufficient_balance', spendableMsat: best };
  return { reason: 'no_path' };
}

describe('findRoutes beside a search that tries every path', () => {
  test('finds a route wherever there is one, names the limit in the way where there is none', () => {
    fc.assert(
      fc.property(edges, request, fc.integer({ min: 0, max: 8 }), (list, wanted, nodesAround) => {
        const graph = graphOf(list);
        const finder = createRouteFinder(graph, nodesAround);
        const result = finder.findRoutes({ liquidity: noKnowledge(), request: wanted });
        const should = expected(list, wanted);
        if (result.type === 'found') {
          expect(should).toBe('found');
          expect(faultsOf(result.routes, { graph, request: wanted })).toEqual([]);
        } else {
          expect(result).toEqual({ type: 'none', ...(should as object) });
        }
      }),
      { numRuns: 4000 },
    );
  });

  test('splits without breaking a limit, and finds parts wherever one path does', () => {
    fc.assert(
      fc.property(edges, request, fc.integer({ min: 2, max: 6 }), (list, one, maxParts) => {
        const graph = graphOf(list);
        const wanted = { ...one, maxParts };
        const result = findRoutes({ graph, liquidity: noKnowledge(), request: wanted });
        if (result.type === 'found') expect(faultsOf(result.routes, { graph, request: wanted })).toEqual([]);
        else expect(expected(list, one)).not.toBe('found');
      }),
      { numRuns: 2000 },
    );
  });

  test('finds a way of the same cost however far it looks around us first', () => {
    const edge = fc.record({
      from: fc.integer({ min: 1, max: 40 }),
      to: fc.integer({ min: 1, max: 40 }),
      capacitySat: fc.bigInt({ min: 1_100n, max: 100_000n }),
      feeBaseMsat: fc.nat(3000),
      feeProportionalMillionths: fc.nat(300),
      cltvExpiryDelta: fc.nat(150),
    });
    const observation = fc.record({
      shortChannelId: fc.bigInt({ min: 100n, max: 240n }),
      direction: fc.constantFrom(0 as const, 1 as const),
      amountMsat: fc.bigInt({ min: 100_000n, max: 2_000_000n }),
      outcome: fc.constantFrom('carried' as const, 'refused' as const),
    });
    let found = 0;
    fc.assert(
      fc.property(
        fc.array(edge, { minLength: 60, maxLength: 140, size: 'max' }),
        fc.array(observation, { maxLength: 40, size: 'max' }),
        (list, observations) => {
          const edges = list
            .filter(({ from, to }) => from !== to)
            .map((each, i) => testEdge(100 + i, [each.from, each.to], each));
          const graph = graphOf(edges);
          const wanted = routeRequest({
            firstHops: [firstHop(1, 1), firstHop(2, 2), firstHop(3, 3)],
            destination: nodeId(40),
          });
          const liquidity = noKnowledge();
          for (const each of observations) {
            const channel = graph.getChannel(each.shortChannelId);
            if (channel === undefined) continue;
            liquidity.observe(each, { nowMs: wanted.nowMs, capacityMsat: channel.capacitySat * 1000n });
          }
          const costs = [0, 1, 5, 15, 1000].map((nodesAround) => {
            const result = createRouteFinder(graph, nodesAround).findRoutes({ liquidity, request: wanted });
            return result.type === 'none'
              ? undefined
              : routeCost(result.routes[0] as Route, defaultRouteWeights);
          });
          const [first] = costs;
          if (first !== undefined) found++;
          for (const cost of costs) {
            if (first === undefined) expect(cost).toBeUndefined();
            // What fees add to amounts differs from way to way, by which costs differ in the last digits.
            else expect(Math.abs((cost as number) / first - 1)).toBeLessThan(0.01);
          }
        },
      ),
      { numRuns: 500 },
    );
    expect(found).toBeGreaterThan(200);
  });
});
