import type { ExactPath } from './exactRoute.js';
import { type PartFinder, type PartTask, routeCost } from './partFinder.js';
import type { DirectedChannel, FirstHop, Route, RouteHop, RouteRequest } from './route.js';

/** No part is less than this, if it can be helped: each costs base fees and takes one of the channels' slots. */
const leastPartMsat = 10_000n;
/** More parts than this are not searched for. */
const mostParts = 64;

/**
 * Several routes that carry the amount together, each with what those before it hold in mind.
 * `balanced`: parts of such a size that their number suffices, and greater ones where a path carries more at no
 * worse a price. `greedy`: as much as a path can carry, beginning with the whole.
 * @returns `undefined` where it did not find them.
 */
export function splitRoutes(
  finder: PartFinder,
  { task, strategy }: { task: PartTask; strategy: 'balanced' | 'greedy' },
): Route[] | undefined {
  const { request } = task;
  const freeOfFee = task.ignore?.includes('fee') ?? false;
  const parts = Math.min(request.maxParts, mostParts);
  const routes: Route[] = [];
  let left = request.amountMsat;
  let feeLeft = request.maxFeeMsat;
  let rest: RouteRequest = request;
  let tried = left;
  while (left > 0n) {
    if (routes.length === parts) return undefined;
    const least = greater(ceilDivide(left, BigInt(parts - routes.length)), smaller(leastPartMsat, left));
    const partMsat = strategy === 'balanced' ? least : greater(least, smaller(tried, left));
    const wanted = left;
    const { route } = finder.find({
      ...task,
      // Each part may take its share of what is left of the fees.
      request: {
        ...rest,
        amountMsat: partMsat,
        maxFeeMsat: freeOfFee ? feeLeft : (feeLeft * partMsat) / left,
      },
      resize: (path, found) =>
        resized(path, { found, wanted, feeLeft: freeOfFee ? undefined : feeLeft, task, strategy }),
    });
    if (route === undefined) {
      if (partMsat === least) return undefined;
      tried = partMsat / 2n;
      continue;
    }
    routes.push(route);
    left -= route.amountMsat;
    feeLeft -= route.feeMsat;
    rest = withHeld(rest, route);
  }
  return routes;
}

/** A greater amount over the path that was found, if the strategy likes it better. */
function resized(
  path: ExactPath,
  about: {
    found: Route;
    wanted: bigint;
    /** `undefined` where fees do not matter. */
    feeLeft: bigint | undefined;
    task: PartTask;
    strategy: 'balanced' | 'greedy';
  },
): Route | undefined {
  const { found, wanted, feeLeft, task, strategy } = about;
  const most = smaller(path.mostMsat(), wanted);
  let best = found;
  for (const amountMsat of sizes(found.amountMsat, most, wanted)) {
    const route = path.carry(amountMsat);
    if (typeof route === 'number') continue;
    // Within the share of the fees that belongs to the amount.
    if (feeLeft !== undefined && route.feeMsat * wanted > feeLeft * amountMsat) continue;
    const better = strategy === 'greedy' || perMsat(route, task) <= perMsat(best, task);
    if (better) best = route;
  }
  return best;
}

/** From what was found to what fits, doubling; never so that a rest is left that is too small for a part. */
function sizes(found: bigint, most: bigint, wanted: bigint): bigint[] {
  const tried: bigint[] = [];
  for (let size = found * 2n; size < most; size *= 2n) tried.push(size);
  tried.push(most);
  return tried.filter((size) => size > found && (size === wanted || wanted - size >= leastPartMsat));
}

function perMsat(route: Route, { weights }: PartTask): number {
  return routeCost(route, weights) / Number(route.amountMsat);
}

/** The request once the route's HTLCs are in their channels. */
function withHeld(request: RouteRequest, { hops }: Route): RouteRequest {
  const inFlightMsat = new Map<DirectedChannel, bigint>(request.inFlightMsat);
  for (const hop of hops.slice(1)) {
    const key: DirectedChannel = `${hop.shortChannelId}/${hop.direction}`;
    inFlightMsat.set(key, (inFlightMsat.get(key) ?? 0n) + hop.amountMsat);
  }
  const first = hops[0] as RouteHop;
  const firstHops = request.firstHops.map(
    (hop): FirstHop =>
      hop.shortChannelId === first.shortChannelId
        ? { ...hop, spendableMsat: hop.spendableMsat - first.amountMsat }
        : hop,
  );
  return { ...request, inFlightMsat, firstHops };
}

function ceilDivide(a: bigint, b: bigint): bigint {
  return (a + b - 1n) / b;
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function greater(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
