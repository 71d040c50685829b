import { equalBytes } from '../bytes/index.js';
import { ExactPath } from './exactRoute.js';
import { FailureCosts } from './failureCosts.js';
import type { LiquidityEstimates } from './liquidityEstimates.js';
import type { NetworkGraph } from './networkGraph.js';
import { type Objective, paretoSearch } from './paretoSearch.js';
import type { Route, RouteRequest } from './route.js';
import { type Path, RouteSearch, type SearchCut, type SearchLimits, uncut } from './routeSearch.js';
import type { RouteWeights } from './routeWeights.js';
import { directionOf, isExcluded, SearchSpace } from './searchSpace.js';

/** What one part may be: the request's own limits, or laxer ones to find out which of them is in the way. */
export interface PartTask {
  /** Its amount is the part's. */
  readonly request: RouteRequest;
  readonly weights: RouteWeights;
  readonly liquidity: LiquidityEstimates;
  readonly ignore?: readonly ('fee' | 'cltv' | 'hops' | 'spendable')[];
  /** Searches with all ways that limits could favour, see `paretoSearch`. */
  readonly exhaustive?: { readonly objective: Objective; readonly mostLabels: number };
  /** Another amount over the same path. @returns `undefined` to keep the request's. */
  readonly resize?: (path: ExactPath, route: Route) => Route | undefined;
}

export interface PartOutcome {
  readonly route: Route | undefined;
  /** Which limits kept the search from going on somewhere. */
  readonly cut: SearchCut;
}

/** How often a path that does not hold in exact arithmetic is searched anew. */
const mostCorrections = 4;

/** Finds one route for one amount; keeps its working memory. */
export class PartFinder {
  readonly #space: SearchSpace;
  readonly #failures: FailureCosts;
  readonly #search: RouteSearch;

  constructor(graph: NetworkGraph, nodesAround?: number) {
    this.#space = new SearchSpace(graph);
    this.#failures = new FailureCosts(this.#space);
    this.#search = new RouteSearch(this.#space, {
      failures: this.#failures,
      ...(nodesAround !== undefined && { nodesAround }),
    });
  }

  find(task: PartTask): PartOutcome {
    const { request, weights } = task;
    if (!equalBytes(request.source, request.destination)) return this.#findIn(task);
    let best: Route | undefined;
    const cut = { ...uncut };
    for (const apart of circleRequests(request)) {
      const outcome = this.#findIn({ ...task, request: apart });
      addCut(cut, outcome.cut);
      const { route } = outcome;
      if (route === undefined) continue;
      if (best === undefined || routeCost(route, weights) < routeCost(best, weights)) best = route;
    }
    return { route: best, cut };
  }

  #findIn(task: PartTask): PartOutcome {
    const { request, weights, liquidity, resize } = task;
    const ignore = new Set(task.ignore);
    const limits: SearchLimits = {
      maxFee: ignore.has('fee') ? Number.POSITIVE_INFINITY : Number(request.maxFeeMsat),
      maxCltv: ignore.has('cltv') ? Number.POSITIVE_INFINITY : request.maxCltvDelta - request.finalCltvDelta,
      maxHops: ignore.has('hops') ? mostHops : Math.min(mostHops, request.maxHops),
      ignoreSpendable: ignore.has('spendable'),
    };
    const cut = { ...uncut };
    if (limits.maxFee < 0) return { route: undefined, cut: { ...cut, fee: true } };
    if (limits.maxCltv < 0) return { route: undefined, cut: { ...cut, cltv: true } };
    const unlimited = limits.ignoreSpendable ? withUnlimitedFirstHops(request) : request;
    const space = this.#space;
    try {
      space.enter(unlimited);
      for (let corrections = 0; corrections < mostCorrections; corrections++) {
        const searchTask = {
          request: unlimited,
          amount: Number(request.amountMsat),
          limits,
          weights,
          liquidity,
        };
        let path: Path | undefined;
        if (task.exhaustive === undefined) {
          const outcome = this.#search.find(searchTask);
          path = outcome.path;
          addCut(cut, outcome.cut);
        } else {
          this.#failures.enter(searchTask);
          path = paretoSearch(space, { task: searchTask, ...task.exhaustive });
        }
        if (path === undefined) return { route: undefined, cut };
        const exact = new ExactPath(path, { space, failures: this.#failures, request: unlimited });
        const route = exact.carry(request.amountMsat);
        if (typeof route !== 'number') {
          if (!ignore.has('fee') && route.feeMsat > request.maxFeeMsat)
            return { route: undefined, cut: { ...cut, fee: true } };
          return { route: resize?.(exact, route) ?? route, cut };
        }
        if (route < 0) break;
        // Beyond 2^53 the search rounds: without the channel that it took to be great enough.
        space.exclude(route);
      }
      return { route: undefined, cut };
    } finally {
      space.leave();
    }
  }
}

function addCut(all: SearchCut, one: SearchCut): void {
  all.fee ||= one.fee;
  all.cltv ||= one.cltv;
  all.hops ||= one.hops;
  all.amount ||= one.amount;
  all.spendable ||= one.spendable;
}

/** More hops are not counted. */
const mostHops = 60_000;

/**
 * A channel between us and the destination, without looking at the graph: the one of those that suffice with
 * the least to spend, so that the others stay for greater amounts.
 */
export function findDirect(request: RouteRequest): Route | undefined {
  const { source, destination, amountMsat, finalCltvDelta, maxCltvDelta, firstHops } = request;
  if (finalCltvDelta > maxCltvDelta || request.maxHops < 1 || request.maxFeeMsat < 0n) return undefined;
  let best: RouteRequest['firstHops'][number] | undefined;
  for (const hop of firstHops) {
    if (hop.spendableMsat < amountMsat || hop.minimumMsat > amountMsat) continue;
    if (best !== undefined && best.spendableMsat <= hop.spendableMsat) continue;
    if (!equalBytes(hop.nodeId, destination) || equalBytes(source, destination)) continue;
    if (isExcluded(request, { ...hop, from: source, to: hop.nodeId })) continue;
    best = hop;
  }
  if (best === undefined) return undefined;
  const { nodeId, shortChannelId } = best;
  const direction = directionOf(source, nodeId);
  const hops = [{ nodeId, shortChannelId, direction, amountMsat, cltvDelta: finalCltvDelta }];
  return { hops, amountMsat, feeMsat: 0n, probability: 1 };
}

/** What a route costs by the weights, in msat. */
export function routeCost({ hops, amountMsat, feeMsat, probability }: Route, weights: RouteWeights): number {
  const amount = Number(amountMsat);
  const blocks = (hops[0]?.cltvDelta ?? 0) - (hops.at(-1)?.cltvDelta ?? 0);
  return (
    Number(feeMsat) * weights.feeFactor +
    blocks * (weights.timeLockPerMsatBlock * amount + weights.timeLockPerBlock) +
    hops.length * weights.hop -
    Math.log(probability) * (weights.failureBase + amount * weights.failurePerMsat)
  );
}

/**
 * A circle may come back through the peer that it left by, but not through the channel. So each channel that is
 * on both sides is tried as the last one with itself taken from the first ones; all others together.
 */
function circleRequests(request: RouteRequest): RouteRequest[] {
  const { firstHops, hints } = request;
  const ours = new Set(firstHops.map(({ shortChannelId }) => shortChannelId));
  const lastOf = (hint: (typeof hints)[number]) => hint.at(-1)?.shortChannelId ?? -1n;
  const free = hints.filter((hint) => !ours.has(lastOf(hint)));
  const both = [...new Set(hints.map(lastOf).filter((id) => ours.has(id)))];
  const apart = both.map((id) => ({
    ...request,
    firstHops: firstHops.filter(({ shortChannelId }) => shortChannelId !== id),
    hints: hints.filter((hint) => lastOf(hint) === id),
  }));
  return free.length > 0 ? [{ ...request, hints: free }, ...apart] : apart;
}

function withUnlimitedFirstHops(request: RouteRequest): RouteRequest {
  const firstHops = request.firstHops.map((hop) => ({
    ...hop,
    spendableMsat: request.amountMsat + unlimitedMsat,
  }));
  return { ...request, firstHops };
}

const unlimitedMsat = 1n << 62n;
