import type { Network } from '@rivulet/chain';
import { bytesToHex, equalBytes } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import {
  type Outpoint,
  p2wpkhClaim,
  type SweepInput,
  type Transaction,
  type TxOutput,
  txid as txidOf,
  txidToHex,
} from '@rivulet/core/tx';
import type { NodeStorage, StorageTransaction } from '@rivulet/storage';
import { buildFunding, buildSweepAll, type FundingPlan } from './funding.js';
import { type AddressType, gapLimit, type Keychain, Keyring, keychainOf, keychains } from './keyring.js';
import { isCoinbase, Ledger, outpointKey, type WalletCoin } from './ledger.js';
import { signInputs } from './signing.js';
import { WalletError } from './walletError.js';
import { loadWallet, txKey, type WalletTip, walletWrites } from './walletStore.js';

export interface WalletOptions {
  /** 64 bytes: of wordsToSeed. */
  readonly seed: Uint8Array;
  readonly network: Network;
  readonly storage: NodeStorage;
}

/** What the wallet needs of a block. `hash` is in internal byte order. */
export interface WalletBlock {
  readonly height: number;
  readonly hash: Uint8Array;
  readonly transactions: readonly Transaction[];
}

export interface WalletAddress {
  readonly address: string;
  readonly script: Uint8Array;
  /** BIP 32 path from the seed. */
  readonly path: string;
}

/** Each coin is in exactly one of these. */
export interface WalletBalance {
  /** In blocks, and free to be spent. */
  readonly confirmedSat: bigint;
  /** In transactions that no block has yet. */
  readonly unconfirmedSat: bigint;
  /** Block rewards that are not 100 blocks deep. */
  readonly immatureSat: bigint;
  /** Inputs of transactions that were funded and are neither broadcast nor released. */
  readonly reservedSat: bigint;
}

/** A transaction that touches the wallet. */
export interface WalletTransaction {
  readonly txid: Uint8Array;
  readonly tx: Transaction;
  /** Absent while unconfirmed. */
  readonly height?: number | undefined;
  /** What it changed: received minus spent. */
  readonly netSat: bigint;
}

/** A transaction that the wallet has signed and whose inputs it keeps aside. Not broadcast. */
export interface FundedTransaction {
  readonly tx: Transaction;
  readonly txid: Uint8Array;
  readonly inputs: readonly {
    readonly outpoint: Outpoint;
    readonly valueSat: bigint;
    readonly script: Uint8Array;
  }[];
  /** The output that comes back to the wallet; absent when there is none. */
  readonly changeIndex?: number | undefined;
  readonly feeSat: bigint;
}

const coinbaseMaturity = 100;

/**
 * Opens the wallet of a seed in a node's storage; makes it when it is not there.
 * @throws WalletError `wrong_seed` when the storage has the wallet of another seed or network.
 */
export function openWallet(options: WalletOptions): Wallet {
  return new Wallet(options);
}

/**
 * The on-chain wallet. Synchronous: blocks are fed to it in order. Methods that change something take the
 * storage transaction they shall be part of, or make one of their own. If that outer transaction is rolled back
 * afterwards, call `reload`.
 */
export class Wallet {
  readonly network: Network;
  readonly #storage: NodeStorage;
  readonly #keyring: Keyring;
  #ledger: Ledger;
  #next: number[] = [];
  #tip: WalletTip | undefined;
  /** Funded transactions by txid. */
  #reserved = new Map<string, Transaction>();
  #reservedOutpoints = new Set<string>();
  /** Coins that pay fees of claims on chain, by claim: in memory alone, for claims are built anew at a start. */
  readonly #held = new Map<string, ReadonlySet<string>>();

  constructor({ seed, network, storage }: WalletOptions) {
    this.network = network;
    this.#storage = storage;
    this.#keyring = new Keyring(seed, network);
    this.#ledger = new Ledger(this.#keyring);
    const owner = `${network} ${this.#keyring.fingerprint.toString(16).padStart(8, '0')}`;
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
    const { next, tip, transactions, reserved } = loadWallet(this.#storage);
    this.#next = next;
    this.#tip = tip;
    this.#watchAhead();
    this.#ledger = new Ledger(this.#keyring);
    for (const [key, stored] of transactions) this.#ledger.put(key, stored);
    this.#reserved = reserved;
    this.#indexReserved();
  }

  /** Runs a change in the given transaction or a new one. After a failure, memory is what storage has. */
  #change<T>(outer: StorageTransaction | undefined, body: (tx: StorageTransaction) => T): T {
    try {
      return outer === undefined ? this.#storage.transaction(body) : body(outer);
    } catch (error) {
      this.reload();
      throw error;
    }
  }

  /** Says whether any script is watched that was not before. */
  #watchAhead(): boolean {
    let grown = false;
    for (const keychain of keychains) {
      if (this.#keyring.watch(keychain, (this.#next[keychain.number] ?? 0) + gapLimit)) grown = true;
    }
    return grown;
  }

  #indexReserved(): void {
    this.#reservedOutpoints = new Set(
      [...this.#reserved.values()].flatMap(({ inputs }) =>
        inputs.map(({ outpoint }) => outpointKey(outpoint)),
      ),
    );
  }

  /** The last block that was processed. */
  get tip(): WalletTip | undefined {
    return this.#tip;
  }

  /** Every script that would be noticed: those given out, and the gap after them. */
  scripts(): Uint8Array[] {
    return this.#keyring.scripts();
  }

  isOurs(script: Uint8Array): boolean {
    return this.#keyring.find(script) !== undefined;
  }

  /** The wallet as output descriptors (BIP 380): receiving and change, taproot and version 0. */
  descriptors(): string[] {
    return this.#keyring.descriptors();
  }

  /** An address that was never given out before. Taproot and for receiving unless asked otherwise. */
  newAddress(options: { change?: boolean; type?: AddressType; tx?: StorageTransaction } = {}): WalletAddress {
    const keychain = keychainOf(options.type ?? 'p2tr', options.change ?? false);
    return this.#change(options.tx, (tx) => {
      const key = this.#keyring.key(keychain, this.#next[keychain.number] ?? 0);
      this.#advance(keychain, key.index + 1);
      walletWrites.next(tx, this.#next);
      return { address: this.#keyring.address(key), script: key.script, path: this.#keyring.path(key) };
    });
  }

  /** Says whether scripts were added. */
  #advance(keychain: Keychain, count: number): boolean {
    if ((this.#next[keychain.number] ?? 0) >= count) return false;
    this.#next[keychain.number] = count;
    return this.#watchAhead();
  }

  /**
   * Takes in the block after the tip (the first one may have any height). One that was processed already
   * changes nothing.
   * @returns the wallet's transactions in it.
   * @throws WalletError `block_order` for a gap, or another block at the tip's height: undo that one first.
   */
  processBlock(block: WalletBlock, outer?: StorageTransaction): WalletTransaction[] {
    const tip = this.#tip;
    if (tip !== undefined && block.height <= tip.height) {
      if (block.height === tip.height && tip.hash !== undefined && !equalBytes(tip.hash, block.hash)) {
        throw new WalletError('block_order', `another block ${block.height} was processed: undo it first`);
      }
      return [];
    }
    if (tip !== undefined && block.height !== tip.height + 1) {
      throw new WalletError(
        'block_order',
        `block ${block.height} cannot follow block ${tip.height}: blocks between them are missing`,
      );
    }
    return this.#change(outer, (tx) => {
      const found = this.#takeIn(block, tx);
      this.#tip = { height: block.height, hash: block.hash };
      walletWrites.tip(tx, this.#tip);
      return found.map((key) => this.#describe(key));
    });
  }

  #takeIn(block: WalletBlock, storage: StorageTransaction): string[] {
    const found: string[] = [];
    const before = [...this.#next];
    // A payment to an address in the gap moves the gap on, and an earlier transaction may pay into the new part.
    for (let again = true; again; ) {
      again = false;
      for (const tx of block.transactions) {
        // Before it is put: from then on the inputs that they share count as spent by this one.
        this.#dropConflicts(tx, storage);
        if (!this.#ledger.concerns(tx)) continue;
        const key = txKey(txidOf(tx));
        if (this.#ledger.transactions.get(key)?.height === undefined) {
          found.push(key);
          const stored = { tx, height: block.height };
          this.#ledger.put(key, stored);
          walletWrites.transaction(storage, key, stored);
        }
        for (const { script } of tx.outputs) {
          const used = this.#keyring.find(script);
          if (used !== undefined && this.#advance(used.keychain, used.index + 1)) again = true;
        }
      }
    }
    if (this.#next.some((count, index) => count !== before[index])) walletWrites.next(storage, this.#next);
    return found;
  }

  /** What a confirmed transaction makes impossible or needless: other spends, and reservations, of its inputs. */
  #dropConflicts(tx: Transaction, storage: StorageTransaction): void {
    const inputs = tx.inputs.map(({ outpoint }) => outpointKey(outpoint));
    const spenders = this.#ledger.spenders(inputs);
    if (spenders.size > 0) {
      spenders.delete(txKey(txidOf(tx)));
      for (const conflict of spenders) this.#removeWithDescendants(conflict, storage);
    }
    if (!inputs.some((input) => this.#reservedOutpoints.has(input))) return;
    for (const [key, reserved] of this.#reserved) {
      if (reserved.inputs.some(({ outpoint }) => inputs.includes(outpointKey(outpoint)))) {
        this.#dropReservation(key, storage);
      }
    }
  }

  #removeWithDescendants(key: string, storage: StorageTransaction): void {
    for (const one of this.#ledger.withDescendants(key)) {
      this.#ledger.remove(one);
      walletWrites.removeTransaction(storage, one);
    }
  }

  #dropReservation(key: string, storage: StorageTransaction): boolean {
    if (!this.#reserved.delete(key)) return false;
    walletWrites.release(storage, key);
    this.#indexReserved();
    return true;
  }

  /**
   * Takes back the tip's block: its transactions wait for a block again, and its reward is gone.
   * A block above the tip, which was never processed, changes nothing.
   * @throws WalletError `block_order` for a block below the tip, or another one at its height.
   */
  undoBlock(block: { readonly height: number; readonly hash: Uint8Array }, outer?: StorageTransaction): void {
    const tip = this.#tip;
    if (tip === undefined || block.height > tip.height) return;
    if (block.height < tip.height || (tip.hash !== undefined && !equalBytes(tip.hash, block.hash))) {
      throw new WalletError('block_order', `block ${block.height} is not the tip: undo from the top`);
    }
    this.#change(outer, (storage) => {
      for (const [key, { tx, height }] of [...this.#ledger.transactions]) {
        if (height !== block.height) continue;
        if (isCoinbase(tx)) this.#removeWithDescendants(key, storage);
        else if (this.#ledger.transactions.has(key)) {
          this.#ledger.put(key, { tx });
          walletWrites.transaction(storage, key, { tx });
        }
      }
      this.#tip = { height: block.height - 1 };
      walletWrites.tip(storage, this.#tip);
    });
  }

  /**
   * Notes a transaction that this node has broadcast: its inputs are spent from now on, its outputs to the wallet
   * are unconfirmed, and a reservation for it has served its purpose. What does not concern the wallet is ignored.
   */
  addUnconfirmed(tx: Transaction, outer?: StorageTransaction): void {
    const key = txKey(txidOf(tx));
    if (this.#ledger.transactions.has(key) || !this.#ledger.concerns(tx)) return;
    this.#change(outer, (storage) => {
      // A replacement of our own, with a higher fee.
      for (const conflict of this.#ledger.spenders(tx.inputs.map(({ outpoint }) => outpointKey(outpoint)))) {
        if (this.#ledger.transactions.get(conflict)?.height !== undefined) {
          throw new WalletError('unknown_input', `an input of ${txidToHex(txidOf(tx))} is spent in a block`);
        }
        this.#removeWithDescendants(conflict, storage);
      }
      this.#ledger.put(key, { tx });
      walletWrites.transaction(storage, key, { tx });
      this.#dropReservation(key, storage);
      const before = [...this.#next];
      for (const { script } of tx.outputs) {
        const used = this.#keyring.find(script);
        if (used !== undefined) this.#advance(used.keychain, used.index + 1);
      }
      if (this.#next.some((count, index) => count !== before[index])) walletWrites.next(storage, this.#next);
    });
  }

  /**
   * Forgets an unconfirmed transaction that will never confirm, and those that build on it: its inputs are free
   * again. Only for one that the network has refused or lost. Says whether it was known.
   */
  abandon(txid: Uint8Array, outer?: StorageTransaction): boolean {
    const key = txKey(txid);
    const stored = this.#ledger.transactions.get(key);
    if (stored === undefined || stored.height !== undefined) return false;
    this.#change(outer, (storage) => this.#removeWithDescendants(key, storage));
    return true;
  }

  #confirmations(coin: WalletCoin): number {
    return coin.height === undefined ? 0 : (this.#tip?.height ?? coin.height) - coin.height + 1;
  }

  #isMature(coin: WalletCoin): boolean {
    // Consensus: a block may spend a reward of 100 blocks before it; the next block is one above the tip.
    return !coin.coinbase || this.#confirmations(coin) >= coinbaseMaturity;
  }

  balance(): WalletBalance {
    const balance = { confirmedSat: 0n, unconfirmedSat: 0n, immatureSat: 0n, reservedSat: 0n };
    for (const coin of this.#ledger.coins()) {
      if (this.#reservedOutpoints.has(outpointKey(coin.outpoint))) balance.reservedSat += coin.valueSat;
      else if (coin.height === undefined) balance.unconfirmedSat += coin.valueSat;
      else if (!this.#isMature(coin)) balance.immatureSat += coin.valueSat;
      else balance.confirmedSat += coin.valueSat;
    }
    return balance;
  }

  /** What `fund` may use, in a fixed order: mature, not reserved, and confirmed or change of our own. */
  spendableCoins(options: { confirmedOnly?: boolean } = {}): WalletCoin[] {
    const coins = this.#ledger.coins().filter((coin) => {
      const key = outpointKey(coin.outpoint);
      if (this.#reservedOutpoints.has(key) || this.#isHeld(key) || !this.#isMature(coin)) return false;
      if (coin.height !== undefined) return true;
      return options.confirmedOnly !== true && this.#isOwnChain(txKey(coin.outpoint.txid));
    });
    const order = (coin: WalletCoin): string => outpointKey(coin.outpoint);
    return coins.sort((a, b) => (order(a) < order(b) ? -1 : 1));
  }

  /** Keeps coins from every other use, until it is said again with the same id; with no coins they are free. */
  hold(id: string, outpoints: readonly Outpoint[]): void {
    if (outpoints.length === 0) this.#held.delete(id);
    else this.#held.set(id, new Set(outpoints.map(outpointKey)));
  }

  #isHeld(key: string): boolean {
    for (const keys of this.#held.values()) if (keys.has(key)) return true;
    return false;
  }

  /** Whether a transaction and all its unconfirmed parents spend nothing but our own coins. */
  #isOwnChain(key: string): boolean {
    const stored = this.#ledger.transactions.get(key);
    if (stored === undefined || stored.height !== undefined) return true;
    if (!this.#ledger.isOwn(key)) return false;
    return stored.tx.inputs.every(({ outpoint }) => this.#isOwnChain(txKey(outpoint.txid)));
  }

  #describe(key: string): WalletTransaction {
    const { tx, height } = this.#ledger.transactions.get(key)!;
    let netSat = 0n;
    for (const { valueSat, script } of tx.outputs) if (this.isOurs(script)) netSat += valueSat;
    for (const { outpoint } of tx.inputs) netSat -= this.#ledger.output(outpoint)?.valueSat ?? 0n;
    return { txid: txidOf(tx), tx, height, netSat };
  }

  /** Unconfirmed ones first, then from the newest block down. */
  transactions(): WalletTransaction[] {
    const height = (one: WalletTransaction): number => one.height ?? Number.MAX_SAFE_INTEGER;
    return [...this.#ledger.transactions.keys()]
      .map((key) => this.#describe(key))
      .sort((a, b) => height(b) - height(a));
  }

  getTransaction(txid: Uint8Array): WalletTransaction | undefined {
    const key = txKey(txid);
    return this.#ledger.transactions.has(key) ? this.#describe(key) : undefined;
  }

  /**
   * Builds and signs a transaction with these outputs, and keeps its inputs aside until it is broadcast
   * (addUnconfirmed), seen in a block, or given up (release). All inputs are segwit, so that its txid is final.
   * @throws WalletError `insufficient_funds` with details, `feerate_too_low`, `feerate_absurd`, `dust_output`,
   *   `bad_output`, `too_many_inputs`
   */
  fund(request: {
    readonly outputs: readonly TxOutput[];
    readonly feeratePerKw: number;
    /** Leaves unconfirmed change aside. */
    readonly confirmedOnly?: boolean;
    readonly tx?: StorageTransaction;
  }): FundedTransaction {
    const keychain = keychainOf('p2tr', true);
    const change = this.#keyring.key(keychain, this.#next[keychain.number] ?? 0);
    const plan = buildFunding({
      outputs: request.outputs,
      feeratePerKw: request.feeratePerKw,
      coins: this.spendableCoins({ confirmedOnly: request.confirmedOnly ?? false }),
      changeScript: change.script,
      lockTime: this.#tip?.height ?? 0,
    });
    return this.#reserve(plan, request.tx, () => {
      if (plan.changeIndex !== undefined) this.#advance(keychain, change.index + 1);
    });
  }

  /** Builds and signs a transaction that sends all that can be spent to one script; reserved as by `fund`. */
  sweepAll(request: {
    readonly script: Uint8Array;
    readonly feeratePerKw: number;
    readonly tx?: StorageTransaction;
  }): FundedTransaction {
    const plan = buildSweepAll({
      script: request.script,
      feeratePerKw: request.feeratePerKw,
      coins: this.spendableCoins(),
      lockTime: this.#tip?.height ?? 0,
    });
    return this.#reserve(plan, request.tx, () => {});
  }

  #reserve(plan: FundingPlan, outer: StorageTransaction | undefined, advance: () => void): FundedTransaction {
    const inputs = plan.coins.map(({ outpoint, valueSat, key }) => ({
      outpoint,
      valueSat,
      script: key.script,
    }));
    const tx = signInputs({ keyring: this.#keyring, tx: plan.tx, spent: inputs });
    const txid = txidOf(tx);
    return this.#change(outer, (storage) => {
      const key = txKey(txid);
      advance();
      walletWrites.next(storage, this.#next);
      walletWrites.reserve(storage, key, tx);
      this.#reserved.set(key, tx);
      this.#indexReserved();
      return { tx, txid, inputs, changeIndex: plan.changeIndex, feeSat: plan.feeSat };
    });
  }

  /** The transactions that were funded and are neither broadcast nor released. */
  reservations(): Transaction[] {
    return [...this.#reserved.values()];
  }

  /**
   * Gives the inputs of a funded transaction back. Only for one that nobody else can broadcast any more, or
   * that was never handed out. Says whether it was reserved.
   */
  release(txid: Uint8Array, outer?: StorageTransaction): boolean {
    const key = txKey(txid);
    if (!this.#reserved.has(key)) return false;
    return this.#change(outer, (storage) => this.#dropReservation(key, storage));
  }

  /**
   * Signs the wallet's inputs of a transaction that has others too. `spent` are the outputs that all inputs
   * spend, in order.
   * @throws WalletError `unknown_input` when none is the wallet's.
   */
  signInputs(tx: Transaction, spent: readonly TxOutput[]): Transaction {
    return signInputs({ keyring: this.#keyring, tx, spent });
  }

  /**
   * Confirmed version 0 (P2WPKH) coins as inputs for core's sweeps and HTLC packages, which sign with ECDSA: what
   * pays the fee of an anchor or of HTLC transactions. Taproot coins cannot; keep some coins of this kind
   * (`newAddress({ type: 'p2wpkh' })`). Not reserved: broadcast, and note with addUnconfirmed, in the same turn.
   */
  feeInputs(): SweepInput[] {
    return this.spendableCoins({ confirmedOnly: true })
      .filter(({ key }) => key.keychain.type === 'p2wpkh')
      .map(({ outpoint, valueSat, key }) =>
        p2wpkhClaim({
          outpoint,
          valueSat,
          pubkey: key.publicKey,
          sign: (hash) => secp256k1.sign(hash, this.#keyring.privateKey(key)),
        }),
      );
  }

  /** For logs: which wallet this is, without a secret. */
  toString(): string {
    return `wallet ${this.#keyring.fingerprint.toString(16).padStart(8, '0')} on ${this.network}${
      this.#tip?.hash === undefined
        ? ''
        : ` at block ${this.#tip.height} ${bytesToHex(this.#tip.hash).slice(0, 8)}`
    }`;
  }
}
