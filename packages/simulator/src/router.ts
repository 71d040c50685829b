import { bytesToHex } from '@rivulet/core/bytes';
import {
  type DirectedChannel,
  LiquidityEstimates,
  type LiquidityObservation,
  type NetworkGraph,
  type RouteFinder,
  type RouteRequest,
  type RouteResult,
} from '@rivulet/core/graph';
import type { SlowHop } from '@rivulet/core/payment';

const slowForMs = 3_600_000;

/**
 * What one node knows of the network: the graph, which all share, as gossip has reached everybody, and what
 * its own payments taught.
 */
export class Router {
  readonly #graph: NetworkGraph;
  readonly #finder: RouteFinder;
  readonly #learns: boolean;
  readonly #liquidity = new LiquidityEstimates();
  readonly #slowUntilMs = new Map<string, number>();
  #observations = 0;

  /** @param given `learns`: without it every payment begins as the first one did. */
  constructor(given: { graph: NetworkGraph; finder: RouteFinder; learns: boolean }) {
    this.#graph = given.graph;
    this.#finder = given.finder;
    this.#learns = given.learns;
  }

  get observations(): number {
    return this.#observations;
  }

  /** Routes around nodes that were slow; through them only where there is no other way. */
  findRoutes(request: RouteRequest): RouteResult {
    const destination = bytesToHex(request.destination);
    const slow = [...this.#slowUntilMs].filter(([id, until]) => until > request.nowMs && id !== destination);
    if (slow.length > 0) {
      const excludedNodes = new Set([...request.excludedNodes, ...slow.map(([id]) => id)]);
      const found = this.#find({ ...request, excludedNodes });
      if (found.type === 'found') return found;
    }
    return this.#find(request);
  }

  #find(request: RouteRequest): RouteResult {
    return this.#finder.findRoutes({ liquidity: this.#liquidity, request });
  }

  avoid({ nodeId }: SlowHop, nowMs: number): void {
    if (this.#learns) this.#slowUntilMs.set(bytesToHex(nodeId), nowMs + slowForMs);
  }

  observe(
    observations: readonly LiquidityObservation[],
    { inFlightMsat, nowMs }: { inFlightMsat: ReadonlyMap<DirectedChannel, bigint>; nowMs: number },
  ): void {
    this.#observations += observations.length;
    if (!this.#learns) return;
    for (const observation of observations) {
      const channel = this.#graph.getChannel(observation.shortChannelId);
      const capacity = channel === undefined ? {} : { capacityMsat: channel.capacitySat * 1000n };
      const held = inFlightMsat.get(`${observation.shortChannelId}/${observation.direction}`) ?? 0n;
      this.#liquidity.observe(observation, { nowMs, inFlightMsat: held, ...capacity });
    }
  }
}
