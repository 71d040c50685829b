import type { BroadcastResult } from '@rivulet/chain';
import { type Transaction, txidToHex } from '@rivulet/core/tx';
import type { Logger } from '../logging/logger.js';
import type { WalletState } from './walletState.js';
import { txidOfKey, txKey } from './walletStore.js';

export interface PublisherOptions {
  readonly state: WalletState;
  readonly broadcast: (tx: Transaction) => Promise<BroadcastResult>;
  /** Parents and their child, the child last. */
  readonly broadcastPackage: (transactions: readonly Transaction[]) => Promise<readonly BroadcastResult[]>;
  readonly logger: Logger;
}

/** What came of a first attempt: in a mempool, or stored here and sent again at every block. */
export interface Published {
  readonly accepted: boolean;
  /** Why not: what the backend said, or that it could not be asked. */
  readonly message?: string | undefined;
}

/**
 * Broadcasts the transactions that the wallet made, until they confirm or something else takes their place. What
 * is to be sent is read from the wallet each time, so that a restart needs nothing: a transaction that was stored
 * and not sent is sent at the next block or start.
 */
export class WalletPublisher {
  readonly #options: PublisherOptions;
  #running: Promise<void> = Promise.resolve();
  /** What was said of each that is refused: told once. */
  readonly #told = new Map<string, string>();

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** Sends one now. Never rejects: it is sent again. */
  async publish(txid: Uint8Array): Promise<Published> {
    return this.#send(txKey(txid));
  }

  /** Why the backend did not take one the last time. */
  refusalOf(txid: Uint8Array): string | undefined {
    return this.#told.get(txKey(txid));
  }

  /** Sends again what no block has; at every block, and at a start. */
  republish(): Promise<void> {
    const { state } = this.#options;
    this.#running = this.#running.then(async () => {
      for (const [key, { height }] of [...state.ledger.transactions]) {
        if (height === undefined && state.notes.has(key)) await this.#send(key);
      }
      for (const key of this.#told.keys()) if (!state.ledger.transactions.has(key)) this.#told.delete(key);
    });
    return this.#running;
  }

  async #send(key: string): Promise<Published> {
    const { state, broadcast, broadcastPackage, logger } = this.#options;
    const tx = state.ledger.transactions.get(key)?.tx;
    if (tx === undefined) return { accepted: false, message: 'it was replaced' };
    const fields = { txid: txidToHex(txidOfKey(key)) };
    try {
      let result = await broadcast(tx);
      // A child pays for parents that are too cheap to be in a mempool by themselves.
      if (!result.accepted && (result.code === 'missing_inputs' || result.code === 'insufficient_fee')) {
        const parents = this.#parentsOf(key);
        if (parents.length > 0) result = (await broadcastPackage([...parents, tx])).at(-1) ?? result;
      }
      if (result.accepted || result.code === 'already_confirmed' || result.code === 'already_known') {
        this.#told.delete(key);
        return { accepted: true };
      }
      if (this.#told.get(key) !== result.message) {
        this.#told.set(key, result.message);
        logger.warn(
          { ...fields, code: result.code },
          `a transaction of the wallet was refused: ${result.message}`,
        );
      }
      return { accepted: false, message: result.message };
    } catch (error) {
      logger.warn(
        { ...fields, err: error },
        'a transaction of the wallet was not sent; it is at the next block',
      );
      return { accepted: false, message: 'the chain backend could not be asked' };
    }
  }

  /** Unconfirmed ones that we have, parents before their children. */
  #parentsOf(key: string): Transaction[] {
    const { ledger } = this.#options.state;
    const ordered: Transaction[] = [];
    const seen = new Set<string>([key]);
    const visit = (one: string): void => {
      for (const { outpoint } of ledger.transactions.get(one)?.tx.inputs ?? []) {
        const parent = txKey(outpoint.txid);
        const stored = ledger.transactions.get(parent);
        if (stored === undefined || stored.height !== undefined || seen.has(parent)) continue;
        seen.add(parent);
        visit(parent);
        ordered.push(stored.tx);
      }
    };
    visit(key);
    return ordered;
  }
}
