import type { ChainBackend, ChainBlock, ChainTip } from '@rivulet/chain';
import { bytesToHex } from '@rivulet/core/bytes';
import { type Channel, decodeArchivedHtlc } from '@rivulet/core/channel';
import { decodePendingForward } from '@rivulet/core/forwarding';
import type { ClaimedHtlc } from '@rivulet/core/monitor';
import { decodeTransaction, encodeTransaction } from '@rivulet/core/tx';
import type { NodeStorage } from '@rivulet/storage';
import { channelLogger, type Logger } from '../logging/logger.js';
import {
  type ClaimFee,
  type PreimageEvent,
  type StoredSpentChannel,
  type SweepEvent,
  Sweeper,
} from '../onchain/index.js';
import type { Wallet } from '../wallet/index.js';
import { FeeReserve } from './feeReserve.js';
import { htlcKey } from './payments/htlcAdder.js';
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
  /** Expiries of incoming HTLCs by the outgoing ones that they were passed on as; read when it is asked for. */
  #upstream: ReadonlyMap<string, number> | undefined;
  /** Preimages that were taken from the mempool already, by their HTLCs. */
  readonly #seenUnconfirmed = new Set<string>();

  constructor(options: SettlementOptions) {
    const { backend, wallet, logger } = options;
    const reserve = new FeeReserve({ wallet, broadcast: (tx) => backend.broadcast(tx), logger });
    this.#options = options;
    this.#sweeper = new Sweeper({
      broadcast: (tx) => backend.broadcast(tx),
      estimateFeeratePerKw: (target) => backend.estimateFeeratePerKw(target),
      getMempoolSpend: (outpoint) => backend.getMempoolSpend(outpoint),
      wallet: {
        newScript: async () => wallet.newAddress().script,
        reserveFeeInputs: async (request) => {
          const inputs = reserve.reserve(request);
          if (inputs === undefined) await reserve.replenish(request);
          return inputs;
        },
        release: (id) => reserve.release(id),
      },
      deadlineOf: (channelId, htlc) => this.#deadlineOf(channelId, htlc),
      rememberFees: (fees) => this.#rememberFees(fees),
      onUnconfirmedPreimage: (event) => this.#takeUnconfirmed(event),
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
      fees: storage
        .loadClaimFees()
        .map(({ txid, index, feeratePerKw }) => ({ outpoint: { txid, index }, feeratePerKw })),
      getBlock: (height) => backend.getBlock(height),
    });
    // They are not told again before the next start: where they cannot be stored there is none.
    await this.#inTurn((turn) => {
      for (const { channel, by, height, spends } of spent) {
        if (spends === undefined)
          this.#putSpend(turn, { channelId: channel.params.channelId, tx: by, height });
      }
      this.#handle(turn, events);
    });
  }

  #inTurn(run: (turn: Turn) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#options.turns.enqueue({
        run: (turn) => {
          run(turn);
          turn.afterCommit(resolve);
        },
        failed: reject,
      });
    });
  }

  #spentChannel(channel: Channel, height: number): StoredSpentChannel | undefined {
    const { storage, signers } = this.#options;
    const { phase, params } = channel;
    if (phase.name !== 'spent') return undefined;
    const archived = storage
      .loadArchivedHtlcs(params.channelId)
      .map(({ direction, id, data }) => decodeArchivedHtlc(data, { direction, id }));
    const stored = storage.loadClosingSpends(params.channelId);
    // The spend of the funding output is among them: without any they were not stored at all.
    const spends =
      stored.length === 0
        ? undefined
        : stored.map(({ tx, height: at }) => ({ tx: decodeTransaction(tx), height: at }));
    return { channel, signer: signers.of(params.channelKeyId), archived, by: phase.by, height, spends };
  }

  /** A block spends a channel's funding output; the channel has been told. */
  onSpent(turn: Turn, { key, height }: { key: ChannelKey; height: number }): void {
    const channel = turn.channels.get(key);
    const spent = channel === undefined ? undefined : this.#spentChannel(channel, height);
    if (spent === undefined) return;
    this.#putSpend(turn, { channelId: spent.channel.params.channelId, tx: spent.by, height });
    this.#sweeper.track(spent);
  }

  #putSpend(
    turn: Turn,
    { channelId, height, tx }: Omit<Extract<SweepEvent, { type: 'spends' }>, 'type'>,
  ): void {
    turn.tx.putClosingSpend({ channelId, height, tx: encodeTransaction(tx) });
  }

  processBlock(turn: Turn, block: ChainBlock): void {
    this.#update(turn);
    this.#handle(turn, this.#sweeper.onBlock(block));
    // A preimage that one channel's close has shown may be what another one's claim needs.
    turn.afterCommit(() => this.#update(turn));
  }

  #update({ channels }: Pick<Turn, 'channels'>): void {
    for (const channel of channels.values()) {
      if (channel.phase.name === 'spent') this.#sweeper.update(channel);
    }
  }

  undoBlock(turn: Turn, block: ChainTip): void {
    turn.tx.deleteClosingSpendsFrom(block.height);
    this.#handle(turn, this.#sweeper.onUndo(block));
  }

  /** A turn was rolled back: what its block meant is told again when that comes again. */
  rollBack(height: number): void {
    this.#sweeper.rollBack(height);
  }

  /** Broadcasts what has matured. */
  publish(): Promise<void> {
    this.#upstream = undefined;
    return this.#sweeper.publish();
  }

  #deadlineOf(channelId: Uint8Array, htlc: Pick<ClaimedHtlc, 'id'>): number | undefined {
    this.#upstream ??= new Map(
      this.#options.storage.loadForwards().map(({ incomingChannelId, incomingHtlcId, data }) => {
        const reference = { channelId: incomingChannelId, htlcId: incomingHtlcId };
        const { incoming, outgoing } = decodePendingForward(data, reference);
        return [htlcKey(outgoing), incoming.cltvExpiry];
      }),
    );
    return this.#upstream.get(htlcKey({ channelId, htlcId: htlc.id }));
  }

  #rememberFees(fees: readonly ClaimFee[]): Promise<void> {
    return this.#inTurn(({ tx }) => {
      for (const { outpoint, feeratePerKw } of fees) tx.putClaimFee({ ...outpoint, feeratePerKw });
    });
  }

  /** A preimage that the mempool shows counts at once, whatever becomes of the transaction (threat 7). */
  #takeUnconfirmed(event: PreimageEvent): void {
    const { channelId, htlc } = event;
    const key = htlcKey({ channelId, htlcId: htlc.id });
    if (this.#seenUnconfirmed.has(key)) return;
    this.#seenUnconfirmed.add(key);
    this.#options.turns.enqueue({
      run: (turn) => {
        this.#options.payments.resolveOnChain(turn, event);
        turn.afterCommit(() => {
          channelLogger(this.#options.logger, channelId).warn(
            { htlcId: htlc.id, paymentHash: bytesToHex(htlc.paymentHash) },
            'an unconfirmed transaction takes an HTLC after its expiry: its preimage counts from now on',
          );
          this.#update(turn);
          void this.publish();
        });
      },
      failed: () => void this.#seenUnconfirmed.delete(key),
    });
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
        case 'spends':
          this.#putSpend(turn, event);
          break;
        case 'resolved':
          turn.command(channelKey(event.channelId), { type: 'resolved' });
          turn.tx.deleteClosingSpends(event.channelId);
          for (const outpoint of event.outpoints) turn.tx.deleteClaimFee(outpoint);
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
