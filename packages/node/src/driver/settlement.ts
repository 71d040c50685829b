import type { ChainBackend, ChainBlock, ChainTip } from '@rivulet/chain';
import { type Channel, decodeArchivedHtlc } from '@rivulet/core/channel';
import type { NodeStorage } from '@rivulet/storage';
import type { Logger } from '../logging/logger.js';
import { type SpentChannel, type SweepEvent, Sweeper } from '../onchain/index.js';
import type { Wallet } from '../wallet/index.js';
import { FeeReserve } from './feeReserve.js';
import type { Payments } from './payments/payments.js';
import type { Signers } from './signers.js';
import { type ChannelKey, channelKey, type Turn, type Turns } from './turns.js';

export interface SettlementOptions {
  readonly turns: Turns;
  readonly storage: NodeStorage;
  readonly backend: ChainBackend;
  readonly wallet: Wallet;
  readonly signers: Signers;
  readonly payments: Payments;
  readonly logger: Logger;
}

/** Brings home what is ours of channels that were closed on chain, and tells their payments what became of them. */
export class Settlement {
  readonly #options: SettlementOptions;
  readonly #sweeper: Sweeper;

  constructor(options: SettlementOptions) {
    const { backend, wallet, logger } = options;
    const reserve = new FeeReserve({ wallet, broadcast: (tx) => backend.broadcast(tx), logger });
    this.#options = options;
    this.#sweeper = new Sweeper({
      broadcast: (tx) => backend.broadcast(tx),
      estimateFeeratePerKw: (target) => backend.estimateFeeratePerKw(target),
      wallet: {
        newScript: async () => wallet.newAddress().script,
        reserveFeeInputs: async (request) => {
          const inputs = reserve.reserve(request);
          if (inputs === undefined) await reserve.replenish(request);
          return inputs;
        },
        release: (id) => reserve.release(id),
      },
      logger,
    });
  }

  /** After a start, before blocks come: takes up the channels whose spends were seen. */
  async restore(spentAt: (key: ChannelKey) => number | undefined): Promise<void> {
    const { turns, backend, storage } = this.#options;
    const tip = storage.getTip();
    const spent = [...turns.channels].flatMap(([key, channel]) => {
      const height = spentAt(key);
      return height === undefined ? [] : (this.#spentChannel(channel, height) ?? []);
    });
    if (tip === undefined || spent.length === 0) return;
    const events = await this.#sweeper.restore(spent, {
      upToHeight: tip.height,
      getBlock: (height) => backend.getBlock(height),
    });
    // They are not told again before the next start: where they cannot be stored there is none.
    await new Promise<void>((resolve, reject) => {
      turns.enqueue({
        run: (turn) => {
          this.#handle(turn, events);
          turn.afterCommit(resolve);
        },
        failed: reject,
      });
    });
  }

  #spentChannel(channel: Channel, height: number): SpentChannel | undefined {
    const { phase, params } = channel;
    if (phase.name !== 'spent') return undefined;
    const archived = this.#options.storage
      .loadArchivedHtlcs(params.channelId)
      .map(({ direction, id, data }) => decodeArchivedHtlc(data, { direction, id }));
    const signer = this.#options.signers.of(params.channelKeyId);
    return { channel, signer, archived, by: phase.by, height };
  }

  /** A block spends a channel's funding output; the channel has been told. */
  onSpent(turn: Turn, { key, height }: { key: ChannelKey; height: number }): void {
    const channel = turn.channels.get(key);
    const spent = channel === undefined ? undefined : this.#spentChannel(channel, height);
    if (spent !== undefined) this.#sweeper.track(spent);
  }

  processBlock(turn: Turn, block: ChainBlock): void {
    this.#update(turn);
    this.#handle(turn, this.#sweeper.onBlock(block));
    // A preimage that one channel's close has shown may be what another one's claim needs.
    turn.afterCommit(() => this.#update(turn));
  }

  #update({ channels }: Turn): void {
    for (const channel of channels.values()) {
      if (channel.phase.name === 'spent') this.#sweeper.update(channel);
    }
  }

  undoBlock(turn: Turn, block: ChainTip): void {
    this.#handle(turn, this.#sweeper.onUndo(block));
  }

  /** A turn was rolled back: what its block meant is told again when that comes again. */
  rollBack(height: number): void {
    this.#sweeper.rollBack(height);
  }

  /** Broadcasts what has matured. */
  publish(): Promise<void> {
    return this.#sweeper.publish();
  }

  #handle(turn: Turn, events: readonly SweepEvent[]): void {
    for (const event of events) {
      switch (event.type) {
        case 'preimage':
          this.#options.payments.resolveOnChain(turn, event);
          break;
        case 'htlcFailed':
          this.#options.payments.resolveOnChain(turn, { channelId: event.channelId, htlc: event.htlc });
          break;
        case 'resolved':
          turn.command(channelKey(event.channelId), { type: 'resolved' });
          break;
        case 'spendUndone':
          // The channel hears of it from the block's undoing itself.
          break;
        default:
          event satisfies never;
      }
    }
  }
}
