import type { BroadcastRejection, ChainBackend } from '@rivulet/chain';
import { bytesToHex } from '@rivulet/core/bytes';
import { type Transaction, txid, txidToHex } from '@rivulet/core/tx';
import { BLOCKS_KEPT } from '@rivulet/storage';
import type { Logger } from '../logging/logger.js';
import { outpointKey } from '../onchain/outpointKey.js';

interface PendingTransaction {
  readonly tx: Transaction;
  readonly purpose: string;
  /** Why the backend did not take it the last time: told once. */
  refused?: BroadcastRejection['code'];
  /** How often in a row it was called what it can hardly cease to be, and how many blocks it waits for that. */
  hopeless?: number;
  waitBlocks?: number;
}

/** What only a server that is wrong would take back: asked again ever more rarely, and at least once a day. */
const hopelessCodes: ReadonlySet<BroadcastRejection['code']> = new Set(['invalid', 'already_confirmed']);
const longestWaitBlocks = 127;

/**
 * Publishes transactions, and again at every block until they are confirmed or taken back: a backend that
 * was away, or a mempool that dropped one, must not cost us a close.
 */
export class Broadcaster {
  readonly #backend: ChainBackend;
  readonly #logger: Logger;
  readonly #pending = new Map<string, PendingTransaction>();
  /** What blocks have settled, and at which height: a reorganisation may bring it back. */
  readonly #over = new Map<string, PendingTransaction & { readonly height: number }>();
  #height = 0;
  #isWithheld: (tx: Transaction) => boolean = () => false;
  #running: Promise<void> = Promise.resolve();

  constructor({ backend, logger }: { backend: ChainBackend; logger: Logger }) {
    this.#backend = backend;
    this.#logger = logger;
  }

  /** What is not to be published as long as this says so of it; it is kept for when that changes. */
  withhold(isWithheld: (tx: Transaction) => boolean): void {
    this.#isWithheld = isWithheld;
  }

  /** A transaction that can never be mined any more, and what spends it. */
  forget(id: Uint8Array): void {
    const name = bytesToHex(id);
    for (const known of [this.#pending, this.#over]) {
      for (const [key, { tx }] of known) {
        const spends = tx.inputs.some(({ outpoint }) => bytesToHex(outpoint.txid) === name);
        if (key === name || spends) known.delete(key);
      }
    }
  }

  /** Resolves when the first attempt is over, whatever came of it; it never rejects. */
  publish(tx: Transaction, purpose: string): Promise<void> {
    const id = bytesToHex(txid(tx));
    this.#pending.set(id, { tx, purpose });
    this.#running = this.#running.then(() => this.#send(id));
    return this.#running;
  }

  /** A block has these: nothing is left to do for them, and nothing can be done for what they conflict with. */
  confirmed({ height, transactions }: { height: number; transactions: readonly Transaction[] }): void {
    this.#height = height;
    for (const [id, over] of this.#over) if (over.height <= height - BLOCKS_KEPT) this.#over.delete(id);
    if (this.#pending.size === 0) return;
    const spenders = new Map<string, string[]>();
    for (const [id, { tx }] of this.#pending) {
      for (const { outpoint } of tx.inputs) {
        const key = outpointKey(outpoint);
        spenders.set(key, [...(spenders.get(key) ?? []), id]);
      }
    }
    for (const { inputs } of transactions) {
      for (const { outpoint } of inputs) {
        for (const id of spenders.get(outpointKey(outpoint)) ?? []) this.#settle(id, height);
      }
    }
  }

  #settle(id: string, height: number): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    this.#over.set(id, { tx: pending.tx, purpose: pending.purpose, height });
  }

  /**
   * The block of this height is undone. The mempool need not have taken its transactions back: what was ours is
   * sent again until another block has it, or what conflicts with it.
   */
  undone(height: number): void {
    for (const [id, { tx, purpose, height: at }] of this.#over) {
      if (at < height) continue;
      this.#over.delete(id);
      this.#pending.set(id, { tx, purpose });
    }
  }

  /** Sends again what no block has yet. */
  rebroadcast(): void {
    for (const [id, pending] of this.#pending) {
      if ((pending.waitBlocks ?? 0) > 0) pending.waitBlocks = (pending.waitBlocks ?? 0) - 1;
      else this.#running = this.#running.then(() => this.#send(id));
    }
  }

  /** Resolves when nothing is being sent. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async #send(id: string): Promise<void> {
    const pending = this.#pending.get(id);
    if (pending === undefined || this.#isWithheld(pending.tx)) return;
    const { tx, purpose } = pending;
    const fields = { txid: txidToHex(txid(tx)), purpose };
    try {
      const result = await this.#backend.broadcast(tx);
      if (result.accepted) {
        this.#logger.info(fields, 'transaction published');
        delete pending.hopeless;
        return;
      }
      // Blocks alone settle it: a server that is wrong, or lies, must not have a close forgotten.
      if (hopelessCodes.has(result.code)) {
        pending.hopeless = (pending.hopeless ?? 0) + 1;
        pending.waitBlocks = Math.min(2 ** (pending.hopeless - 1) - 1, longestWaitBlocks);
      }
      const level = pending.refused === result.code ? 'debug' : 'warn';
      pending.refused = result.code;
      this.#logger[level]({ ...fields, code: result.code }, `transaction refused: ${result.message}`);
    } catch (error) {
      this.#logger.warn(
        { ...fields, err: error },
        'transaction not published; it is sent again at the next block',
      );
    }
  }
}
