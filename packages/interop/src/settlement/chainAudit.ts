import type { RegtestChain } from '@rivulet/chain';
import { type Transaction, txid, txidToHex } from '@rivulet/core/tx';
import type { SettlementNode } from './settlementNode.js';
import { SettlementError } from './world.js';

/** A confirmed transaction of one of the nodes. */
export interface AuditedTransaction {
  readonly tx: Transaction;
  readonly txidHex: string;
  readonly height: number;
  readonly feeSat: bigint;
  /** All that its inputs have. */
  readonly inSat: bigint;
  readonly weight: number;
  /** Who has broadcast it; for a commitment its holder, for a close together both. */
  readonly owners: readonly SettlementNode[];
}

/** Who takes an output in the end, and with what. */
export interface Taking {
  readonly by: AuditedTransaction;
  readonly owner: SettlementNode;
}

/** What the blocks since a height say, with fees as they are: inputs less outputs. */
export class ChainAudit {
  readonly transactions: readonly AuditedTransaction[];
  readonly #byId: ReadonlyMap<string, AuditedTransaction>;
  readonly #chain: RegtestChain;

  constructor(chain: RegtestChain, { from, nodes }: { from: number; nodes: readonly SettlementNode[] }) {
    this.#chain = chain;
    const found: AuditedTransaction[] = [];
    for (let height = from; height <= chain.height; height++) {
      for (const { tx, txidHex, weight } of chain.blockAt(height)?.transactions.slice(1) ?? []) {
        const inSat = tx.inputs.reduce(
          (sum, { outpoint }) => sum + (chain.output(outpoint)?.valueSat ?? 0n),
          0n,
        );
        const outSat = tx.outputs.reduce((sum, { valueSat }) => sum + valueSat, 0n);
        const owners = nodes.filter(({ broadcasts }) => broadcasts.has(txidHex));
        if (owners.length === 0) throw new SettlementError(`nobody has sent the transaction ${txidHex}`);
        found.push({ tx, txidHex, height, weight, inSat, feeSat: inSat - outSat, owners });
      }
    }
    this.transactions = found;
    this.#byId = new Map(found.map((one) => [one.txidHex, one]));
  }

  /** What spends an output; `undefined` for one that is there still. */
  taking(tx: Transaction, index: number): Taking | undefined {
    const spend = this.#chain.confirmedSpend({ txid: txid(tx), index });
    const by = spend && this.#byId.get(spend.transaction.txidHex);
    if (by === undefined) return undefined;
    const [owner, another] = by.owners;
    if (owner === undefined || another !== undefined) {
      throw new SettlementError(`${by.txidHex} was sent by ${by.owners.length} nodes`);
    }
    return { by, owner };
  }

  /** The output of a taking that stands for the input it came from: the one at the same place. */
  nextOf({ by }: Taking, tx: Transaction, index: number): number {
    const id = txidToHex(txid(tx));
    return by.tx.inputs.findIndex(
      ({ outpoint }) => outpoint.index === index && txidToHex(outpoint.txid) === id,
    );
  }

  /** All that is unspent in blocks and belongs to a node's wallet. */
  walletSat({ node }: SettlementNode): bigint {
    let sum = 0n;
    for (const [, { script, valueSat }] of this.#chain.coins()) {
      if (node.wallet.isOurs(script)) sum += valueSat;
    }
    return sum;
  }
}
