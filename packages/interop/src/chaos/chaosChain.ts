import { type Regtest, RegtestChain } from '@rivulet/chain';
import type { Transaction } from '@rivulet/core/tx';

interface MineRequest {
  readonly blocks?: number;
  readonly script?: Uint8Array;
  /** Leaves what waits in the mempool where it is. */
  readonly empty?: boolean;
}

/**
 * The nodes' chain, and a twin on which the other branch of a reorganisation is mined before the nodes' servers
 * hear of it: as on a real network the whole branch comes at once, and the mempool is filled again afterwards.
 */
export class ChaosChain {
  readonly main: RegtestChain;
  readonly #twin = new RegtestChain({});

  constructor(regtest: Regtest) {
    this.main = regtest.chain;
  }

  get height(): number {
    return this.main.height;
  }

  mine({ blocks = 1, script, empty = false }: MineRequest = {}): void {
    const mined = this.main.mine({
      blocks,
      transactions: empty ? 'none' : 'mempool',
      ...(script === undefined ? {} : { script }),
    });
    for (const block of mined) this.#follow(block.height);
  }

  /** Replaces the last blocks by one more; their transactions are in the new ones, or wait again. */
  reorganise({ depth, empty }: { depth: number; empty: boolean }): void {
    const first = this.main.height - depth + 1;
    const waiting: Transaction[] = [];
    for (let height = first; height <= this.main.height; height++) {
      for (const { tx } of this.main.blockAt(height)?.transactions.slice(1) ?? []) waiting.push(tx);
    }
    const old = this.#twin.blockAt(first);
    if (old === undefined) return;
    this.#twin.invalidateBlock(old.hashHex);
    for (let blocks = 0; blocks <= depth; blocks++) {
      if (!empty) for (const tx of waiting) this.#offer(tx);
      this.#twin.mine({ transactions: empty ? 'none' : 'mempool' });
    }
    for (let height = first; height <= this.#twin.height; height++) {
      const block = this.#twin.blockAt(height);
      if (block !== undefined) this.main.addBlock(blockOf(block));
    }
    // The twin keeps no transactions: each branch is given its own.
    this.#twin.mempool.clear();
  }

  /** All that waits is forgotten, as when a server is restarted without its mempool. */
  loseMempool(): void {
    this.main.mempool.clear();
  }

  #follow(height: number): void {
    const block = this.main.blockAt(height);
    if (block !== undefined) this.#twin.addBlock(blockOf(block));
  }

  #offer(tx: Transaction): void {
    try {
      this.#twin.broadcast(tx);
    } catch {
      // In a block of this branch already, or not final at its height yet.
    }
  }
}

function blockOf({ header, transactions }: NonNullable<ReturnType<RegtestChain['blockAt']>>) {
  return { header, transactions: transactions.map(({ tx }) => tx) };
}
