import { addressGroup } from './ipAddress.js';
import { PeerError } from './peerError.js';
import type { Scheduler } from './scheduler.js';
import { TokenBucket } from './tokenBucket.js';

export interface InboundLimits {
  /** Connections that came in, all together. Nodes that we have channels with do not count. */
  readonly maxInbound: number;
  /** Of those, from one address (or one /64 of IPv6). */
  readonly maxInboundPerAddress: number;
  /** Connections whose handshake or `init` is not done. One more ends the one that waits longest. */
  readonly maxPendingHandshakes: number;
  /** New connections from one address. */
  readonly inboundRate: { readonly capacity: number; readonly perSecond: number };
}

/** How many addresses' rates are remembered at most. */
const maxRemembered = 4096;

/** One connection that came in, as the gate counts it. */
export interface Admission {
  /** The peer proved its key. @returns the reason if there is no room for it. */
  authenticated(isProtected: boolean): PeerError | undefined;
  /** The exchange of `init` is done. */
  ready(): void;
  /** The connection is gone. */
  released(): void;
}

/** Keeps strangers from using up what the node needs for its channels. */
export class InboundGate {
  readonly #scheduler: Scheduler;
  readonly #limits: InboundLimits;
  readonly #rates = new Map<string, TokenBucket>();
  /** Eviction of each pending connection, the oldest first. */
  readonly #pending = new Map<object, (reason: PeerError) => void>();
  readonly #perAddress = new Map<string, number>();
  #total = 0;

  constructor(scheduler: Scheduler, limits: InboundLimits) {
    this.#scheduler = scheduler;
    this.#limits = limits;
  }

  #withinRate(group: string): boolean {
    let bucket = this.#rates.get(group);
    if (bucket === undefined) {
      if (this.#rates.size >= maxRemembered) {
        for (const [other, { full }] of this.#rates) if (full) this.#rates.delete(other);
        // Still full of addresses that all dial fast: a flood from everywhere gets no memory of its own.
        if (this.#rates.size >= maxRemembered) return false;
      }
      bucket = new TokenBucket(this.#scheduler, this.#limits.inboundRate);
      this.#rates.set(group, bucket);
    }
    return bucket.take();
  }

  /** Admits a new connection to the handshake, or not. `evict` closes it again if others press in. */
  admit(address: string, evict: (reason: PeerError) => void): Admission | undefined {
    const group = addressGroup(address);
    if (!this.#withinRate(group)) return undefined;
    const key = {};
    if (this.#pending.size >= this.#limits.maxPendingHandshakes) {
      const [oldest] = this.#pending;
      if (oldest !== undefined) {
        this.#pending.delete(oldest[0]);
        oldest[1](new PeerError('too_many_connections', 'too many handshakes at once: the oldest was ended'));
      }
    }
    this.#pending.set(key, evict);
    let counted = false;
    return {
      authenticated: (isProtected) => {
        if (isProtected) return undefined;
        const fromHere = this.#perAddress.get(group) ?? 0;
        if (this.#total >= this.#limits.maxInbound || fromHere >= this.#limits.maxInboundPerAddress) {
          return new PeerError(
            'too_many_connections',
            'this node has too many inbound connections: try later',
          );
        }
        counted = true;
        this.#total++;
        this.#perAddress.set(group, fromHere + 1);
        return undefined;
      },
      ready: () => {
        this.#pending.delete(key);
      },
      released: () => {
        this.#pending.delete(key);
        if (!counted) return;
        counted = false;
        this.#total--;
        const left = (this.#perAddress.get(group) ?? 1) - 1;
        if (left === 0) this.#perAddress.delete(group);
        else this.#perAddress.set(group, left);
      },
    };
  }
}
