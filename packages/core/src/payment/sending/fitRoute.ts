import type { DirectedChannel, FirstHop, Route, RouteHop } from '../../graph/index.js';
import { policyFeeMsat } from './knowledge.js';
import { directedChannel, type Knowledge } from './sending.js';

/** What a route became under what the payment knows. */
export type FittedRoute =
  | { readonly type: 'fits'; readonly route: Route }
  /** Not with this channel, for this amount. */
  | { readonly type: 'channel_unfit'; readonly channel: DirectedChannel }
  /** Not with this channel of our own, for this amount. */
  | { readonly type: 'first_hop_unfit'; readonly shortChannelId: bigint };

/**
 * Corrects a route by the policies that nodes told us in failures of this payment. The graph does not learn
 * them: BOLT 4 forbids that they be exposed outside of the payment, so the search for routes knows nothing
 * of them, and its routes are made dearer or longer here. What arrives stays the same.
 * @param inFlight what this payment's other HTLCs hold in channels.
 */
export function fitRoute(
  route: Route,
  {
    knowledge,
    firstHop,
    inFlight,
  }: {
    knowledge: Knowledge;
    firstHop: FirstHop | undefined;
    inFlight: ReadonlyMap<DirectedChannel, bigint>;
  },
): FittedRoute {
  const hops = correctedHops(route.hops, knowledge);
  for (const hop of hops.slice(1)) {
    const channel = directedChannel(hop);
    const known = knowledge.channels.get(channel);
    if (known === undefined) continue;
    const { refusedMsat, policy } = known;
    const heldMsat = inFlight.get(channel) ?? 0n;
    const unfit =
      (refusedMsat !== undefined && heldMsat + hop.amountMsat >= refusedMsat) ||
      (policy !== undefined &&
        (hop.amountMsat < policy.htlcMinimumMsat || hop.amountMsat > policy.htlcMaximumMsat));
    if (unfit) return { type: 'channel_unfit', channel };
  }
  const [first] = hops as [RouteHop];
  if (
    firstHop === undefined ||
    first.amountMsat > firstHop.spendableMsat ||
    first.amountMsat < firstHop.minimumMsat
  ) {
    return { type: 'first_hop_unfit', shortChannelId: first.shortChannelId };
  }
  return { type: 'fits', route: { ...route, hops, feeMsat: first.amountMsat - route.amountMsat } };
}

/** From the destination backwards, as the amounts come about. */
function correctedHops(hops: readonly RouteHop[], knowledge: Knowledge): readonly RouteHop[] {
  const corrected = [...hops];
  for (let i = hops.length - 2; i >= 0; i--) {
    const [hop, next] = [hops[i], hops[i + 1]] as [RouteHop, RouteHop];
    const after = corrected[i + 1] as RouteHop;
    let feeMsat = grownFee({
      feeMsat: hop.amountMsat - next.amountMsat,
      fromMsat: next.amountMsat,
      toMsat: after.amountMsat,
    });
    let delta = hop.cltvDelta - next.cltvDelta;
    const policy = knowledge.channels.get(directedChannel(next))?.policy;
    if (policy !== undefined) {
      const asked = policyFeeMsat(policy, after.amountMsat);
      if (asked > feeMsat) feeMsat = asked;
      delta = Math.max(delta, policy.cltvExpiryDelta);
    }
    corrected[i] = { ...hop, amountMsat: after.amountMsat + feeMsat, cltvDelta: after.cltvDelta + delta };
  }
  return corrected;
}

/**
 * The fee for an amount that grew, where only the fee for the old amount is known: as if all of it were
 * proportional, and so never too little. The added ratio makes good for what the old fee's rounding lost.
 */
function grownFee({
  feeMsat,
  fromMsat,
  toMsat,
}: {
  feeMsat: bigint;
  fromMsat: bigint;
  toMsat: bigint;
}): bigint {
  if (toMsat <= fromMsat) return feeMsat;
  return (feeMsat * toMsat) / fromMsat + toMsat / fromMsat + 1n;
}
