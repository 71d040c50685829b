import type { Outpoint, Transaction } from '@rivulet/core/tx';
import {
  areSequenceLocksMet,
  type BlockContext,
  type Coin,
  checkInputs,
  checkTransaction,
  isCoinbase,
  isFinal,
} from './consensus.js';
import { checkInputsStandard, checkStandard, feeOf, policyLimits } from './policy.js';
import { outpointKey, type PreparedTransaction, prepareTransaction } from './preparedTransaction.js';
import { TxRejection } from './txRejection.js';

export interface MempoolEntry extends PreparedTransaction {
  readonly feeSat: bigint;
  /** The clock's time of arrival, in milliseconds. */
  readonly time: number;
  /** The tip's height on arrival. */
  readonly height: number;
  /** txidHex of unconfirmed transactions whose outputs this one spends. */
  readonly parents: Set<string>;
  readonly children: Set<string>;
}

/** What the mempool needs to know of the chain. */
export interface ChainView {
  coin(key: string): Coin | undefined;
  isConfirmed(txidHex: string): boolean;
  /** Of the block that comes next. */
  nextContext(): BlockContext;
  medianTimePastAt(height: number): number;
  /** @throws TxRejection */
  verifyScripts(transaction: PreparedTransaction, coins: readonly Coin[]): void;
  now(): number;
}

interface Candidate extends MempoolEntry {
  /** Everything that leaves the mempool if this one enters. */
  readonly evicted: ReadonlySet<string>;
}

/** Unconfirmed transactions under Bitcoin Core's rules of relay, replacement and package limits. */
export class Mempool {
  /**
   * Satoshis a 1000 virtual bytes below which nothing new enters, alone or with its child, as when a mempool is
   * full; what is in it stays. May be changed at any time.
   */
  minFeePerKvb: bigint = policyLimits.minRelayFeePerKvb;
  readonly #chain: ChainView;
  readonly #entries = new Map<string, MempoolEntry>();
  /** outpointKey -> txidHex of the transaction that spends it. */
  readonly #spenders = new Map<string, string>();

  constructor(chain: ChainView) {
    this.#chain = chain;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** In the order of arrival, so that parents precede their children. */
  entries(): MempoolEntry[] {
    return [...this.#entries.values()];
  }

  get(txidHex: string): MempoolEntry | undefined {
    return this.#entries.get(txidHex);
  }

  spenderOf(key: string): MempoolEntry | undefined {
    const txidHex = this.#spenders.get(key);
    return txidHex === undefined ? undefined : this.#entries.get(txidHex);
  }

  /** An output of an unconfirmed transaction, spent or not. */
  coin(outpoint: Outpoint): Coin | undefined {
    const key = outpointKey(outpoint);
    const output = this.#entries.get(key.slice(0, 64))?.tx.outputs[outpoint.index];
    if (output === undefined) return undefined;
    return { ...output, height: this.#chain.nextContext().height, coinbase: false };
  }

  #family(txidHex: string, relation: 'parents' | 'children'): Set<string> {
    const found = new Set<string>();
    const queue = [txidHex];
    for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
      for (const next of this.#entries.get(id)?.[relation] ?? []) {
        if (!found.has(next)) {
          found.add(next);
          queue.push(next);
        }
      }
    }
    return found;
  }

  ancestors(txidHex: string): Set<string> {
    return this.#family(txidHex, 'parents');
  }

  descendants(txidHex: string): Set<string> {
    return this.#family(txidHex, 'children');
  }

  #vsizeOf(ids: Iterable<string>): number {
    let total = 0;
    for (const id of ids) total += this.#entries.get(id)!.vsize;
    return total;
  }

  #feeOfAll(ids: Iterable<string>): bigint {
    let total = 0n;
    for (const id of ids) total += this.#entries.get(id)!.feeSat;
    return total;
  }

  /** All checks, without a change. @throws TxRejection */
  check(tx: Transaction, options: { feeFloor: boolean } = { feeFloor: true }): Candidate {
    const prepared = prepareTransaction(tx);
    checkTransaction(tx);
    if (isCoinbase(tx)) throw new TxRejection('coinbase');
    checkStandard(prepared);
    const context = this.#chain.nextContext();
    if (!isFinal(tx, context)) throw new TxRejection('non-final');
    const known = this.#entries.get(prepared.txidHex);
    if (known !== undefined) {
      const same = known.wtxidHex === prepared.wtxidHex;
      throw new TxRejection(same ? 'txn-already-in-mempool' : 'txn-same-nonwitness-data-in-mempool');
    }
    const coins = this.#coinsOf(prepared);
    const heights = coins.map((coin) => coin.height);
    const medianTimePastAt = (height: number) => this.#chain.medianTimePastAt(height);
    if (!areSequenceLocksMet({ tx, heights, context, medianTimePastAt })) {
      throw new TxRejection('non-BIP68-final');
    }
    const feeSat = checkInputs(tx, coins, context);
    checkInputsStandard(tx, coins);
    const minimum = feeOf(prepared.vsize, this.minFeePerKvb);
    if (options.feeFloor && feeSat < minimum) {
      throw new TxRejection('min relay fee not met', `${feeSat} < ${minimum}`);
    }
    const parents = new Set<string>();
    for (const { outpoint } of tx.inputs) {
      const parent = outpointKey(outpoint).slice(0, 64);
      if (this.#entries.has(parent)) parents.add(parent);
    }
    const { time, height } = { time: this.#chain.now(), height: context.height - 1 };
    const entry = { ...prepared, feeSat, time, height, parents, children: new Set<string>() };
    const evicted = this.#checkReplacement(entry);
    this.#checkFamily(entry, evicted);
    this.#chain.verifyScripts(prepared, coins);
    return { ...entry, evicted };
  }

  #coinsOf(prepared: PreparedTransaction): Coin[] {
    return prepared.tx.inputs.map(({ outpoint }) => {
      const key = outpointKey(outpoint);
      const coin = this.coin(outpoint) ?? this.#chain.coin(key);
      if (coin !== undefined) return coin;
      if (this.#chain.isConfirmed(prepared.txidHex)) throw new TxRejection('txn-already-known');
      throw new TxRejection('bad-txns-inputs-missingorspent', `no unspent output ${key}`);
    });
  }

  /** Full replace-by-fee with the rules of BIP 125 (signalling excepted). @returns what would be evicted */
  #checkReplacement(entry: MempoolEntry): Set<string> {
    const conflicts = new Set<string>();
    for (const { outpoint } of entry.tx.inputs) {
      const spender = this.#spenders.get(outpointKey(outpoint));
      if (spender !== undefined) conflicts.add(spender);
    }
    const evicted = new Set(conflicts);
    if (conflicts.size === 0) return evicted;
    for (const id of conflicts) for (const descendant of this.descendants(id)) evicted.add(descendant);

    const oldParents = new Set<string>();
    for (const id of conflicts) for (const parent of this.#entries.get(id)!.parents) oldParents.add(parent);
    for (const parent of entry.parents) {
      const ancestors = this.ancestors(parent).add(parent);
      for (const id of ancestors) {
        if (evicted.has(id)) throw new TxRejection('bad-txns-spends-conflicting-tx', `spends ${id}`);
      }
      // Rule 2: it may not spend outputs that wait in the mempool unless what it replaces did so.
      if (!oldParents.has(parent)) throw new TxRejection('replacement-adds-unconfirmed', `spends ${parent}`);
    }
    // Rule 5.
    if (evicted.size > policyLimits.maxReplacementEvictions) {
      throw new TxRejection('too many potential replacements', `${evicted.size} would be evicted`);
    }
    for (const id of conflicts) {
      const old = this.#entries.get(id)!;
      if (entry.feeSat * BigInt(old.vsize) <= old.feeSat * BigInt(entry.vsize)) {
        throw new TxRejection('insufficient fee', `the feerate is not above that of ${id}`);
      }
    }
    // Rules 3 and 4.
    const oldFee = this.#feeOfAll(evicted);
    if (entry.feeSat < oldFee) {
      throw new TxRejection('insufficient fee', `${entry.feeSat} sat replace ${oldFee} sat`);
    }
    const increment = feeOf(entry.vsize, policyLimits.incrementalFeePerKvb);
    if (entry.feeSat - oldFee < increment) {
      throw new TxRejection('insufficient fee', `${entry.feeSat - oldFee} sat more, ${increment} are needed`);
    }
    return evicted;
  }

  #checkFamily(entry: MempoolEntry, evicted: ReadonlySet<string>): void {
    const { maxAncestors, maxDescendants, maxFamilyVsize } = policyLimits;
    const ancestors = new Set<string>(entry.parents);
    for (const parent of entry.parents) for (const id of this.ancestors(parent)) ancestors.add(id);
    if (ancestors.size + 1 > maxAncestors) {
      throw new TxRejection('too-long-mempool-chain', `${ancestors.size + 1} ancestors`);
    }
    if (this.#vsizeOf(ancestors) + entry.vsize > maxFamilyVsize) {
      throw new TxRejection('too-long-mempool-chain', 'the ancestors are too large');
    }
    // One more small child of a single parent is allowed, so that both sides of a channel can pay for it.
    const carveOut = ancestors.size === 1 && entry.vsize <= 10_000 ? 1 : 0;
    for (const id of ancestors) {
      const descendants = [...this.descendants(id)].filter((one) => !evicted.has(one));
      if (descendants.length + 2 > maxDescendants + carveOut) {
        throw new TxRejection('too-long-mempool-chain', `${id} has too many descendants`);
      }
      const vsize = this.#vsizeOf(descendants) + this.#entries.get(id)!.vsize + entry.vsize;
      if (vsize > maxFamilyVsize + carveOut * 10_000) {
        throw new TxRejection('too-long-mempool-chain', `${id} has too large descendants`);
      }
    }
    this.#checkTruc({ entry, ancestors, evicted });
  }

  /** BIP 431: version 3 transactions live in families of at most one parent and one small child. */
  #checkTruc(options: {
    entry: MempoolEntry;
    ancestors: ReadonlySet<string>;
    evicted: ReadonlySet<string>;
  }): void {
    const { entry, ancestors, evicted } = options;
    const truc = entry.tx.version === 3;
    for (const id of entry.parents) {
      if ((this.#entries.get(id)!.tx.version === 3) !== truc) {
        throw new TxRejection(
          'TRUC-violation',
          'version 3 transactions spend and are spent among themselves',
        );
      }
      if (!truc) continue;
      const siblings = [...this.descendants(id)].filter((one) => !evicted.has(one));
      if (siblings.length > 0) throw new TxRejection('TRUC-violation', `${id} has a child already`);
    }
    if (!truc) return;
    if (ancestors.size > 1) throw new TxRejection('TRUC-violation', 'too many unconfirmed ancestors');
    const limit = ancestors.size === 0 ? policyLimits.maxTrucVsize : policyLimits.maxTrucChildVsize;
    if (entry.vsize > limit) throw new TxRejection('TRUC-violation', `larger than ${limit} virtual bytes`);
  }

  /** Checks and adds. @throws TxRejection */
  accept(tx: Transaction, options?: { feeFloor: boolean }): MempoolEntry {
    const { evicted, ...entry } = this.check(tx, options);
    for (const id of evicted) this.#delete(id);
    this.#entries.set(entry.txidHex, entry);
    for (const { outpoint } of entry.tx.inputs) this.#spenders.set(outpointKey(outpoint), entry.txidHex);
    for (const parent of entry.parents) this.#entries.get(parent)!.children.add(entry.txidHex);
    return entry;
  }

  /**
   * Parents and their child (last). Where a parent alone is below the relay minimum, parents and child
   * together have to reach it; if they do not, such parents leave again.
   * @returns for each the entry or the reason of its refusal
   */
  acceptPackage(transactions: readonly Transaction[]): (MempoolEntry | TxRejection)[] {
    const provisional: MempoolEntry[] = [];
    const results = transactions.map((tx, i): MempoolEntry | TxRejection => {
      const known = this.#entries.get(prepareTransaction(tx).txidHex);
      if (known !== undefined) return known;
      const last = i === transactions.length - 1;
      try {
        return this.accept(tx);
      } catch (error) {
        if (!(error instanceof TxRejection)) throw error;
        if (error.reason !== 'min relay fee not met' || last) return error;
      }
      try {
        const entry = this.accept(tx, { feeFloor: false });
        provisional.push(entry);
        return entry;
      } catch (error) {
        if (error instanceof TxRejection) return error;
        throw error;
      }
    });
    if (provisional.length === 0) return results;
    const child = results[results.length - 1] as MempoolEntry | TxRejection;
    let enough = !(child instanceof TxRejection);
    if (!(child instanceof TxRejection)) {
      const parents = provisional.filter((one) => this.ancestors(child.txidHex).has(one.txidHex));
      const ids = [child, ...parents].map((one) => one.txidHex);
      const minimum = feeOf(this.#vsizeOf(ids), this.minFeePerKvb);
      enough = parents.length === provisional.length && this.#feeOfAll(ids) >= minimum;
    }
    if (enough) return results;
    for (const one of provisional) this.removeWithDescendants(one.txidHex);
    return results.map((one) => {
      if (one instanceof TxRejection || this.#entries.has(one.txidHex)) return one;
      return new TxRejection('package-fee-too-low', 'the package is below the relay minimum');
    });
  }

  /** Takes one entry out; its children stay, and no longer count it as an unconfirmed parent. */
  #delete(txidHex: string): void {
    const entry = this.#entries.get(txidHex);
    if (entry === undefined) return;
    this.#entries.delete(txidHex);
    for (const { outpoint } of entry.tx.inputs) this.#spenders.delete(outpointKey(outpoint));
    for (const parent of entry.parents) this.#entries.get(parent)?.children.delete(txidHex);
    for (const child of entry.children) this.#entries.get(child)?.parents.delete(txidHex);
  }

  removeWithDescendants(txidHex: string): void {
    for (const id of this.descendants(txidHex)) this.#delete(id);
    this.#delete(txidHex);
  }

  /** After a block: its transactions leave, and so does what conflicts with them. */
  removeForBlock(transactions: readonly PreparedTransaction[]): void {
    for (const { txidHex, tx } of transactions) {
      this.#delete(txidHex);
      for (const { outpoint } of tx.inputs) {
        const conflict = this.#spenders.get(outpointKey(outpoint));
        if (conflict !== undefined) this.removeWithDescendants(conflict);
      }
    }
  }

  clear(): void {
    this.#entries.clear();
    this.#spenders.clear();
  }
}
