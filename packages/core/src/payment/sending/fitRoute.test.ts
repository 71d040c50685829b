import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Route, RouteHop } from '../../graph/index.js';
import { fitRoute } from './fitRoute.js';
import { policyFeeMsat, withChannel } from './knowledge.js';
import { firstHop, nodeId, requestTo } from './samples.test.support.js';
import { beginSending, directedChannel, type LearnedPolicy } from './sending.js';

const { knowledge: nothing } = beginSending(requestTo(1), 0);
const rich = firstHop({ spendableMsat: 1n << 62n });

const policies = fc.record({
  feeBaseMsat: fc.nat(5000),
  feeProportionalMillionths: fc.nat(100_000),
  cltvExpiryDelta: fc.nat(200),
  htlcMinimumMsat: fc.constant(0n),
  htlcMaximumMsat: fc.constant(1n << 62n),
});

/** The route on which each node gets exactly what its policy asks for; our own channel has none. */
function cheapest(terms: readonly LearnedPolicy[], amountMsat: bigint): Route {
  const hops: RouteHop[] = [];
  let amount = amountMsat;
  let cltvDelta = 80;
  for (let i = terms.length - 1; i >= 0; i--) {
    hops.unshift({
      nodeId: nodeId(i + 1),
      shortChannelId: BigInt(i + 1),
      direction: 1,
      amountMsat: amount,
      cltvDelta,
    });
    if (i === 0) break;
    amount += policyFeeMsat(terms[i] as LearnedPolicy, amount);
    cltvDelta += (terms[i] as LearnedPolicy).cltvExpiryDelta;
  }
  return { hops, amountMsat, feeMsat: amount - amountMsat, probability: 1 };
}

describe('fitting a route to what a payment learned', () => {
  test('every node gets what it asks for, also of an amount that grew behind it, and not much more', () => {
    fc.assert(
      fc.property(
        fc.array(policies, { minLength: 2, maxLength: 6 }),
        fc.bigInt({ min: 1n, max: 10_000_000_000n }),
        fc.nat(4),
        policies,
        (terms, amountMsat, position, policy) => {
          const route = cheapest(terms, amountMsat);
          const index = 1 + (position % (terms.length - 1));
          const channel = directedChannel(route.hops[index] as RouteHop);
          const knowledge = withChannel(nothing, channel, { policy });
          const fitted = fitRoute(route, { knowledge, firstHop: rich, inFlight: new Map() });
          if (fitted.type !== 'fits') throw new Error(fitted.type);
          const { hops, feeMsat } = fitted.route;
          expect(fitted.route.amountMsat).toBe(amountMsat);
          expect(feeMsat).toBe((hops[0] as RouteHop).amountMsat - amountMsat);
          for (let i = 1; i < hops.length; i++) {
            const [hop, next] = [hops[i - 1], hops[i]] as [RouteHop, RouteHop];
            for (const asked of i === index
              ? [policy, terms[i] as LearnedPolicy]
              : [terms[i] as LearnedPolicy]) {
              const paid = hop.amountMsat - next.amountMsat;
              expect(paid).toBeGreaterThanOrEqual(policyFeeMsat(asked, next.amountMsat));
              expect(hop.cltvDelta - next.cltvDelta).toBeGreaterThanOrEqual(asked.cltvExpiryDelta);
            }
          }
          // What is asked for no more than before changes nothing.
          const same = withChannel(nothing, channel, { policy: terms[index] as LearnedPolicy });
          expect(fitRoute(route, { knowledge: same, firstHop: rich, inFlight: new Map() })).toEqual({
            type: 'fits',
            route,
          });
        },
      ),
      { numRuns: 500 },
    );
  });

  test('an amount that a channel refused, with what is in it already, does not fit; less does', () => {
    const policy = { feeBaseMsat: 0, feeProportionalMillionths: 0, cltvExpiryDelta: 40 };
    const terms = { ...policy, htlcMinimumMsat: 0n, htlcMaximumMsat: 1n << 62n };
    const route = cheapest([terms, terms], 700n);
    const channel = directedChannel(route.hops[1] as RouteHop);
    const knowledge = withChannel(nothing, channel, { refusedMsat: 1000n, refusals: 1 });
    const fit = (heldMsat: bigint) =>
      fitRoute(route, { knowledge, firstHop: rich, inFlight: new Map([[channel, heldMsat]]) });
    expect(fit(300n)).toEqual({ type: 'channel_unfit', channel });
    expect(fit(299n)).toEqual({ type: 'fits', route });
  });

  test('what our own channel cannot carry does not fit', () => {
    const terms = { feeBaseMsat: 10, feeProportionalMillionths: 0, cltvExpiryDelta: 40 };
    const route = cheapest(
      [1, 2].map(() => ({ ...terms, htlcMinimumMsat: 0n, htlcMaximumMsat: 1000n })),
      700n,
    );
    const fit = (change: Parameters<typeof firstHop>[0]) =>
      fitRoute(route, { knowledge: nothing, firstHop: firstHop(change), inFlight: new Map() }).type;
    expect(fit({ spendableMsat: 710n, minimumMsat: 710n })).toBe('fits');
    expect(fit({ spendableMsat: 709n })).toBe('first_hop_unfit');
    expect(fit({ minimumMsat: 711n })).toBe('first_hop_unfit');
  });
});
