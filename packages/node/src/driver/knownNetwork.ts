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

/** The network as gossip tells it, and what our own payments taught of its liquidity. */
export class KnownNetwork {
  readonly graph = new NetworkGraph();
  readonly #options: KnownNetworkOptions;
  readonly #liquidity: LiquidityEstimates;
  #learned = false;
  #cancel: CancelTimer | undefined;

  constructor(options: KnownNetworkOptions) {
    this.#options = options;
    this.#liquidity = readEstimates(options);
  }

  findRoutes(request: RouteRequest): RouteResult {
    return findRoutes({ graph: this.graph, liquidity: this.#liquidity, request });
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
