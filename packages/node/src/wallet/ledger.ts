import type { Outpoint, Transaction } from '@rivulet/core/tx';
import type { Keyring, WalletKey } from './keyring.js';
import { type StoredTransaction, txidOfKey, txKey } from './walletStore.js';

/** An output of the wallet that no known transaction spends. */
export interface WalletCoin {
  readonly outpoint: Outpoint;
  readonly valueSat: bigint;
  readonly key: WalletKey;
  /** Absent while unconfirmed. */
  readonly height?: number | undefined;
  readonly coinbase: boolean;
}

export const outpointKey = ({ txid, index }: Outpoint): string => `${txKey(txid)}:${index}`;

export function isCoinbase(tx: Transaction): boolean {
  const [input] = tx.inputs;
  return (
    tx.inputs.length === 1 &&
    input!.outpoint.index === 0xffff_ffff &&
    input!.outpoint.txid.every((b) => b === 0)
  );
}

/**
 * The wallet's transactions and what follows from them. In memory only: the wallet stores the transactions.
 * Keys are txids in hex, internal byte order.
 */
export class Ledger {
  readonly transactions = new Map<string, StoredTransaction>();
  readonly #keyring: Keyring;
  /** Our outputs, spent or not, by outpoint. */
  readonly #outputs = new Map<string, { coin: WalletCoin; key: string }>();
  /** Which wallet transaction spends an outpoint, ours or foreign. */
  readonly #spenders = new Map<string, string>();

  constructor(keyring: Keyring) {
    this.#keyring = keyring;
  }

  /** Whether a transaction pays to the wallet or spends from it. */
  concerns(tx: Transaction): boolean {
    return (
      tx.outputs.some(({ script }) => this.#keyring.find(script) !== undefined) ||
      tx.inputs.some(({ outpoint }) => this.#outputs.has(outpointKey(outpoint)))
    );
  }

  /** Adds a transaction, or gives a known one its height. */
  put(key: string, stored: StoredTransaction): void {
    this.transactions.set(key, stored);
    const { tx, height, outputs } = stored;
    const txid = txidOfKey(key);
    const coinbase = isCoinbase(tx);
    // All rewards have the same input, which is none: they do not conflict.
    if (!coinbase) for (const { outpoint } of tx.inputs) this.#spenders.set(outpointKey(outpoint), key);
    tx.outputs.forEach(({ valueSat, script }, index) => {
      const walletKey = this.#keyring.find(script);
      if (walletKey === undefined || outputs?.includes(index) === false) return;
      const outpoint = { txid, index };
      const coin = { outpoint, valueSat, key: walletKey, height, coinbase };
      this.#outputs.set(outpointKey(outpoint), { coin, key });
    });
  }

  /** Removes a transaction. Those that spend its outputs must be gone before. */
  remove(key: string): void {
    const stored = this.transactions.get(key);
    if (stored === undefined) return;
    this.transactions.delete(key);
    for (const { outpoint } of stored.tx.inputs) {
      const spent = outpointKey(outpoint);
      if (this.#spenders.get(spent) === key) this.#spenders.delete(spent);
    }
    stored.tx.outputs.forEach((_, index) => {
      this.#outputs.delete(`${key}:${index}`);
    });
  }

  /** A transaction and all of the wallet's that build on it, the last ones first. */
  withDescendants(key: string): string[] {
    const found: string[] = [];
    const visit = (one: string): void => {
      const outputs = this.transactions.get(one)?.tx.outputs ?? [];
      for (let index = 0; index < outputs.length; index++) {
        const spender = this.#spenders.get(`${one}:${index}`);
        if (spender !== undefined && !found.includes(spender)) visit(spender);
      }
      if (!found.includes(one)) found.push(one);
    };
    visit(key);
    return found;
  }

  /** The unconfirmed transactions that one needs, without itself. */
  ancestors(key: string): Set<string> {
    const found = new Set<string>();
    const visit = (one: string): void => {
      for (const { outpoint } of this.transactions.get(one)?.tx.inputs ?? []) {
        const parent = txKey(outpoint.txid);
        const stored = this.transactions.get(parent);
        if (stored === undefined || stored.height !== undefined || found.has(parent)) continue;
        found.add(parent);
        visit(parent);
      }
    };
    visit(key);
    return found;
  }

  /** The wallet's transactions that spend one of these outpoints. */
  spenders(outpoints: readonly string[]): Set<string> {
    const found = new Set<string>();
    for (const outpoint of outpoints) {
      const spender = this.#spenders.get(outpoint);
      if (spender !== undefined) found.add(spender);
    }
    return found;
  }

  output(outpoint: Outpoint): WalletCoin | undefined {
    return this.#outputs.get(outpointKey(outpoint))?.coin;
  }

  /** Whether all inputs of a wallet transaction were ours, so that nobody else can replace it. */
  isOwn(key: string): boolean {
    const inputs = this.transactions.get(key)?.tx.inputs ?? [];
    return inputs.length > 0 && inputs.every(({ outpoint }) => this.#outputs.has(outpointKey(outpoint)));
  }

  /** The unspent ones. */
  coins(): WalletCoin[] {
    const coins: WalletCoin[] = [];
    for (const [outpoint, { coin }] of this.#outputs) if (!this.#spenders.has(outpoint)) coins.push(coin);
    return coins;
  }
}
