import type { Network } from '@rivulet/chain';
import { type Transaction, txid as txidOf } from '@rivulet/core/tx';
import type { NodeStorage, StorageTransaction } from '@rivulet/storage';
import { gapLimit, type Keychain, Keyring, keychains, type WalletKey } from './keyring.js';
import { Ledger, outpointKey, type WalletCoin } from './ledger.js';
import type { TxNote } from './notes.js';
import { WalletError } from './walletError.js';
import { loadWallet, txKey, type WalletTip, walletWrites } from './walletStore.js';
import type { WalletOptions, WalletTransaction } from './walletTypes.js';

const coinbaseMaturity = 100;

/**
 * What the wallet's operations share: the stored facts as memory has them, and what follows from them. Every
 * change goes through `change`, so that after a failure memory is what storage has. Each operation checks
 * everything before its first write: a caller may catch the error and commit what else the transaction has.
 */
export class WalletState {
  readonly network: Network;
  readonly keyring: Keyring;
  ledger: Ledger;
  /** The number of addresses given out or used, by keychain. */
  next: number[] = [];
  tip: WalletTip | undefined;
  /** Funded transactions by txid. */
  reserved = new Map<string, Transaction>();
  reservedOutpoints = new Map<string, string>();
  /** Coins that no selection takes, with the reason, by outpoint. */
  locks = new Map<string, string>();
  /** What is known of transactions that this wallet has made, by txid. */
  notes = new Map<string, TxNote>();
  /** Coins that pay fees of claims on chain, by claim: in memory alone, for claims are built anew at a start. */
  readonly #held = new Map<string, ReadonlySet<string>>();
  readonly #storage: NodeStorage;

  constructor({ seed, network, storage }: WalletOptions) {
    this.network = network;
    this.#storage = storage;
    this.keyring = new Keyring(seed, network);
    this.ledger = new Ledger(this.keyring);
    const owner = `${network} ${this.fingerprint}`;
    const { owner: stored } = loadWallet(storage);
    if (stored === undefined) storage.transaction((tx) => walletWrites.owner(tx, owner));
    else if (stored !== owner) {
      throw new WalletError(
        'wrong_seed',
        `this data folder has the wallet ${stored}, but the seed given is that of ${owner}: use the folder or the words that belong together`,
      );
    }
    this.reload();
  }

  /** Forgets what is in memory and reads the stored state again. */
  reload(): void {
    const { next, tip, transactions, reserved, locks, notes, partial } = loadWallet(this.#storage);
    this.next = next;
    this.tip = tip;
    this.#watchAhead();
    this.ledger = new Ledger(this.keyring);
    for (const [key, stored] of transactions) {
      const outputs = partial.get(key);
      this.ledger.put(key, outputs === undefined ? stored : { ...stored, outputs });
    }
    this.reserved = reserved;
    this.locks = locks;
    this.notes = notes;
    this.#indexReserved();
  }

  /** Runs a change in the given transaction or a new one. After a failure, memory is what storage has. */
  change<T>(outer: StorageTransaction | undefined, body: (tx: StorageTransaction) => T): T {
    try {
      return outer === undefined ? this.#storage.transaction(body) : body(outer);
    } catch (error) {
      this.reload();
      throw error;
    }
  }

  get storage(): NodeStorage {
    return this.#storage;
  }

  /** Eight hex digits: the BIP 32 fingerprint of the master key. */
  get fingerprint(): string {
    return this.keyring.fingerprint.toString(16).padStart(8, '0');
  }

  /** Says whether any script is watched that was not before. */
  #watchAhead(): boolean {
    let grown = false;
    for (const keychain of keychains) {
      if (this.keyring.watch(keychain, (this.next[keychain.number] ?? 0) + gapLimit)) grown = true;
    }
    return grown;
  }

  /** The first key of a keychain that was not given out. */
  nextKey(keychain: Keychain): WalletKey {
    return this.keyring.key(keychain, this.next[keychain.number] ?? 0);
  }

  /** Notes that the first `count` addresses of a keychain are used. Says whether scripts were added. */
  advance(keychain: Keychain, count: number): boolean {
    if ((this.next[keychain.number] ?? 0) >= count) return false;
    this.next[keychain.number] = count;
    return this.#watchAhead();
  }

  /** The same for all outputs of a transaction. */
  advanceOver(tx: Transaction): boolean {
    let grown = false;
    for (const { script } of tx.outputs) {
      const used = this.keyring.find(script);
      if (used !== undefined && this.advance(used.keychain, used.index + 1)) grown = true;
    }
    return grown;
  }

  #indexReserved(): void {
    this.reservedOutpoints = new Map(
      [...this.reserved].flatMap(([key, { inputs }]) =>
        inputs.map(({ outpoint }): [string, string] => [outpointKey(outpoint), key]),
      ),
    );
  }

  reserve(storage: StorageTransaction, key: string, tx: Transaction): void {
    walletWrites.reserve(storage, key, tx);
    this.reserved.set(key, tx);
    this.#indexReserved();
  }

  dropReservation(storage: StorageTransaction, key: string): boolean {
    if (!this.reserved.delete(key)) return false;
    walletWrites.release(storage, key);
    this.#indexReserved();
    return true;
  }

  putNote(storage: StorageTransaction, key: string, note: TxNote): void {
    walletWrites.note(storage, key, note);
    this.notes.set(key, note);
  }

  isOurs(script: Uint8Array): boolean {
    return this.keyring.find(script) !== undefined;
  }

  confirmations({ height }: { readonly height?: number | undefined }): number {
    return height === undefined ? 0 : (this.tip?.height ?? height) - height + 1;
  }

  isMature(coin: WalletCoin): boolean {
    // Consensus: a block may spend a reward of 100 blocks before it; the next block is one above the tip.
    return !coin.coinbase || this.confirmations(coin) >= coinbaseMaturity;
  }

  hold(id: string, outpoints: readonly string[]): void {
    if (outpoints.length === 0) this.#held.delete(id);
    else this.#held.set(id, new Set(outpoints));
  }

  /** What a coin is held for. */
  heldFor(key: string): string | undefined {
    for (const [id, keys] of this.#held) if (keys.has(key)) return id;
    return undefined;
  }

  /** Whether something has a claim on a coin: a transaction in the making, a claim on chain, or its owner's lock. */
  isTaken(key: string): boolean {
    return this.reservedOutpoints.has(key) || this.locks.has(key) || this.heldFor(key) !== undefined;
  }

  /** What may be spent, in a fixed order: mature, not taken, and confirmed or change of our own. */
  spendableCoins(options: { confirmedOnly?: boolean } = {}): WalletCoin[] {
    const coins = this.ledger.coins().filter((coin) => {
      if (this.isTaken(outpointKey(coin.outpoint)) || !this.isMature(coin)) return false;
      if (coin.height !== undefined) return true;
      return options.confirmedOnly !== true && this.isOwnChain(txKey(coin.outpoint.txid));
    });
    const order = (coin: WalletCoin): string => outpointKey(coin.outpoint);
    return coins.sort((a, b) => (order(a) < order(b) ? -1 : 1));
  }

  /**
   * Whether a transaction and all its unconfirmed parents spend nothing but our own coins. One that replaces
   * another does not count: the other may confirm as well, and what builds on it would be lost.
   */
  isOwnChain(key: string): boolean {
    const stored = this.ledger.transactions.get(key);
    if (stored === undefined || stored.height !== undefined) return true;
    if (!this.ledger.isOwn(key) || this.notes.get(key)?.replaces !== undefined) return false;
    return stored.tx.inputs.every(({ outpoint }) => this.isOwnChain(txKey(outpoint.txid)));
  }

  describe(key: string): WalletTransaction {
    const { tx, height } = this.ledger.transactions.get(key)!;
    return { txid: txidOf(tx), tx, height, netSat: this.netSat(tx) };
  }

  /** Received minus spent. */
  netSat(tx: Transaction): bigint {
    let netSat = 0n;
    for (const { valueSat, script } of tx.outputs) if (this.isOurs(script)) netSat += valueSat;
    for (const { outpoint } of tx.inputs) netSat -= this.ledger.output(outpoint)?.valueSat ?? 0n;
    return netSat;
  }

  /** The fee of a transaction all of whose inputs are ours; `undefined` for others. */
  feeSat(tx: Transaction): bigint | undefined {
    let feeSat = 0n;
    for (const { outpoint } of tx.inputs) {
      const spent = this.ledger.output(outpoint);
      if (spent === undefined) return undefined;
      feeSat += spent.valueSat;
    }
    for (const { valueSat } of tx.outputs) feeSat -= valueSat;
    return feeSat;
  }
}
