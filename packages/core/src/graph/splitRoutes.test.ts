import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findRoutes } from './findRoutes.js';
import {
  faultsOf,
  firstHop,
  graphOf,
  hintFrom,
  nodeId,
  noKnowledge,
  routeRequest,
  testEdge,
} from './graph.test.support.js';
import type { RouteRequest, RouteResult } from './route.js';

/** Four ways from us to 9, each of which carries 400,000 msat and takes 10 msat and 1000 ppm. */
const policy = {
  capacitySat: 400n,
  htlcMaximumMsat: 400_000n,
  feeBaseMsat: 10,
  feeProportionalMillionths: 1000,
};
const ways = [1, 2, 3, 4].map((node) => testEdge(node * 10 + 9, [node, 9], policy));
const peers = [1, 2, 3, 4].map((node) => firstHop(node, node));

function split(
  edges: Parameters<typeof graphOf>[0],
  request: Partial<RouteRequest>,
  liquidity = noKnowledge(),
): { result: RouteResult; faults: string[] } {
  const graph = graphOf(edges);
  const whole = routeRequest({ firstHops: peers, maxParts: 10, ...request });
  const result = findRoutes({ graph, liquidity, request: whole });
  return {
    result,
    faults: result.type === 'found' ? faultsOf(result.routes, { graph, request: whole }) : [],
  };
}

describe('findRoutes in several parts', () => {
  test('splits what no path carries, exactly', () => {
    const { result, faults } = split(ways, { amountMsat: 1_000_001n });
    expect(faults).toEqual([]);
    expect(result.type === 'found' && result.routes.length >= 3).toBe(true);
  });

  test('fills every way to the last msat if it must', () => {
    expect(split(ways, { amountMsat: 1_600_000n, maxParts: 4 })).toMatchObject({
      result: { type: 'found' },
      faults: [],
    });
    expect(split(ways, { amountMsat: 1_600_001n }).result).toEqual({ type: 'none', reason: 'no_path' });
  });

  test('does not overcommit a channel that all ways share', () => {
    const shared = [
      ...[1, 2, 3, 4].map((node) => testEdge(node * 10 + 5, [node, 5], policy)),
      testEdge(59, [5, 9], { capacitySat: 1_000n }),
    ];
    expect(split(shared, { amountMsat: 1_000_000n })).toMatchObject({
      result: { type: 'found' },
      faults: [],
    });
    expect(split(shared, { amountMsat: 1_000_001n }).result).toEqual({ type: 'none', reason: 'no_path' });
  });

  test('keeps the number of parts, and asks for one only where one does', () => {
    expect(split(ways, { amountMsat: 1_000_000n, maxParts: 2 }).result.type).toBe('none');
    const { result } = split([testEdge(19, [1, 9]), ...ways], { amountMsat: 100_000n });
    expect(result.type === 'found' && result.routes.length).toBe(1);
  });

  test('pays in parts over our own channels to the peer', () => {
    const firstHops = [firstHop(1, 9, 600_000n), firstHop(2, 9, 500_000n)];
    const { result, faults } = split([], { firstHops, amountMsat: 1_100_000n });
    expect(faults).toEqual([]);
    expect(result.type === 'found' && result.routes.map(({ feeMsat }) => feeMsat)).toEqual([0n, 0n]);
  });

  test('keeps the sum of the fees within the limit, and says what the parts would cost', () => {
    // Three parts at least: 3 * 10 msat, and 1000 ppm of all.
    expect(split(ways, { amountMsat: 1_200_000n, maxFeeMsat: 1_230n, maxParts: 3 })).toMatchObject({
      result: { type: 'found' },
      faults: [],
    });
    expect(split(ways, { amountMsat: 1_200_000n, maxFeeMsat: 1_229n, maxParts: 3 }).result).toEqual({
      type: 'none',
      reason: 'fee_limit',
      feeMsat: 1_230n,
    });
  });

  test('says which other limit is in the way', () => {
    const amountMsat = 1_000_000n;
    expect(split(ways, { amountMsat, maxHops: 1 }).result).toEqual({
      type: 'none',
      reason: 'too_many_hops',
      hops: 2,
    });
    expect(split(ways, { amountMsat, maxCltvDelta: 50 }).result).toEqual({
      type: 'none',
      reason: 'cltv_limit',
      cltvDelta: 58,
    });
    const firstHops = [1, 2, 3].map((node) => firstHop(node, node, 333_500n));
    expect(split(ways, { amountMsat, firstHops }).result).toEqual({
      type: 'none',
      reason: 'insufficient_balance',
      spendableMsat: 1_000_500n,
    });
  });

  test('splits where each path is known to carry a part, and hardly the whole', () => {
    const wide = [1, 2, 3, 4].map((node) => testEdge(node * 10 + 9, [node, 9], { capacitySat: 1_200n }));
    const liquidity = noKnowledge();
    for (const { shortChannelId } of wide) {
      const context = { nowMs: 1_700_000_000_000, capacityMsat: 1_200_000n };
      liquidity.observe({ shortChannelId, direction: 0, amountMsat: 400_000n, outcome: 'carried' }, context);
      liquidity.observe(
        { shortChannelId, direction: 0, amountMsat: 1_100_000n, outcome: 'refused' },
        context,
      );
    }
    const { result, faults } = split(wide, { amountMsat: 1_000_000n }, liquidity);
    expect(faults).toEqual([]);
    expect(result.type === 'found' && result.routes.length).toBeGreaterThan(2);
  });

  test('counts what parts hold in the channels of hints', () => {
    const hints = [1, 2, 3].map((node) => [hintFrom(node, 70 + node, { htlcMaximumMsat: 400_000n })]);
    const { result, faults } = split([], { destination: nodeId(77), hints, amountMsat: 1_000_000n });
    expect(faults).toEqual([]);
    expect(result.type === 'found' && result.routes.length).toBeGreaterThan(2);
  });

  test('sends a circle in parts', () => {
    const hints = [[hintFrom(9, 90)], [hintFrom(4, 4)]];
    const { result, faults } = split(ways, { destination: nodeId(0), hints, amountMsat: 700_000n });
    expect(faults).toEqual([]);
    expect(result.type).toBe('found');
  });

  test('breaks no limit on graphs of all kinds', () => {
    const edge = fc.record({
      from: fc.integer({ min: 1, max: 8 }),
      to: fc.integer({ min: 2, max: 9 }),
      capacitySat: fc.bigInt({ min: 50n, max: 3_000n }),
      htlcMaximumMsat: fc.bigInt({ min: 30_000n, max: 3_000_000n }),
      feeBaseMsat: fc.nat(2000),
      feeProportionalMillionths: fc.nat(20_000),
    });
    const wanted = fc.record({
      amountMsat: fc.bigInt({ min: 1n, max: 3_000_000n }),
      maxParts: fc.integer({ min: 2, max: 12 }),
      maxFeeMsat: fc.bigInt({ min: 0n, max: 100_000n }),
    });
    let found = 0;
    fc.assert(
      fc.property(fc.array(edge, { minLength: 5, maxLength: 40, size: 'max' }), wanted, (list, request) => {
        const edges = list
          .filter(({ from, to }) => from !== to)
          .map((each, i) => testEdge(100 + i, [each.from, each.to], each));
        const firstHops = peers.map((hop) => ({ ...hop, spendableMsat: 1_500_000n }));
        const { result, faults } = split(edges, { ...request, firstHops });
        expect(faults).toEqual([]);
        if (result.type === 'found' && result.routes.length > 1) found++;
        if (result.type === 'none' && result.reason === 'fee_limit') {
          expect(result.feeMsat).toBeGreaterThan(request.maxFeeMsat);
        }
      }),
      { numRuns: 1500 },
    );
    expect(found).toBeGreaterThan(50);
  });
});
