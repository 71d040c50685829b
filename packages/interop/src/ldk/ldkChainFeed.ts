import { bytesToHex } from '@rivulet/core/bytes';
import * as ldk from 'lightningdevkit';
import { optional } from './ldkRuntime.js';
import type { LdkBlock, LdkChain } from './ldkTypes.js';

interface ChainFeedTargets {
  confirms: readonly ldk.Confirm[];
  /** Called after LDK has been given a block. */
  onBlock: (block: LdkBlock) => void;
}

/** Tells LDK of blocks, in order and one at a time, from a height on; follows reorganisations. */
export class LdkChainFeed {
  readonly #chain: LdkChain;
  readonly #targets: ChainFeedTargets;
  /** The hashes of the blocks that LDK was told of, by height. */
  readonly #told = new Map<number, string>();
  #height: number;
  #queue: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(chain: LdkChain, targets: ChainFeedTargets, fromHeight: number) {
    this.#chain = chain;
    this.#targets = targets;
    this.#height = fromHeight;
  }

  /** The height up to which LDK knows the chain. */
  get height(): number {
    return this.#height;
  }

  /**
   * Catches up after a restart: LDK's parts may stand at different heights, and would take an older block
   * for a reorganisation, so they are told of all transactions, and of the tip alone.
   */
  async catchUp(): Promise<void> {
    const { height: tip } = await this.#chain.tip();
    let last: LdkBlock | undefined;
    for (let height = this.#height + 1; height <= tip && !this.#stopped; height++) {
      const block = await this.#chain.block(height);
      if (!block) break;
      this.#confirmTransactions(block);
      this.#told.set(height, bytesToHex(block.hash));
      last = block;
    }
    if (last && !this.#stopped) this.#updateTip(last);
  }

  /** Follows the tip as it is now; resolves when LDK knows it. */
  sync(): Promise<void> {
    const next = this.#queue.then(() => this.#follow());
    // A failure is this caller's to see, and must not stop later calls.
    this.#queue = next.catch(() => undefined);
    return next;
  }

  stop(): void {
    this.#stopped = true;
  }

  async #follow(): Promise<void> {
    const { height: tip } = await this.#chain.tip();
    await this.#leaveStaleBlocks(tip);
    for (let height = this.#height + 1; height <= tip; height++) {
      const block = await this.#chain.block(height);
      if (!block || this.#stopped) return;
      this.#confirmTransactions(block);
      this.#told.set(height, bytesToHex(block.hash));
      this.#updateTip(block);
    }
  }

  async #leaveStaleBlocks(tip: number): Promise<void> {
    let common = Math.min(this.#height, tip);
    for (; this.#told.has(common); common--) {
      const block = await this.#chain.block(common);
      if (block && bytesToHex(block.hash) === this.#told.get(common)) break;
    }
    if (common >= this.#height || this.#stopped) return;
    const stale = new Set<string>();
    for (let height = common + 1; height <= this.#height; height++) {
      const hash = this.#told.get(height);
      if (hash) stale.add(hash);
      this.#told.delete(height);
    }
    for (const confirm of this.#targets.confirms) {
      for (const relevant of confirm.get_relevant_txids()) {
        const hash = optional<Uint8Array>(relevant.get_c());
        if (hash && stale.has(bytesToHex(hash))) confirm.transaction_unconfirmed(relevant.get_a());
      }
    }
    const block = await this.#chain.block(common);
    this.#height = common;
    if (block) this.#updateTip(block);
  }

  #confirmTransactions(block: LdkBlock): void {
    if (block.transactions.length === 0) return;
    for (const confirm of this.#targets.confirms) {
      const transactions = block.transactions.map((raw, index) =>
        ldk.TwoTuple_usizeTransactionZ.constructor_new(index, raw),
      );
      confirm.transactions_confirmed(block.header, transactions, block.height);
    }
  }

  #updateTip(block: LdkBlock): void {
    for (const confirm of this.#targets.confirms) confirm.best_block_updated(block.header, block.height);
    this.#height = block.height;
    this.#targets.onBlock(block);
  }
}

/** The outputs of a wallet need blocks of old, which LDK does not: this walks the whole chain. */
export async function eachBlock(chain: LdkChain, visit: (block: LdkBlock) => void): Promise<void> {
  const { height: tip } = await chain.tip();
  for (let height = 1; height <= tip; height++) {
    const block = await chain.block(height);
    if (block) visit(block);
  }
}
