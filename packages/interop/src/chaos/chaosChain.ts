import { type Regtest, RegtestChain } from '@rivulet/chain';
import { type Transaction, type TxOutput, txid } from '@rivulet/core/tx';
import { InteropError } from '../interop/waitUntil.js';

const opTrue = Uint8Array.of(0x51);

interface MineRequest {
  readonly blocks?: number;
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
  #givenAt = 0;
  /** Of the transaction that `give` made. */
  giftFeeSat = 0n;

  constructor(regtest: Regtest) {
    this.main = regtest.chain;
  }

  get height(): number {
    return this.main.height;
  }

  mine({ blocks = 1, empty = false }: MineRequest = {}): void {
    const mined = this.main.mine({
      blocks,
      transactions: empty ? 'none' : 'mempool',
    });
    for (const block of mined) this.#follow(block.height);
  }

  /** Pays these from the first block's reward, in a block of their own; the rest of it is the fee. */
  give(outputs: readonly TxOutput[]): void {
    const reward = this.main.blockAt(1)?.transactions[0]?.tx;
    if (reward === undefined) throw new InteropError('interop_unexpected', 'there is no block yet');
    this.main.broadcast({
      version: 2,
      lockTime: 0,
      inputs: [
        {
          outpoint: { txid: txid(reward), index: 0 },
          scriptSig: new Uint8Array(0),
          sequence: 0xffff_fffd,
          // It is paid to whoever knows that one is true.
          witness: [opTrue],
        },
      ],
      outputs,
    });
    this.mine();
    this.#givenAt = this.height;
    const given = outputs.reduce((sum, { valueSat }) => sum + valueSat, 0n);
    this.giftFeeSat = (reward.outputs[0]?.valueSat ?? 0n) - given;
  }

  /** Replaces the last blocks by one more; their transactions are in the new ones, or wait again. */
  reorganise({ depth: wanted, empty }: { depth: number; empty: boolean }): void {
    // What the nodes were given stays where it is.
    const first = Math.max(this.main.height - wanted, this.#givenAt) + 1;
    const depth = this.main.height - first + 1;
    if (depth < 1) return;
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
