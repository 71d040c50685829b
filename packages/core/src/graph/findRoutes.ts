import { equalBytes } from '../bytes/index.js';
import { GraphError } from './graphError.js';
import type { LiquidityEstimates } from './liquidityEstimates.js';
import type { NetworkGraph } from './networkGraph.js';
import type { Objective } from './paretoSearch.js';
import { findDirect, PartFinder, type PartOutcome, type PartTask } from './partFinder.js';
import type { FirstHop, NoRoute, Route, RouteRequest, RouteResult } from './route.js';
import type { SearchCut } from './routeSearch.js';
import {
  cheapestWeights,
  defaultRouteWeights,
  type RouteWeights,
  shortestWeights,
  soonestWeights,
} from './routeWeights.js';
import { isExcluded } from './searchSpace.js';
import { splitRoutes } from './splitRoutes.js';

export interface RouteQuestion {
  readonly liquidity: LiquidityEstimates;
  readonly request: RouteRequest;
  readonly weights?: RouteWeights;
}

export interface RouteFinder {
  /**
   * Routes that carry the whole amount within all limits of the request, or why there are none.
   * @throws GraphError `amount_invalid` for an amount that is not above zero.
   */
  findRoutes(question: RouteQuestion): RouteResult;
}

/** One path that is at least so likely to carry the amount is not compared with several. */
const likelyEnough = 0.5;
/** Several paths are taken instead of one if they are so many times as likely to carry the amount. */
const muchLikelier = 1.5;

/** How hard a route is searched for that no quick search finds, in ways to nodes. */
const searchLabels = 15_000;
/** How hard the least value of a limit is searched for, only to say it. */
const reasonLabels = 3_000;

/**
 * A finder that keeps its working memory from request to request; it follows the graph's changes.
 * @param nodesAround how many nodes are looked at around us before the search begins at the destination: it
 * changes how long a search takes, not what it finds.
 */
export function createRouteFinder(graph: NetworkGraph, nodesAround?: number): RouteFinder {
  const finder = new PartFinder(graph, nodesAround);
  return { findRoutes: (question) => find(graph, finder, question) };
}

const finders = new WeakMap<NetworkGraph, RouteFinder>();

/**
 * The same with a finder that belongs to the graph. Circles (the destination is the source) end with a channel
 * of `hints`, which is never the one that they begin with: both must have the same `shortChannelId` where they
 * are the same channel.
 */
export function findRoutes({
  graph,
  ...question
}: RouteQuestion & { readonly graph: NetworkGraph }): RouteResult {
  const finder = finders.get(graph) ?? createRouteFinder(graph);
  finders.set(graph, finder);
  return finder.findRoutes(question);
}

function find(graph: NetworkGraph, finder: PartFinder, question: RouteQuestion): RouteResult {
  const { request, liquidity, weights = defaultRouteWeights } = question;
  if (request.amountMsat <= 0n) {
    throw new GraphError('amount_invalid', 'a route is for an amount above zero');
  }
  const direct = findDirect(request);
  if (direct !== undefined) return { type: 'found', routes: [direct] };
  const hopeless = refuseEarly(graph, request);
  if (hopeless !== undefined) return { type: 'none', ...hopeless };
  const task: PartTask = { request, liquidity, weights };
  if (request.maxParts <= 1) {
    const one = findOne(finder, task);
    if (one.route !== undefined) return { type: 'found', routes: [one.route] };
    return explainOne(finder, { task, first: one });
  }
  const one = finder.find(task).route;
  if (one !== undefined && one.probability >= likelyEnough) return { type: 'found', routes: [one] };
  const several = splitRoutes(finder, { task, strategy: 'balanced' });
  if (one !== undefined) {
    const better = several !== undefined && likelihood(several) > muchLikelier * one.probability;
    return { type: 'found', routes: better ? several : [one] };
  }
  return several === undefined ? findWithEffort(finder, task) : { type: 'found', routes: several };
}

/** Where neither one path nor parts of moderate size were found. */
function findWithEffort(finder: PartFinder, task: PartTask): RouteResult {
  const one = findOne(finder, task);
  if (one.route !== undefined) return { type: 'found', routes: [one.route] };
  const greedy = splitRoutes(finder, { task, strategy: 'greedy' });
  return greedy === undefined ? explainSeveral(finder, task) : { type: 'found', routes: greedy };
}

function likelihood(routes: readonly Route[]): number {
  return routes.reduce((product, { probability }) => product * probability, 1);
}

/** Reasons that need no search. */
function refuseEarly(graph: NetworkGraph, request: RouteRequest): NoRoute | undefined {
  const { source, destination, firstHops, hints, amountMsat } = request;
  if (firstHops.length === 0) return { reason: 'no_channels' };
  const isPeer = firstHops.some(({ nodeId }) => equalBytes(nodeId, destination));
  const known = equalBytes(source, destination) || isPeer || graph.hasNode(destination);
  if (!known && !hints.some((hint) => hint.length > 0)) return { reason: 'destination_unknown' };
  const usable = usableFirstHops(request);
  // Nothing that we may use at all: it is not for the balance.
  if (usable.length === 0) return noPath;
  const spendableMsat = spendableOf(request);
  if (spendableMsat < amountMsat) return { reason: 'insufficient_balance', spendableMsat };
  return undefined;
}

function usableFirstHops(request: RouteRequest): FirstHop[] {
  const { source, firstHops } = request;
  return firstHops.filter((hop) => !isExcluded(request, { ...hop, from: source, to: hop.nodeId }));
}

/** What our channels carry: all together, or the best one where the payment is in one part. */
function spendableOf(request: RouteRequest): bigint {
  let sum = 0n;
  let best = 0n;
  for (const { spendableMsat } of usableFirstHops(request)) {
    sum += spendableMsat;
    if (spendableMsat > best) best = spendableMsat;
  }
  return request.maxParts > 1 ? sum : best;
}

/** The best path within the limits; if limits led the search astray, any path within them. */
function findOne(finder: PartFinder, task: PartTask): PartOutcome {
  const found = finder.find(task);
  const { cut } = found;
  if (found.route !== undefined || !isCut(cut)) return found;
  const cheapest = finder.find({ ...task, weights: cheapestWeights });
  if (cheapest.route !== undefined || !(cheapest.cut.cltv || cheapest.cut.hops)) return { ...cheapest, cut };
  const cheap = finder.find({ ...task, weights: cheapestWeights, ignore: ['cltv', 'hops'] });
  if (cheap.route === undefined) return { ...cheap, cut };
  const { route } = finder.find({ ...task, exhaustive: { objective: 'fee', mostLabels: searchLabels } });
  return { route, cut };
}

const noPath: NoRoute = { reason: 'no_path' };

function isCut(cut: SearchCut): boolean {
  return cut.fee || cut.cltv || cut.hops || cut.amount || cut.spendable;
}

/** Why one path does not do: the first of the limits without which there is one. */
function explainOne(
  finder: PartFinder,
  { task, first }: { task: PartTask; first: PartOutcome },
): RouteResult {
  const { request } = task;
  if (!isCut(first.cut)) return { type: 'none', ...noPath };
  const dearer = leastOf(finder, { ...task, weights: cheapestWeights, ignore: ['fee'] }, 'fee');
  if (dearer !== undefined) return judge([dearer], request);
  // The least amounts in all channels: if these do not fit, nothing does.
  const ignore = ['fee', 'cltv', 'hops'] as const;
  const any = finder.find({ ...task, weights: cheapestWeights, ignore });
  if (any.route === undefined) {
    const richer = finder.find({ ...task, weights: cheapestWeights, ignore: [...ignore, 'spendable'] });
    return { type: 'none', ...(richer.route === undefined ? noPath : insufficient(request)) };
  }
  const longer = leastOf(finder, { ...task, weights: soonestWeights, ignore: ['fee', 'cltv'] }, 'cltv');
  if (longer !== undefined) return judge([longer], request);
  const farther = leastOf(finder, { ...task, weights: shortestWeights, ignore }, 'hops') ?? any.route;
  return judge([farther], request);
}

/** The route of the least fee, the earliest expiry or the fewest hops within the limits that the task does not ignore. */
function leastOf(finder: PartFinder, task: PartTask, objective: Objective): Route | undefined {
  const quick = finder.find(task);
  const { cut } = quick;
  const astray = cut.hops || (objective === 'fee' ? cut.cltv : cut.amount || cut.spendable);
  if (!astray) return quick.route;
  return finder.find({ ...task, exhaustive: { objective, mostLabels: reasonLabels } }).route ?? quick.route;
}

function insufficient(request: RouteRequest): NoRoute {
  return { reason: 'insufficient_balance', spendableMsat: spendableOf(request) };
}

/** Why parts do not do: the first of the limits without which they do. */
function explainSeveral(finder: PartFinder, task: PartTask): RouteResult {
  const { request } = task;
  const without = (ignore: NonNullable<PartTask['ignore']>, weights: RouteWeights): Route[] | undefined =>
    splitRoutes(finder, { task: { ...task, ignore, weights }, strategy: 'balanced' }) ??
    splitRoutes(finder, { task: { ...task, ignore, weights }, strategy: 'greedy' });
  const any = without(['fee', 'cltv', 'hops'], shortestWeights);
  if (any === undefined) {
    const richer = without(['fee', 'cltv', 'hops', 'spendable'], shortestWeights);
    return { type: 'none', ...(richer === undefined ? noPath : insufficient(request)) };
  }
  const dearer = cheaper(
    finder.find({ ...task, weights: cheapestWeights, ignore: ['fee'] }).route,
    without(['fee'], cheapestWeights),
  );
  return judge(dearer ?? without(['fee', 'cltv'], soonestWeights) ?? any, request);
}

/** One path or several, whichever takes less. */
function cheaper(
  one: Route | undefined,
  several: readonly Route[] | undefined,
): readonly Route[] | undefined {
  if (one === undefined) return several;
  return several === undefined || one.feeMsat <= totalFee(several) ? [one] : several;
}

function totalFee(routes: readonly Route[]): bigint {
  return routes.reduce((sum, { feeMsat }) => sum + feeMsat, 0n);
}

/** Which limit routes break that were found without it; none, where they were only hard to find. */
function judge(routes: readonly Route[], { maxHops, maxCltvDelta, maxFeeMsat }: RouteRequest): RouteResult {
  const hops = Math.max(...routes.map((route) => route.hops.length));
  if (hops > maxHops) return { type: 'none', reason: 'too_many_hops', hops };
  const cltvDelta = Math.max(...routes.map((route) => route.hops[0]?.cltvDelta as number));
  if (cltvDelta > maxCltvDelta) return { type: 'none', reason: 'cltv_limit', cltvDelta };
  const feeMsat = totalFee(routes);
  if (feeMsat > maxFeeMsat) return { type: 'none', reason: 'fee_limit', feeMsat };
  return { type: 'found', routes };
}
