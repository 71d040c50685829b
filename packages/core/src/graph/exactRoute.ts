import {
  atCapacity,
  atCltvDelta,
  atFeeBase,
  atFeeProportional,
  atMaximum,
  atMinimum,
} from './channelTable.js';
import type { FailureCosts } from './failureCosts.js';
import type { FirstHop, Route, RouteHop, RouteRequest } from './route.js';
import type { Path } from './routeSearch.js';
import { directionOf, type SearchSpace } from './searchSpace.js';

/** A directed channel of a path with its limits, exactly. */
interface ExactEdge {
  readonly directed: number;
  readonly minimumMsat: bigint;
  /** Per HTLC, and what is left of the capacity. */
  readonly maximumMsat: bigint;
  readonly feeBaseMsat: bigint;
  readonly feeProportionalMillionths: bigint;
  readonly cltvDelta: number;
}

const million = 1_000_000n;

/** BOLT 7, HTLC fees: fee_base_msat + ( amount_to_forward * fee_proportional_millionths / 1000000 ). */
function feeOf(edge: ExactEdge, amountMsat: bigint): bigint {
  return edge.feeBaseMsat + (amountMsat * edge.feeProportionalMillionths) / million;
}

/** A path with exact arithmetic: what the search found in floating point is only believed after this. */
export class ExactPath {
  readonly #space: SearchSpace;
  readonly #failures: FailureCosts;
  readonly #request: RouteRequest;
  readonly #firstHop: FirstHop;
  readonly #edges: readonly ExactEdge[];

  constructor(path: Path, from: { space: SearchSpace; failures: FailureCosts; request: RouteRequest }) {
    this.#space = from.space;
    this.#failures = from.failures;
    this.#request = from.request;
    this.#firstHop = from.request.firstHops[path.firstHop] as FirstHop;
    this.#edges = path.edges.map((directed) => exactEdge(from.space, directed));
  }

  /**
   * The route that carries the amount to the destination.
   * @returns the directed channel that does not take its amount, or -1 for the first hop, where it does not fit.
   */
  carry(amountMsat: bigint): Route | number {
    const edges = this.#edges;
    const { finalCltvDelta } = this.#request;
    const hops: RouteHop[] = [];
    let carried = amountMsat;
    let cltvDelta = finalCltvDelta;
    let penalty = 0;
    for (let i = edges.length - 1; i >= 0; i--) {
      const edge = edges[i] as ExactEdge;
      if (carried < edge.minimumMsat || carried > edge.maximumMsat) return edge.directed;
      const { shortChannelId, direction, to } = this.#space.edgeAt(edge.directed);
      hops.push({ nodeId: this.#space.idOf(to), shortChannelId, direction, amountMsat: carried, cltvDelta });
      penalty += this.#failures.penalty(edge.directed, Number(carried));
      carried += feeOf(edge, carried);
      cltvDelta += edge.cltvDelta;
    }
    const { nodeId, shortChannelId, minimumMsat, spendableMsat } = this.#firstHop;
    if (carried < minimumMsat || carried > spendableMsat) return -1;
    const direction = directionOf(this.#request.source, nodeId);
    hops.push({ nodeId, shortChannelId, direction, amountMsat: carried, cltvDelta });
    return {
      hops: hops.reverse(),
      amountMsat,
      feeMsat: carried - amountMsat,
      probability: Math.max(Math.exp(-penalty), Number.MIN_VALUE),
    };
  }

  /** About the most that can arrive over the path, less by a few msat where fees round. */
  mostMsat(): bigint {
    let most = this.#firstHop.spendableMsat;
    for (const edge of this.#edges) {
      // The fee comes off; the division rounds the fee up here, so that it is never short.
      most = ((most - edge.feeBaseMsat) * million) / (million + edge.feeProportionalMillionths);
      if (most > edge.maximumMsat) most = edge.maximumMsat;
      if (most <= 0n) return 0n;
    }
    return most;
  }
}

function exactEdge(space: SearchSpace, directed: number): ExactEdge {
  const { records, at } = space.recordOf(directed);
  const left = (records[at + atCapacity] as number) - space.heldIn(directed);
  return {
    directed,
    minimumMsat: BigInt(records[at + atMinimum] as number),
    maximumMsat: BigInt(Math.max(0, Math.floor(Math.min(records[at + atMaximum] as number, left)))),
    feeBaseMsat: BigInt(records[at + atFeeBase] as number),
    feeProportionalMillionths: BigInt(records[at + atFeeProportional] as number),
    cltvDelta: records[at + atCltvDelta] as number,
  };
}
