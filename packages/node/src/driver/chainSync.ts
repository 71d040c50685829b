import type { ChainBlock, ChainTip } from '@rivulet/chain';
import { ByteReader, ByteWriter, bytesToHex } from '@rivulet/core/bytes';
import { paysFunding } from '@rivulet/core/channel';
import { type Transaction, txid, txidToHex } from '@rivulet/core/tx';
import type { NodeStorage, StorageTransaction } from '@rivulet/storage';
import { channelLogger, type Logger } from '../logging/logger.js';
import { outpointKey } from '../onchain/outpointKey.js';
import type { ChannelKey, Turn, Turns } from './turns.js';

const spentKeyPrefix = 'channel-spent/';

/** What else has to see blocks, in the same transaction as the channels and after them. */
export interface BlockObserver {
  processBlock(turn: Turn, block: ChainBlock): void;
  undoBlock(turn: Turn, block: ChainTip): void;
  /** A channel's funding output is spent in the block that is processed next. */
  onSpent?(turn: Turn, spent: { key: ChannelKey; height: number }): void;
}

/** The height at which each channel's funding output was spent. */
function loadSpendHeights(storage: NodeStorage): Map<ChannelKey, number> {
  return new Map(
    storage
      .listValues(spentKeyPrefix)
      .map(({ key, value }) => [key.slice(spentKeyPrefix.length), new ByteReader(value).u32()]),
  );
}

function writeSpendHeight(tx: StorageTransaction, key: ChannelKey, height: number): void {
  tx.putValue(spentKeyPrefix + key, new ByteWriter(4).u32(height).finish());
}

/**
 * Brings blocks to the channels: confirmations and spends of their funding outputs, and the height. One
 * block is one turn: stored as seen together with what it changed.
 */
export class ChainSync {
  readonly #turns: Turns;
  readonly #observers: readonly BlockObserver[];
  readonly #logger: Logger;
  readonly #storage: NodeStorage;
  #spentAt: Map<ChannelKey, number>;
  #height: number;

  constructor({
    turns,
    storage,
    observers,
    logger,
  }: { turns: Turns; storage: NodeStorage; observers: readonly BlockObserver[]; logger: Logger }) {
    this.#turns = turns;
    this.#observers = observers;
    this.#logger = logger;
    this.#storage = storage;
    this.#spentAt = loadSpendHeights(storage);
    this.#height = storage.getTip()?.height ?? 0;
  }

  /** A turn was rolled back: what memory has of it goes. */
  rollBack(): void {
    this.#spentAt = loadSpendHeights(this.#storage);
    this.#height = this.#storage.getTip()?.height ?? 0;
  }

  /** The height of the last block that was taken. */
  get height(): number {
    return this.#height;
  }

  spendHeight(key: ChannelKey): number | undefined {
    return this.#spentAt.get(key);
  }

  /** Begins at a tip, for a node that is new. */
  begin(tip: ChainTip): Promise<void> {
    return this.#inTurn((turn) => {
      turn.tx.putBlock({ height: tip.height, hash: tip.hash });
      this.#height = tip.height;
    });
  }

  onBlock(block: ChainBlock): Promise<void> {
    return this.#inTurn((turn) => this.#apply(turn, block));
  }

  onUndo(block: ChainTip): Promise<void> {
    return this.#inTurn((turn) => this.#undo(turn, block));
  }

  #inTurn(run: (turn: Turn) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#turns.enqueue({
        run: (turn) => {
          run(turn);
          turn.afterCommit(resolve);
        },
        failed: reject,
      });
    });
  }

  #apply(turn: Turn, block: ChainBlock): void {
    turn.tx.putBlock({ height: block.height, hash: block.hash });
    this.#height = block.height;
    if (turn.channels.size > 0) this.#seeTransactions(turn, block);
    for (const observer of this.#observers) observer.processBlock(turn, block);
    for (const key of [...turn.channels.keys()]) turn.command(key, { type: 'block' });
  }

  /** Looks for funding transactions and for what spends them; one pass, however many channels there are. */
  #seeTransactions(turn: Turn, { height, transactions }: ChainBlock): void {
    const byTxid = new Map<string, ChannelKey[]>();
    const byOutpoint = new Map<string, ChannelKey>();
    for (const [key, { params, readiness }] of turn.channels) {
      const { fundingOutpoint } = params;
      byOutpoint.set(outpointKey(fundingOutpoint), key);
      if (readiness.fundingConfirmed !== undefined) continue;
      const id = bytesToHex(fundingOutpoint.txid);
      byTxid.set(id, [...(byTxid.get(id) ?? []), key]);
    }
    transactions.forEach((tx, index) => {
      const funded = byTxid.size === 0 ? [] : (byTxid.get(bytesToHex(txid(tx))) ?? []);
      for (const key of funded) this.#seeFunding(turn, { key, tx, at: { height, index } });
      for (const { outpoint } of tx.inputs) {
        const key = byOutpoint.get(outpointKey(outpoint));
        if (key !== undefined) this.#seeSpend(turn, { key, tx, height });
      }
    });
  }

  #seeFunding(
    turn: Turn,
    { key, tx, at }: { key: ChannelKey; tx: Transaction; at: { height: number; index: number } },
  ): void {
    const channel = turn.channels.get(key);
    if (channel === undefined) return;
    // Threat 1: an id alone proves no output.
    if (!paysFunding(channel.params, tx)) {
      channelLogger(this.#logger, key).error(
        { height: at.height },
        'the funding transaction does not pay what was agreed: this channel will never be used',
      );
      return;
    }
    turn.command(key, { type: 'fundingConfirmed', ...at });
  }

  #seeSpend(turn: Turn, { key, tx, height }: { key: ChannelKey; tx: Transaction; height: number }): void {
    this.#spentAt.set(key, height);
    writeSpendHeight(turn.tx, key, height);
    channelLogger(this.#logger, key).info(
      { height, txid: txidToHex(txid(tx)) },
      'the funding output of this channel is spent on chain',
    );
    turn.command(key, { type: 'fundingSpent', by: tx });
    for (const observer of this.#observers) observer.onSpent?.(turn, { key, height });
  }

  #undo(turn: Turn, block: ChainTip): void {
    turn.tx.removeBlocksFrom(block.height);
    this.#height = block.height - 1;
    for (const observer of this.#observers) observer.undoBlock(turn, block);
    for (const [key, channel] of turn.channels) {
      if (this.#spentAt.get(key) === block.height) {
        this.#spentAt.delete(key);
        turn.tx.deleteValue(spentKeyPrefix + key);
        turn.command(key, { type: 'fundingUnspent' });
      }
      if (channel.readiness.fundingConfirmed?.height === block.height) {
        turn.command(key, { type: 'fundingUnconfirmed' });
      }
    }
  }
}
