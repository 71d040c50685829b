import { bytesToHex } from '@rivulet/core/bytes';
import { decodeTransaction, type Outpoint, type Transaction } from '@rivulet/core/tx';
import { type Block, decodeBlock, encodeBlock, merkleRoot } from '../block.js';
import { type ChainTip, minimumFeeratePerKw } from '../chainBackend.js';
import {
  anyoneCanSpendScript,
  createCoinbase,
  mineHeader,
  regtestBits,
  selectTransactions,
} from './blockAssembly.js';
import { BlockFile, type ChainRecord } from './blockFile.js';
import { ChainState, type StoredBlock, storeBlock } from './chainState.js';
import { type Coin, subsidySat } from './consensus.js';
import { Mempool, type MempoolEntry } from './mempool.js';
import { hashToHex, outpointKey } from './preparedTransaction.js';
import { TxRejection } from './txRejection.js';

export interface RegtestChainOptions {
  /** Milliseconds since 1970, for the times of blocks. Default: Date.now */
  readonly now?: () => number;
  /** The one file that keeps the chain and its mempool over restarts; in memory only without. */
  readonly dataFile?: string;
  /** What fee estimation answers, in satoshis a 1000 weight units. Default: 253, the minimum. */
  readonly feeratePerKw?: number;
}

export interface MineOptions {
  /** How many. Default: 1 */
  readonly blocks?: number;
  /** Where the reward goes. Default: to anyone */
  readonly script?: Uint8Array;
  /** `none` leaves the mempool's transactions where they are. Default: `mempool` */
  readonly transactions?: 'mempool' | 'none';
  /** What pays less, with its parents, is left where it is: satoshis a 1000 weight units. Default: nothing is */
  readonly minFeeratePerKw?: number;
}

/**
 * A regtest chain inside this process that is as strict as the real one: blocks, transactions, scripts,
 * locktimes, fees and replacement are checked as Bitcoin Core's consensus and relay policy do. Blocks come
 * only when they are asked for.
 */
export class RegtestChain {
  readonly mempool: Mempool;
  /** See RegtestChainOptions.feeratePerKw. May be changed at any time. */
  feeratePerKw: number;
  readonly #state = new ChainState();
  readonly #tree = new Map<string, StoredBlock>();
  readonly #invalid = new Set<string>();
  readonly #listeners = new Set<(tip: ChainTip) => void>();
  readonly #now: () => number;
  #file: BlockFile | undefined;
  #loading = false;

  constructor(options: RegtestChainOptions = {}) {
    this.#now = options.now ?? Date.now;
    this.feeratePerKw = options.feeratePerKw ?? minimumFeeratePerKw;
    const state = this.#state;
    this.mempool = new Mempool({
      coin: (key) => state.coin(key),
      isConfirmed: (txidHex) => state.transaction(txidHex) !== undefined,
      nextContext: () => state.nextContext(),
      medianTimePastAt: (height) => state.medianTimePastAt(height),
      verifyScripts: (transaction, coins) => state.verifyScripts(transaction, coins),
      now: this.#now,
    });
    this.#tree.set(state.tip.hashHex, state.tip);
    if (options.dataFile !== undefined) this.#load(options.dataFile);
  }

  #load(path: string): void {
    const { file, records } = BlockFile.open(path);
    this.#file = file;
    this.#loading = true;
    const waiting: Transaction[] = [];
    for (const { kind, payload } of records) {
      if (kind === 'block') this.addBlock(decodeBlock(payload));
      else if (kind === 'invalidate') this.invalidateBlock(bytesToHex(payload));
      else if (kind === 'reconsider') this.reconsiderBlock(bytesToHex(payload));
      else waiting.push(decodeTransaction(payload));
    }
    for (const tx of waiting) this.#tryAccept(tx);
    this.#loading = false;
  }

  #record(record: ChainRecord): void {
    if (!this.#loading) this.#file?.append(record);
  }

  #tryAccept(tx: Transaction): void {
    try {
      this.mempool.accept(tx, { feeFloor: false });
    } catch (error) {
      // Confirmed, replaced or conflicting by now: it has no place any more.
      if (!(error instanceof TxRejection)) throw error;
    }
  }

  get tip(): StoredBlock {
    return this.#state.tip;
  }

  get height(): number {
    return this.#state.tip.height;
  }

  blockAt(height: number): StoredBlock | undefined {
    return this.#state.blockAt(height);
  }

  /** A block of the active chain or of a branch that was left. */
  block(hashHex: string): StoredBlock | undefined {
    return this.#tree.get(hashHex);
  }

  isActive(block: StoredBlock): boolean {
    return this.#state.isActive(block);
  }

  medianTimePastAt(height: number): number {
    return this.#state.medianTimePastAt(height);
  }

  /** BIP 113 for a block of any branch. */
  medianTimePastOf(block: StoredBlock): number {
    const times = this.#ancestry(block, 11).map((one) => one.header.time);
    return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] as number;
  }

  /** A transaction of the active chain: its block and its position there. */
  confirmed(txidHex: string): { block: StoredBlock; index: number } | undefined {
    return this.#state.transaction(txidHex);
  }

  /** All unspent outputs of the active chain, by `txidHex:index`. */
  coins(): IterableIterator<[string, Coin]> {
    return this.#state.coins();
  }

  /** An output that is not spent; `mempool` says whether unconfirmed transactions count. */
  unspent(outpoint: Outpoint, options: { mempool: boolean }): Coin | undefined {
    const key = outpointKey(outpoint);
    if (!options.mempool) return this.#state.coin(key);
    if (this.mempool.spenderOf(key) !== undefined) return undefined;
    return this.mempool.coin(outpoint) ?? this.#state.coin(key);
  }

  /** An output of the active chain or the mempool, spent or not. */
  output(outpoint: Outpoint): Coin | undefined {
    return this.mempool.coin(outpoint) ?? this.#state.output(outpointKey(outpoint));
  }

  /** The transaction of the active chain that spent an output. */
  confirmedSpend(outpoint: Outpoint): ReturnType<ChainState['spend']> {
    return this.#state.spend(outpointKey(outpoint));
  }

  /** Adds a transaction to the mempool. @throws TxRejection */
  broadcast(tx: Transaction): MempoolEntry {
    const entry = this.mempool.accept(tx);
    this.#record({ kind: 'transaction', payload: entry.bytes });
    return entry;
  }

  /** See Mempool.acceptPackage. */
  broadcastPackage(transactions: readonly Transaction[]): (MempoolEntry | TxRejection)[] {
    const results = this.mempool.acceptPackage(transactions);
    for (const one of results) {
      if (!(one instanceof TxRejection)) this.#record({ kind: 'transaction', payload: one.bytes });
    }
    return results;
  }

  /** Mines blocks on the tip. */
  mine(options: MineOptions = {}): StoredBlock[] {
    const mined: StoredBlock[] = [];
    for (let i = 0; i < (options.blocks ?? 1); i++) mined.push(this.#mineOne(options));
    return mined;
  }

  #mineOne(options: MineOptions): StoredBlock {
    const { transactions: wanted, minFeeratePerKw } = options;
    const selected = wanted === 'none' ? [] : selectTransactions(this.mempool, { minFeeratePerKw });
    const context = this.#state.nextContext();
    const fees = selected.reduce((sum, entry) => sum + entry.feeSat, 0n);
    const coinbase = createCoinbase({
      height: context.height,
      valueSat: subsidySat(context.height) + fees,
      script: options.script ?? anyoneCanSpendScript,
      extraNonce: this.#tree.size,
      transactions: selected,
    });
    const transactions = [coinbase, ...selected];
    const header = mineHeader({
      version: 0x2000_0000,
      previousHash: this.tip.hash,
      merkleRoot: merkleRoot(transactions.map((one) => one.txid)),
      time: Math.max(Math.floor(this.#now() / 1000), context.medianTimePast + 1),
      bits: regtestBits,
    });
    return this.addBlock({ header, transactions: transactions.map((one) => one.tx) });
  }

  /**
   * Adds a block anywhere on the tree; it becomes the tip if its branch is the longest.
   * @throws TxRejection if it does not connect or is not valid.
   */
  addBlock(block: Block): StoredBlock {
    const parent = this.#tree.get(hashToHex(block.header.previousHash));
    if (parent === undefined) throw new TxRejection('prev-blk-not-found');
    const stored = storeBlock(block, parent.height + 1);
    const known = this.#tree.get(stored.hashHex);
    if (known !== undefined) return known;
    if (this.#invalid.has(parent.hashHex)) throw new TxRejection('bad-prevblk');
    this.#tree.set(stored.hashHex, stored);
    const failure = this.#activateBest(stored);
    if (failure !== undefined && this.#invalid.has(stored.hashHex)) {
      this.#tree.delete(stored.hashHex);
      this.#invalid.delete(stored.hashHex);
      throw failure;
    }
    this.#record({ kind: 'block', payload: encodeBlock(block) });
    return stored;
  }

  /** Marks a block and all that follow it as invalid: the chain goes on from before it. */
  invalidateBlock(hashHex: string): void {
    const block = this.#tree.get(hashHex);
    if (block === undefined || block.height === 0) throw new TxRejection('Block not found');
    for (const id of this.#branch(hashHex)) this.#invalid.add(id);
    this.#activateBest();
    this.#record({ kind: 'invalidate', payload: Uint8Array.from(Buffer.from(hashHex, 'hex')) });
  }

  /** Takes invalidateBlock back, for the block, its ancestors and its descendants. */
  reconsiderBlock(hashHex: string): void {
    const block = this.#tree.get(hashHex);
    if (block === undefined) throw new TxRejection('Block not found');
    for (const id of this.#branch(hashHex)) this.#invalid.delete(id);
    for (const one of this.#ancestry(block)) this.#invalid.delete(one.hashHex);
    this.#activateBest();
    this.#record({ kind: 'reconsider', payload: Uint8Array.from(Buffer.from(hashHex, 'hex')) });
  }

  /**
   * Replaces the last `depth` blocks by `blocks` new ones (default: one more). The transactions of the old
   * ones go back to the mempool; whether the new ones take them is up to `transactions`.
   */
  reorganise(options: MineOptions & { readonly depth: number }): StoredBlock[] {
    const first = this.blockAt(this.height - options.depth + 1);
    if (first !== undefined && options.depth > 0) this.invalidateBlock(first.hashHex);
    return this.mine({ ...options, blocks: options.blocks ?? options.depth + 1 });
  }

  /** What is asked for within so many blocks: `feeratePerKw`; beyond a day what the mempool takes at all. */
  estimateFeeratePerKw(targetBlocks: number): number {
    const wanted = Math.max(minimumFeeratePerKw, Math.ceil(this.feeratePerKw));
    if (targetBlocks <= 144) return wanted;
    return Math.min(wanted, Math.max(minimumFeeratePerKw, Math.ceil(Number(this.mempool.minFeePerKvb) / 4)));
  }

  /** Calls the listener after each change of the tip, until the returned function is called. */
  onTip(listener: (tip: ChainTip) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Closes the data file. */
  close(): void {
    this.#listeners.clear();
    this.#file?.close();
    this.#file = undefined;
  }

  #parent(block: StoredBlock): StoredBlock | undefined {
    return this.#tree.get(hashToHex(block.header.previousHash));
  }

  /** A block and those before it, newest first. */
  #ancestry(block: StoredBlock, limit = Number.POSITIVE_INFINITY): StoredBlock[] {
    const found: StoredBlock[] = [];
    let one: StoredBlock | undefined = block;
    while (one !== undefined && found.length < limit) {
      found.push(one);
      one = this.#parent(one);
    }
    return found;
  }

  /** A block and all its descendants: the tree's order of arrival is topological. */
  #branch(hashHex: string): Set<string> {
    const found = new Set([hashHex]);
    for (const block of this.#tree.values()) {
      if (found.has(hashToHex(block.header.previousHash))) found.add(block.hashHex);
    }
    return found;
  }

  #best(added: StoredBlock | undefined): StoredBlock {
    // Every block has the same work: the highest branch wins, the first seen among equals.
    let best = this.#state.tip;
    let valid = !this.#invalid.has(best.hashHex);
    if (added !== undefined && valid && !this.#invalid.has(added.hashHex)) {
      return added.height > best.height ? added : best;
    }
    for (const block of this.#tree.values()) {
      if (this.#invalid.has(block.hashHex)) continue;
      if (!valid || block.height > best.height) {
        best = block;
        valid = true;
      }
    }
    return best;
  }

  /** Moves the tip to the best valid block. @returns why a block on the way was found invalid, if one was */
  #activateBest(added?: StoredBlock): TxRejection | undefined {
    const before = this.#state.tip;
    const returned: StoredBlock[] = [];
    let failure: TxRejection | undefined;
    for (let best = this.#best(added); best !== this.#state.tip; best = this.#best(added)) {
      const path: StoredBlock[] = [];
      for (let one = best; !this.#state.isActive(one); one = this.#parent(one)!) path.unshift(one);
      const fork = path[0] === undefined ? best.height : path[0].height - 1;
      while (this.#state.tip.height > fork) returned.push(this.#state.disconnect());
      try {
        for (const block of path) {
          this.#state.connect(block, { trusted: this.#loading });
          this.mempool.removeForBlock(block.transactions);
        }
      } catch (error) {
        if (!(error instanceof TxRejection)) throw error;
        failure = error;
        const bad = path.find((block) => !this.#state.isActive(block))!;
        for (const id of this.#branch(bad.hashHex)) this.#invalid.add(id);
      }
    }
    if (returned.length > 0) this.#restoreMempool(returned);
    if (this.#state.tip !== before && !this.#loading) {
      const { height, hash } = this.#state.tip;
      for (const listener of [...this.#listeners]) listener({ height, hash });
    }
    return failure;
  }

  /** After a reorganisation: what was confirmed waits again, and what waited is checked again. */
  #restoreMempool(disconnected: readonly StoredBlock[]): void {
    const blocks = [...disconnected].sort((a, b) => a.height - b.height);
    const again = blocks.flatMap((block) => block.transactions.slice(1));
    const waiting = [...again, ...this.mempool.entries()];
    this.mempool.clear();
    for (const { tx, txidHex } of waiting) {
      if (this.confirmed(txidHex) === undefined) this.#tryAccept(tx);
    }
  }
}
