import { bytesToHex } from '@rivulet/core/bytes';
import { locatorOf } from '@rivulet/core/tower';
import type { Transaction } from '@rivulet/core/tx';

export interface RecentTransaction {
  readonly txid: Uint8Array;
  readonly height: number;
  /** Of a transaction that looks like a commitment: what a late penalty for it pays is known then. */
  readonly tx?: Transaction;
}

/** BOLT 3: Commitment Transaction: the upper bits of its sequence and locktime. */
function looksLikeCommitment({ inputs, lockTime }: Transaction): boolean {
  return inputs.length === 1 && (inputs[0]?.sequence ?? 0) >>> 24 === 0x80 && lockTime >>> 24 === 0x20;
}

/** The transactions of the last blocks by locator, for appointments that come after what they are to answer. */
export class RecentTransactions {
  readonly #blocks = new Map<number, Map<string, RecentTransaction>>();
  readonly #kept: number;

  constructor(kept: number) {
    this.#kept = kept;
  }

  add(height: number, transactions: readonly { txid: Uint8Array; tx: Transaction }[]): void {
    const found = new Map<string, RecentTransaction>();
    for (const { txid, tx } of transactions) {
      const entry = { txid, height, ...(looksLikeCommitment(tx) ? { tx } : {}) };
      found.set(bytesToHex(locatorOf(txid)), entry);
    }
    this.#blocks.set(height, found);
    this.#blocks.delete(height - this.#kept);
  }

  remove(height: number): void {
    this.#blocks.delete(height);
  }

  find(locator: Uint8Array): RecentTransaction | undefined {
    const key = bytesToHex(locator);
    for (const block of this.#blocks.values()) {
      const found = block.get(key);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}
