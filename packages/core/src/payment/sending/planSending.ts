import type { NewHtlc } from '../../channel/index.js';
import type { DirectedChannel, FirstHop, Route, RouteRequest, RouteResult } from '../../graph/index.js';
import { createAttemptHtlc } from './attemptOnion.js';
import { ended } from './ending.js';
import { findWay } from './findWay.js';
import { type Attempt, attemptsInFlight, liveMsat, type Sending } from './sending.js';

/** What a plan depends on beside the payment. */
export interface SendingContext {
  readonly blockHeight: number;
  readonly nowMs: number;
  readonly findRoutes: (request: RouteRequest) => RouteResult;
  /** Our node id. */
  readonly source: Uint8Array;
  /** Our usable channels, with what they can carry now. */
  readonly firstHops: readonly FirstHop[];
  /** What payments of ours hold in channels now, this one included. */
  readonly inFlightMsat: ReadonlyMap<DirectedChannel, bigint>;
  /**
   * The onion's key of an attempt: the same whenever it is asked for, and of no other attempt or payment.
   * Derive it from a secret, the payment hash and the attempt's id.
   */
  readonly sessionKeyOf: (attemptId: number) => Uint8Array;
  /**
   * From 0 to below 1, afresh each time. With it expiries are padded by a random number of blocks, so that
   * forwarders cannot tell from them how far the destination is (BOLT 7, recommendations for routing).
   */
  readonly paddingRandom?: () => number;
}

/** An HTLC to add to one of our channels. */
export interface NewAttempt {
  readonly id: number;
  /** `FirstHop.shortChannelId` of the channel. */
  readonly shortChannelId: bigint;
  readonly htlc: NewHtlc;
  readonly route: Route;
}

export interface SendingPlan {
  readonly sending: Sending;
  /** To be added in the transaction that stores `sending`; tell `attemptRefused` of those that cannot be. */
  readonly attempts: readonly NewAttempt[];
}

/** The most that expiries are padded by, in blocks. */
const longestPadding = 72;

/**
 * Decides what to send now, for the amount that is not in flight; or ends the payment, where nothing can be
 * sent and nothing is in flight. To be called after `beginSending`, after each attempt that failed or was
 * refused, and at the deadline; more often does no harm. While parts are in flight and there is no way for
 * the rest, nothing happens: a part that comes back opens other possibilities.
 */
export function planSending(sending: Sending, context: SendingContext): SendingPlan {
  if (sending.status !== 'pending' || sending.failure !== undefined) return { sending, attempts: [] };
  const { request } = sending;
  const leftMsat = request.amountMsat - liveMsat(sending);
  if (leftMsat <= 0n) return { sending, attempts: [] };
  if (context.nowMs >= request.deadlineMs)
    return { sending: ended(sending, { code: 'expired' }), attempts: [] };
  if (sending.attempts.length >= request.maxAttempts) {
    return { sending: ended(sending, { code: 'too_many_attempts' }), attempts: [] };
  }
  const way = findWay(sending, { context, leftMsat });
  if (way.type === 'found') return start(sending, way.routes, context);
  const waits = attemptsInFlight(sending).length > 0;
  return { sending: waits ? sending : ended(sending, way.cause), attempts: [] };
}

function start(sending: Sending, routes: readonly Route[], context: SendingContext): SendingPlan {
  const { blockHeight, nowMs } = context;
  const attempts = [...sending.attempts];
  const added: NewAttempt[] = [];
  for (const found of routes) {
    const route = padded(found, { sending, context });
    const id = attempts.length;
    const attempt: Attempt = { id, route, blockHeight, status: 'in_flight', startedAtMs: nowMs };
    const sessionKey = context.sessionKeyOf(id);
    const htlc = createAttemptHtlc({ request: sending.request, route, blockHeight, sessionKey });
    attempts.push(attempt);
    const shortChannelId = route.hops[0]?.shortChannelId as bigint;
    added.push({ id, shortChannelId, htlc, route });
  }
  return { sending: { ...sending, attempts }, attempts: added };
}

/** BOLT 7: the route's expiries with a random offset, as if it went on behind the destination. */
function padded(route: Route, { sending, context }: { sending: Sending; context: SendingContext }): Route {
  const { paddingRandom } = context;
  if (paddingRandom === undefined || sending.knowledge.withoutPadding) return route;
  const room = sending.request.maxCltvDelta - (route.hops[0]?.cltvDelta as number);
  const most = Math.min(longestPadding, Math.max(room, 0));
  const blocks = Math.min(Math.floor(paddingRandom() * (most + 1)), most);
  if (!(blocks > 0)) return route;
  return { ...route, hops: route.hops.map((hop) => ({ ...hop, cltvDelta: hop.cltvDelta + blocks })) };
}
