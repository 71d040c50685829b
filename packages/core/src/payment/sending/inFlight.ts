import type { DirectedChannel, Route } from '../../graph/index.js';
import { directedChannel } from './sending.js';

/** What payments of ours hold in channels on the way; our own channel, the first, counts for itself. */
export class InFlight {
  readonly #msat = new Map<DirectedChannel, bigint>();

  /** For `SendingContext.inFlightMsat`. */
  get msat(): ReadonlyMap<DirectedChannel, bigint> {
    return this.#msat;
  }

  add(route: Route): void {
    this.#count(route, 1n);
  }

  remove(route: Route): void {
    this.#count(route, -1n);
  }

  clear(): void {
    this.#msat.clear();
  }

  #count({ hops }: Route, sign: 1n | -1n): void {
    for (const hop of hops.slice(1)) {
      const key = directedChannel(hop);
      const sumMsat = (this.#msat.get(key) ?? 0n) + sign * hop.amountMsat;
      if (sumMsat > 0n) this.#msat.set(key, sumMsat);
      else this.#msat.delete(key);
    }
  }
}
