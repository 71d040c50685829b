import { bytesToHex, RivuletError } from '@rivulet/core/bytes';
import { usableAddresses } from '@rivulet/core/gossip';
import {
  type DirectedChannel,
  findRoutes,
  LiquidityEstimates,
  type LiquidityObservation,
  NetworkGraph,
  type RouteRequest,
  type RouteResult,
} from '@rivulet/core/graph';
import type { SlowHop } from '@rivulet/core/payment';
import { decodeMessage } from '@rivulet/core/wire';
import type { GossipStore, NodeStorage } from '@rivulet/storage';
import type { Logger } from '../logging/logger.js';
import type { CancelTimer, Scheduler } from '../peers/index.js';
import { formatNodeAddress } from './nodeAddresses.js';
import type { Turns } from './turns.js';

export interface KnownNetworkOptions {
  readonly storage: NodeStorage;
  readonly gossipStore: GossipStore;
  readonly turns: Turns;
  readonly scheduler: Scheduler;
  readonly now: () => number;
  readonly logger: Logger;
}

const liquidityKey = 'liquidity-estimates';
const saveIntervalMs = 600_000;
/** How long others are preferred to a node that was slow, and of how many such nodes. */
const slowForMs = 3_600_000;
const maxSlow = 100;

/** The network as gossip tells it, and what our own payments taught of its liquidity. */
export class KnownNetwork {
  readonly graph = new NetworkGraph();
  readonly #options: KnownNetworkOptions;
  readonly #liquidity: LiquidityEstimates;
  readonly #slowUntilMs = new Map<string, number>();
  #learned = false;
  #cancel: CancelTimer | undefined;

  constructor(options: KnownNetworkOptions) {
    this.#options = options;
    this.#liquidity = readEstimates(options);
  }

  /** Routes around nodes that were slow; through them only where there is no other way. */
  findRoutes(request: RouteRequest): RouteResult {
    const slow = this.#slowNodes(bytesToHex(request.destination));
    if (slow.length > 0) {
      const excludedNodes = new Set([...request.excludedNodes, ...slow]);
      const found = this.#find({ ...request, excludedNodes });
      if (found.type === 'found') return found;
    }
    return this.#find(request);
  }

  #find(request: RouteRequest): RouteResult {
    return findRoutes({ graph: this.graph, liquidity: this.#liquidity, request });
  }

  #slowNodes(destination: string): string[] {
    const now = this.#options.now();
    for (const [nodeId, untilMs] of this.#slowUntilMs) {
      if (untilMs <= now) this.#slowUntilMs.delete(nodeId);
    }
    return [...this.#slowUntilMs.keys()].filter((nodeId) => nodeId !== destination);
  }

  /** A node held an HTLC for long: others are preferred to it for a while. */
  avoid({ nodeId, heldMs }: SlowHop): void {
    const id = bytesToHex(nodeId);
    this.#options.logger.info({ nodeId: id, heldMs }, 'a node on the way was slow');
    // The oldest goes first: a set that only grows would be at the mercy of others.
    this.#slowUntilMs.delete(id);
    this.#slowUntilMs.set(id, this.#options.now() + slowForMs);
    for (const oldest of this.#slowUntilMs.keys()) {
      if (this.#slowUntilMs.size <= maxSlow) break;
      this.#slowUntilMs.delete(oldest);
    }
  }

  /** Takes what an attempt taught, with what else we hold in channels. It is an estimate: what a rolled back turn leaves of it does no harm. */
  observe(
    observations: readonly LiquidityObservation[],
    inFlightMsat: ReadonlyMap<DirectedChannel, bigint>,
  ): void {
    const nowMs = this.#options.now();
    for (const observation of observations) {
      const channel = this.graph.getChannel(observation.shortChannelId);
      const capacity = channel === undefined ? {} : { capacityMsat: channel.capacitySat * 1000n };
      const held = inFlightMsat.get(`${observation.shortChannelId}/${observation.direction}`) ?? 0n;
      this.#liquidity.observe(observation, { nowMs, inFlightMsat: held, ...capacity });
      this.#learned = true;
    }
  }

  /** Where a node says that it can be reached, as text. */
  addressesOf(nodeId: Uint8Array): string[] {
    const announcement = this.#options.gossipStore.getNode(bytesToHex(nodeId));
    const message = announcement === undefined ? undefined : decodeMessage(announcement);
    return message?.type === 'node_announcement' ? usableAddresses(message).map(formatNodeAddress) : [];
  }

  /** Begins to store what is learned, now and then. */
  start(): void {
    this.#cancel = this.#options.scheduler.schedule(saveIntervalMs, () => {
      this.start();
      this.save();
    });
  }

  stop(): void {
    this.#cancel?.();
    this.save();
  }

  /** Stores what was learned since the last time, with the next turn. */
  save(): void {
    if (!this.#learned) return;
    this.#learned = false;
    this.#options.turns.enqueue({
      run: (turn) => turn.tx.putValue(liquidityKey, this.#liquidity.encode()),
      failed: () => {
        this.#learned = true;
      },
    });
  }
}

/** What was stored; nothing where that cannot be read: it is learned again. */
function readEstimates({ storage, logger }: KnownNetworkOptions): LiquidityEstimates {
  const stored = storage.getValue(liquidityKey);
  if (stored === undefined) return new LiquidityEstimates();
  try {
    return LiquidityEstimates.decode(stored);
  } catch (error) {
    if (!(error instanceof RivuletError)) throw error;
    logger.warn({ err: error }, 'what was learned of liquidity cannot be read and is learned anew');
    return new LiquidityEstimates();
  }
}
