import type { ChainBackend, ChainBlock, ChainTip } from '@rivulet/chain';
import { bytesToHex, equalBytes } from '@rivulet/core/bytes';
import {
  buildLocalCommitment,
  type Channel,
  type ChannelEvent,
  decodeArchivedHtlc,
} from '@rivulet/core/channel';
import { decodePendingForward } from '@rivulet/core/forwarding';
import type { ClaimedHtlc } from '@rivulet/core/monitor';
import {
  decodeTransaction,
  encodeTransaction,
  type Outpoint,
  type Transaction,
  txid as txidOf,
} from '@rivulet/core/tx';
import type { NodeStorage } from '@rivulet/storage';
import { channelLogger, type Logger } from '../logging/logger.js';
import {
  AnchorBumper,
  type ClaimFee,
  type PreimageEvent,
  type StoredSpentChannel,
  type SweepEvent,
  Sweeper,
  type SweepPolicy,
  type SweepWallet,
} from '../onchain/index.js';
import type { CancelTimer, Scheduler } from '../peers/index.js';
import type { Wallet } from '../wallet/index.js';
import type { CheckedState } from './checkedState.js';
import { FeeReserve, type ReserveStatus } from './feeReserve.js';
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
  /** Whether a channel's commitment must not be published now: its data may be old, or its funding is taken back. */
  readonly isWithheld?: (channel: Channel) => boolean;
  /** With it, the mempool is searched for preimages between blocks too, as long as HTLCs of ours have expired. */
  readonly scheduler?: Scheduler;
  readonly sweepPolicy?: Partial<SweepPolicy>;
}

/** How often the mempool is searched for preimages while an expired HTLC of ours is unspent. */
const watchIntervalMs = 15_000;

/** Brings home what is ours of channels that were closed on chain, and tells their payments what became of them. */
export class Settlement {
  readonly #options: SettlementOptions;
  readonly #sweeper: Sweeper;
  readonly #bumper: AnchorBumper;
  readonly #reserve: FeeReserve;
  /** Coins that pay fees on chain, and scripts for what comes back: for a watchtower beside this node as well. */
  readonly sweepWallet: SweepWallet;
  #cancelWatch: CancelTimer | undefined;
  #stopped = false;
  /** Expiries of incoming HTLCs by the outgoing ones that they were passed on as; read when it is asked for. */
  #upstream: ReadonlyMap<string, number> | undefined;
  /** Preimages that were taken from the mempool already, by their HTLCs. */
  readonly #seenUnconfirmed = new Set<string>();

  constructor(options: SettlementOptions) {
    const { backend, wallet, logger } = options;
    const reserve = new FeeReserve({ wallet, broadcast: (tx) => backend.broadcast(tx), logger });
    this.#reserve = reserve;
    this.#options = options;
    this.sweepWallet = {
      newScript: async ({ forFees = false } = {}) =>
        wallet.newAddress(forFees ? { type: 'p2wpkh', change: true } : {}).script,
      reserveFeeInputs: async (request) => {
        const inputs = reserve.reserve(request);
        if (inputs === undefined) await reserve.replenish(request);
        return inputs;
      },
      release: (id) => reserve.release(id),
    };
    const common = {
      estimateFeeratePerKw: (target: number) => backend.estimateFeeratePerKw(target),
      wallet: this.sweepWallet,
      deadlineOf: (channelId: Uint8Array, htlc: ClaimedHtlc) => this.#deadlineOf(channelId, htlc),
      rememberFees: (fees: readonly ClaimFee[]) => this.#rememberFees(fees),
      policy: options.sweepPolicy ?? {},
      logger,
    };
    this.#bumper = new AnchorBumper({ ...common, backend });
    this.#sweeper = new Sweeper({
      ...common,
      broadcast: (tx) => backend.broadcast(tx),
      getMempoolSpend: (outpoint) => backend.getMempoolSpend(outpoint),
      onUnconfirmedPreimage: (event) => this.#takeUnconfirmed(event),
    });
  }

  /** After a start, before blocks come: takes up the channels whose spends were seen. */
  async restore(spentAt: (key: ChannelKey) => number | undefined): Promise<void> {
    const { turns, backend, storage } = this.#options;
    const tip = storage.getTip();
    const fees = storage
      .loadClaimFees()
      .map(({ txid, index, feeratePerKw }) => ({ outpoint: { txid, index }, feeratePerKw }));
    this.#bumper.restore(fees);
    const spent = [...turns.channels].flatMap(([key, channel]) => {
      const height = spentAt(key);
      return height === undefined ? [] : (this.#spentChannel(channel, height) ?? []);
    });
    if (tip === undefined || spent.length === 0) return;
    const events = await this.#sweeper.restore(spent, {
      upToHeight: tip.height,
      fees,
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
    const undone = this.#closingSpendsFrom(turn, block.height);
    turn.tx.deleteClosingSpendsFrom(block.height);
    this.#handle(turn, this.#sweeper.onUndo(block));
    this.#freeCoins(turn, undone);
  }

  /** The ids, in hex, of what spent outputs of closed channels from this height on: HTLC transactions above all. */
  #closingSpendsFrom({ channels, tx }: Turn, from: number): string[] {
    return [...channels.values()]
      .filter(({ phase }) => phase.name === 'spent')
      .flatMap(({ params }) => tx.loadClosingSpends(params.channelId))
      .filter(({ height }) => height >= from)
      .map((spend) => bytesToHex(txidOf(decodeTransaction(spend.tx))));
  }

  /**
   * What claims outputs of a commitment, or of an HTLC transaction, whose block was undone is built anew: the coins that paid for the old
   * transaction, which mempools may have dropped, must be there for it. One that is mined after all wins. What
   * spends coins of the wallet alone is no claim but a payment, or a channel's funding: it stays, and so does a
   * claim that one of those builds on. Who is told that it was not made makes it again.
   */
  #freeCoins(turn: Turn, undone: readonly string[]): void {
    const { signers, wallet } = this.#options;
    const { ledger } = wallet.state;
    const claimed = new Set([
      ...[...turn.channels.values()].flatMap((channel) => commitmentsOf(channel, signers).map(bytesToHex)),
      ...undone,
    ]);
    if (claimed.size === 0) return;
    const isClaim = (tx: Transaction | undefined): boolean =>
      tx?.inputs.some(
        ({ outpoint }) => claimed.has(bytesToHex(outpoint.txid)) && ledger.output(outpoint) === undefined,
      ) === true;
    for (const { tx, txid, height } of wallet.transactions()) {
      if (height !== undefined || !isClaim(tx)) continue;
      const all = ledger.withDescendants(bytesToHex(txid));
      if (all.every((key) => isClaim(ledger.transactions.get(key)?.tx))) wallet.abandon(txid, turn.tx);
    }
  }

  /** A turn was rolled back: what its block meant is told again when that comes again. */
  rollBack(height: number): void {
    this.#sweeper.rollBack(height);
  }

  /** A channel that has failed needs its commitment paid for at once, not at the next block. */
  onEvent(turn: Turn, channel: Channel, event: ChannelEvent): void {
    if (event.type !== 'phaseChanged' || channel.phase.name !== 'failed') return;
    turn.afterCommit(() => void this.publish());
  }

  /** Broadcasts what has matured, and pays for commitments that wait. Never rejects. */
  async publish(): Promise<void> {
    try {
      await this.#publish();
    } catch (err) {
      this.#options.logger.warn({ err }, 'claims on chain were not published; the next block tries again');
    }
  }

  async #publish(): Promise<void> {
    const { turns, storage, signers, isWithheld } = this.#options;
    this.#upstream = undefined;
    await this.#sweeper.publish();
    const failed = [...turns.channels.values()].filter(
      (channel) => channel.phase.name === 'failed' && !channel.dataLost && isWithheld?.(channel) !== true,
    );
    const waiting = failed.map((channel) => ({ channel, signer: signers.of(channel.params.channelKeyId) }));
    await this.#bumper.publish(waiting, storage.getTip()?.height ?? 0);
    this.#watchAgain(this.#sweeper.contestedOffers);
    this.#reserve.check(turns.channels.values());
  }

  /** Outputs of closed channels that could be taken by us now and that no block has a spend of. */
  get openClaims(): CheckedState['openClaims'] {
    return this.#sweeper.openClaims;
  }

  /** What should be kept in confirmed coins for fees on chain, and what is. */
  get reserveStatus(): ReserveStatus {
    return this.#reserve.status(this.#options.turns.channels.values());
  }

  /** Between blocks too: a preimage may be in mempools for moments only. */
  #watchAgain(outputs: number): void {
    this.#cancelWatch?.();
    this.#cancelWatch = undefined;
    if (outputs === 0 || this.#stopped) return;
    this.#cancelWatch = this.#options.scheduler?.schedule(watchIntervalMs, () => {
      void this.#sweeper.watchMempool().then((count) => this.#watchAgain(count));
    });
  }

  /** Ends the search of the mempool. */
  stop(): void {
    this.#cancelWatch?.();
    this.#cancelWatch = undefined;
    this.#stopped = true;
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
          if (event.reason === 'uneconomic') this.#logUneconomic(turn, event);
          this.#options.payments.resolveOnChain(turn, { channelId: event.channelId, htlc: event.htlc });
          break;
        case 'spends':
          this.#putSpend(turn, event);
          break;
        case 'resolved':
          this.#forget(turn, event);
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

  #logUneconomic(turn: Turn, { channelId, htlc }: Extract<SweepEvent, { type: 'htlcFailed' }>): void {
    turn.afterCommit(() =>
      channelLogger(this.#options.logger, channelId).warn(
        { htlcId: htlc.id, amountMsat: htlc.amountMsat },
        'an expired HTLC is too small to be claimed on chain: its payment counts as failed, though its receiver ' +
          'can still take this amount',
      ),
    );
  }

  /** Nothing of what was stored for the claims of a channel is needed any more. */
  #forget(
    turn: Turn,
    { channelId, outpoints }: { channelId: Uint8Array; outpoints: readonly Outpoint[] },
  ): void {
    turn.tx.deleteClosingSpends(channelId);
    const commitments = commitmentsOf(turn.channels.get(channelKey(channelId)), this.#options.signers);
    const anchors = turn.tx
      .loadClaimFees()
      .filter(({ txid }) => commitments.some((id) => equalBytes(id, txid)));
    for (const outpoint of [...outpoints, ...anchors]) turn.tx.deleteClaimFee(outpoint);
  }
}

/** The commitment that was confirmed, and ours, which may have waited beside it: both can have had children. */
function commitmentsOf(channel: Channel | undefined, signers: Signers): Uint8Array[] {
  const name = channel?.phase.name;
  if (channel === undefined || (name !== 'spent' && name !== 'failed')) return [];
  const ids = channel.phase.name === 'spent' ? [txidOf(channel.phase.by)] : [];
  try {
    const signer = signers.of(channel.params.channelKeyId);
    ids.push(buildLocalCommitment(channel, { signer, number: channel.localCommit.number }).txid);
  } catch {
    // One that cannot be built was never paid for.
  }
  return ids;
}
