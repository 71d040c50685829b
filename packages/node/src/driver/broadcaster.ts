import type { ChainBackend } from '@rivulet/chain';
import { bytesToHex } from '@rivulet/core/bytes';
import { type Transaction, txid, txidToHex } from '@rivulet/core/tx';
import type { Logger } from '../logging/logger.js';

/**
 * Publishes transactions, and again at every block until they are confirmed or taken back: a backend that
 * was away, or a mempool that dropped one, must not cost us a close.
 */
export class Broadcaster {
  readonly #backend: ChainBackend;
  readonly #logger: Logger;
  readonly #pending = new Map<string, { tx: Transaction; purpose: string }>();
  #running: Promise<void> = Promise.resolve();

  constructor({ backend, logger }: { backend: ChainBackend; logger: Logger }) {
    this.#backend = backend;
    this.#logger = logger;
  }

  publish(tx: Transaction, purpose: string): void {
    const id = bytesToHex(txid(tx));
    this.#pending.set(id, { tx, purpose });
    this.#running = this.#running.then(() => this.#send(id));
  }

  /** A block confirmed these: nothing is left to do for them. */
  confirmed(txids: Iterable<Uint8Array>): void {
    for (const id of txids) this.#pending.delete(bytesToHex(id));
  }

  /** Sends again what no block has yet. */
  rebroadcast(): void {
    for (const id of this.#pending.keys()) this.#running = this.#running.then(() => this.#send(id));
  }

  /** Resolves when nothing is being sent. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async #send(id: string): Promise<void> {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    const { tx, purpose } = pending;
    const fields = { txid: txidToHex(txid(tx)), purpose };
    try {
      const result = await this.#backend.broadcast(tx);
      if (result.accepted) {
        this.#logger.info(fields, 'transaction published');
        return;
      }
      if (result.code === 'already_confirmed') {
        this.#pending.delete(id);
        return;
      }
      this.#logger.warn({ ...fields, code: result.code }, `transaction refused: ${result.message}`);
      // Spent by another transaction or never valid: sending it again cannot help.
      if (result.code === 'invalid' || result.code === 'missing_inputs') this.#pending.delete(id);
    } catch (error) {
      this.#logger.warn(
        { ...fields, err: error },
        'transaction not published; it is sent again at the next block',
      );
    }
  }
}
