import { bytesToHex, equalBytes } from '../../bytes/index.js';
import type { DirectedChannel, FirstHop, Route, RouteHop, RouteRequest } from '../../graph/index.js';
import { maxHopsOf } from './attemptOnion.js';
import type { EndingCause } from './ending.js';
import { fitRoute } from './fitRoute.js';
import { addAmounts, amountsInFlight } from './knowledge.js';
import type { SendingContext } from './planSending.js';
import { attemptsInFlight, directedChannel, type Sending, sendingFeeMsat } from './sending.js';

export type Way =
  | { readonly type: 'found'; readonly routes: readonly Route[] }
  | { readonly type: 'none'; readonly cause: EndingCause };

/** How often routes are searched anew because they do not fit what the payment knows. */
const mostSearches = 24;

/** What one search may use. */
interface Search {
  readonly leftMsat: bigint;
  readonly parts: number;
  /** Whether the destination is told the parts' total, which takes room in the onion. */
  readonly inParts: boolean;
}

/** Routes for the whole amount that is not in flight, within all limits; or why there are none. */
export function findWay(
  sending: Sending,
  { context, leftMsat }: { context: SendingContext; leftMsat: bigint },
): Way {
  const { request, knowledge, attempts } = sending;
  const parts = Math.min(
    knowledge.partsLimit - attemptsInFlight(sending).length,
    request.maxAttempts - attempts.length,
  );
  if (parts < 1) return none(context, { reason: 'no_path' });
  const whole = leftMsat === request.amountMsat;
  const inParts = parts > 1 || !whole;
  const way = search(sending, { context, search: { leftMsat, parts, inParts } });
  if (!inParts || !whole || !isTooLong(way)) return way;
  // One HTLC leaves more room for the records.
  return search(sending, { context, search: { leftMsat, parts: 1, inParts: false } });
}

function isTooLong(way: Way): boolean {
  return way.type === 'none' && way.cause.code === 'no_route' && way.cause.noRoute.reason === 'too_many_hops';
}

function none(
  { blockHeight }: SendingContext,
  noRoute: Extract<EndingCause, { code: 'no_route' }>['noRoute'],
): Way {
  return { type: 'none', cause: { code: 'no_route', noRoute, blockHeight } };
}

function search(sending: Sending, { context, search }: { context: SendingContext; search: Search }): Way {
  const { request, knowledge } = sending;
  const { blockHeight } = context;
  const maxHops = maxHopsOf(request, { blockHeight, inParts: search.inParts });
  if (maxHops === 0) return none(context, { reason: 'too_many_hops', hops: 1 });
  const maxFeeMsat = request.maxFeeMsat - sendingFeeMsat(sending);
  const excludedChannels = new Set([...(request.excludedChannels ?? []), ...knowledge.excludedChannels]);
  const excludedNodes = new Set([...(request.excludedNodes ?? []), ...knowledge.excludedNodes]);
  let firstHops = usableFirstHops(sending, context);
  let tooDear: bigint | undefined;
  let tooLong: number | undefined;
  for (let searches = 0; searches < mostSearches; searches++) {
    const routeRequest: RouteRequest = {
      source: context.source,
      destination: request.destination,
      amountMsat: search.leftMsat,
      finalCltvDelta: request.finalCltvDelta,
      maxFeeMsat,
      maxCltvDelta: request.maxCltvDelta,
      firstHops,
      hints: request.hints,
      maxParts: search.parts,
      maxHops,
      excludedNodes,
      excludedChannels: new Set(excludedChannels),
      inFlightMsat: context.inFlightMsat,
      nowMs: context.nowMs,
      blockHeight,
    };
    const result = context.findRoutes(routeRequest);
    if (result.type === 'none') {
      if (tooDear !== undefined) return none(context, { reason: 'fee_limit', feeMsat: tooDear });
      if (tooLong !== undefined) return none(context, { reason: 'cltv_limit', cltvDelta: tooLong });
      return none(context, result);
    }
    if (!areValid(result.routes, routeRequest)) return { type: 'none', cause: { code: 'internal' } };
    const fitted = fitAll(sending, { routes: result.routes, firstHops });
    switch (fitted.type) {
      case 'channel_unfit':
        excludedChannels.add(fitted.channel);
        continue;
      case 'first_hop_unfit':
        firstHops = firstHops.filter(({ shortChannelId }) => shortChannelId !== fitted.shortChannelId);
        continue;
    }
    const { routes } = fitted;
    const feeMsat = routes.reduce((sum, route) => sum + route.feeMsat, 0n);
    const cltvDelta = Math.max(...routes.map(({ hops }) => hops[0]?.cltvDelta as number));
    if (feeMsat <= maxFeeMsat && cltvDelta <= request.maxCltvDelta) return { type: 'found', routes };
    if (feeMsat > maxFeeMsat) tooDear = tooDear === undefined || feeMsat < tooDear ? feeMsat : tooDear;
    else tooLong = tooLong === undefined ? cltvDelta : Math.min(cltvDelta, tooLong);
    const corrected = dearestCorrected(routes, sending);
    // The search keeps its limits, so that only what was corrected can be beyond them.
    if (corrected === undefined) return { type: 'none', cause: { code: 'internal' } };
    excludedChannels.add(corrected);
  }
  return none(context, { reason: 'no_path' });
}

/** Our channels that the payment may begin with, with what they took of it until now in mind. */
function usableFirstHops({ request, knowledge }: Sending, { firstHops }: SendingContext): FirstHop[] {
  const usable: FirstHop[] = [];
  for (const firstHop of firstHops) {
    const { shortChannelId, spendableMsat, minimumMsat } = firstHop;
    if (request.firstHops !== undefined && !request.firstHops.has(shortChannelId)) continue;
    const below = knowledge.firstHopBelowMsat.get(shortChannelId);
    if (below === undefined) {
      usable.push(firstHop);
      continue;
    }
    const limitMsat = below - 1n < spendableMsat ? below - 1n : spendableMsat;
    if (limitMsat > 0n && limitMsat >= minimumMsat) usable.push({ ...firstHop, spendableMsat: limitMsat });
  }
  return usable;
}

type FittedRoutes =
  | { readonly type: 'fits'; readonly routes: readonly Route[] }
  | { readonly type: 'channel_unfit'; readonly channel: DirectedChannel }
  | { readonly type: 'first_hop_unfit'; readonly shortChannelId: bigint };

/** Each route with those before it on the way already. */
function fitAll(
  sending: Sending,
  { routes, firstHops }: { routes: readonly Route[]; firstHops: readonly FirstHop[] },
): FittedRoutes {
  const inFlight = amountsInFlight(sending);
  const left = new Map(firstHops.map((firstHop) => [firstHop.shortChannelId, firstHop]));
  const fits: Route[] = [];
  for (const route of routes) {
    const shortChannelId = route.hops[0]?.shortChannelId as bigint;
    const firstHop = left.get(shortChannelId);
    const fitted = fitRoute(route, { knowledge: sending.knowledge, firstHop, inFlight });
    if (fitted.type !== 'fits') return fitted;
    fits.push(fitted.route);
    addAmounts(inFlight, fitted.route.hops);
    if (firstHop === undefined) continue;
    const taken = (fitted.route.hops[0] as RouteHop).amountMsat;
    left.set(shortChannelId, { ...firstHop, spendableMsat: firstHop.spendableMsat - taken });
  }
  return { type: 'fits', routes: fits };
}

/** Of the channels whose terms this payment learned, the one that takes most. */
function dearestCorrected(routes: readonly Route[], { knowledge }: Sending): DirectedChannel | undefined {
  let dearest: { channel: DirectedChannel; feeMsat: bigint } | undefined;
  for (const { hops } of routes) {
    for (let i = 1; i < hops.length; i++) {
      const channel = directedChannel(hops[i] as RouteHop);
      if (knowledge.channels.get(channel)?.policy === undefined) continue;
      const feeMsat = (hops[i - 1] as RouteHop).amountMsat - (hops[i] as RouteHop).amountMsat;
      if (dearest === undefined || feeMsat > dearest.feeMsat) dearest = { channel, feeMsat };
    }
  }
  return dearest?.channel;
}

/** Whether the routes are what was asked for: what follows relies on it, so it is not taken on trust. */
function areValid(routes: readonly Route[], request: RouteRequest): boolean {
  if (routes.length === 0 || routes.length > request.maxParts) return false;
  const sumMsat = routes.reduce((sum, { amountMsat }) => sum + amountMsat, 0n);
  return sumMsat === request.amountMsat && routes.every((route) => isValid(route, request));
}

function isValid({ hops, amountMsat, feeMsat }: Route, request: RouteRequest): boolean {
  const [first] = hops;
  const last = hops.at(-1);
  if (first === undefined || last === undefined || hops.length > request.maxHops) return false;
  if (amountMsat <= 0n || last.amountMsat !== amountMsat || first.amountMsat !== amountMsat + feeMsat)
    return false;
  if (!equalBytes(last.nodeId, request.destination) || last.cltvDelta < request.finalCltvDelta) return false;
  if (!request.firstHops.some(({ shortChannelId }) => shortChannelId === first.shortChannelId)) return false;
  return hops.every((hop, i) => {
    const next = hops[i + 1];
    if (next !== undefined && (hop.amountMsat < next.amountMsat || hop.cltvDelta < next.cltvDelta))
      return false;
    // Our own channels are left out of the firstHops instead.
    if (i > 0 && request.excludedChannels.has(directedChannel(hop))) return false;
    return !request.excludedNodes.has(bytesToHex(hop.nodeId));
  });
}
