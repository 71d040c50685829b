import { type ChainBackend, embeddedBackend, type RegtestChain } from '@rivulet/chain';
import { type Transaction, txid, txidToHex } from '@rivulet/core/tx';

/** A node's view of the chain that remembers what the node broadcast, and says when it waits for no answer. */
export interface WatchedBackend {
  readonly backend: ChainBackend;
  /** Calls that are not answered yet. */
  readonly pending: number;
  /** From now on nothing that the node does reaches the chain: its process is dead, though it does not know. */
  kill(): void;
}

/** Notes each transaction that the node tries to broadcast, taken or refused, by its txidHex. */
export function watchBackend(chain: RegtestChain, broadcasts: Map<string, Transaction>): WatchedBackend {
  const inner = embeddedBackend(chain);
  let pending = 0;
  let dead = false;

  async function counted(answer: Promise<unknown>): Promise<unknown> {
    pending++;
    try {
      return await answer;
    } finally {
      pending--;
    }
  }

  const remember = (tx: Transaction) => void broadcasts.set(txidToHex(txid(tx)), tx);
  const own: Partial<ChainBackend> = {
    broadcast(tx) {
      remember(tx);
      return inner.broadcast(tx);
    },
    broadcastPackage(transactions) {
      for (const tx of transactions) remember(tx);
      return inner.broadcastPackage(transactions);
    },
  };
  // Whatever else a backend can do counts as well.
  const backend = new Proxy(inner, {
    get(_target, name) {
      const found = own[name as keyof ChainBackend] ?? inner[name as keyof ChainBackend];
      if (typeof found !== 'function') return found;
      return (...args: unknown[]) => {
        if (dead && name !== 'close') return Promise.reject(new Error('this process is dead'));
        const answer = (found as (...args: unknown[]) => unknown).apply(inner, args);
        return answer instanceof Promise ? counted(answer) : answer;
      };
    },
  });

  return {
    backend,
    get pending() {
      return pending;
    },
    kill() {
      dead = true;
    },
  };
}
