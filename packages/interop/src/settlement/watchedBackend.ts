import { type ChainBackend, embeddedBackend, type RegtestChain } from '@rivulet/chain';
import { type Transaction, txid, txidToHex } from '@rivulet/core/tx';

/** A node's view of the chain that remembers what the node broadcast, and says when it waits for no answer. */
export interface WatchedBackend {
  readonly backend: ChainBackend;
  /** All that the node ever tried to broadcast, taken or refused, by txidHex. */
  readonly broadcasts: ReadonlyMap<string, Transaction>;
  /** Calls that are not answered yet. */
  readonly pending: number;
  /** From now on nothing that the node does reaches the chain: its process is dead, though it does not know. */
  kill(): void;
}

/** Every answer that was asked for counts until whoever asked has seen it. */
export function watchBackend(chain: RegtestChain, broadcasts: Map<string, Transaction>): WatchedBackend {
  const inner = embeddedBackend(chain);
  let pending = 0;
  let dead = false;

  async function counted<T>(answer: () => Promise<T>): Promise<T> {
    if (dead) throw new Error('this process is dead');
    pending++;
    try {
      return await answer();
    } finally {
      pending--;
    }
  }

  const remember = (tx: Transaction) => {
    if (!dead) broadcasts.set(txidToHex(txid(tx)), tx);
  };

  return {
    broadcasts,
    get pending() {
      return pending;
    },
    kill() {
      dead = true;
    },
    backend: {
      kind: inner.kind,
      getNetwork: () => counted(() => inner.getNetwork()),
      getTip: () => counted(() => inner.getTip()),
      getBlockHash: (height) => counted(() => inner.getBlockHash(height)),
      getBlock: (at) => counted(() => inner.getBlock(at)),
      broadcast: (tx) => {
        remember(tx);
        return counted(() => inner.broadcast(tx));
      },
      broadcastPackage: (transactions) => {
        for (const tx of transactions) remember(tx);
        return counted(() => inner.broadcastPackage(transactions));
      },
      estimateFeeratePerKw: (target) => counted(() => inner.estimateFeeratePerKw(target)),
      getTxOut: (outpoint, options) => counted(() => inner.getTxOut(outpoint, options)),
      locateTransaction: (id) => counted(() => inner.locateTransaction(id)),
      getTransaction: (id) => counted(() => inner.getTransaction(id)),
      getMempoolSpend: (outpoint) => counted(() => inner.getMempoolSpend(outpoint)),
      onTip: (listener) => inner.onTip(listener),
      close: () => inner.close(),
    },
  };
}
