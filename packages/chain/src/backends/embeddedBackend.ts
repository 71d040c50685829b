import { bytesToHex } from '@rivulet/core/bytes';
import type { Outpoint, Transaction } from '@rivulet/core/tx';
import type { BroadcastResult, ChainBackend, ChainBlock, ChainTip } from '../chainBackend.js';
import { ChainError } from '../chainError.js';
import type { StoredBlock } from '../regtest/chainState.js';
import type { MempoolEntry } from '../regtest/mempool.js';
import { hashToHex, outpointKey, prepareTransaction } from '../regtest/preparedTransaction.js';
import type { RegtestChain } from '../regtest/regtestChain.js';
import { broadcastCodeOf, TxRejection } from '../regtest/txRejection.js';
import { hashFromHex } from './chainValues.js';

function toChainBlock({ hash, height, header, transactions }: StoredBlock): ChainBlock {
  return { hash, height, header, transactions: transactions.map((one) => one.tx) };
}

/** The outpoint of a key that `outpointKey` made. */
function outpointOfKey(key: string): Outpoint {
  return { txid: hashFromHex(key.slice(0, 64)), index: Number(key.slice(65)) };
}

function rejected(error: unknown): BroadcastResult {
  if (!(error instanceof TxRejection)) throw error;
  return { accepted: false, code: broadcastCodeOf(error.reason), message: error.message };
}

/** The embedded regtest chain of this process as a backend. Closing it leaves the chain open. */
export function embeddedBackend(chain: RegtestChain): ChainBackend {
  const subscriptions = new Set<() => void>();
  const startedMs = Date.now();
  let closed = false;

  /** Like a real backend, every answer comes later, and an exception becomes a rejected promise. */
  async function answer<T>(read: () => T): Promise<T> {
    await undefined;
    if (closed) throw new ChainError('chain_closed', 'the chain backend was closed');
    return read();
  }

  function broadcast(tx: Transaction): BroadcastResult {
    try {
      return { accepted: true, txid: chain.broadcast(tx).txid };
    } catch (error) {
      if (error instanceof TxRejection && error.reason === 'txn-already-in-mempool') {
        return { accepted: true, txid: prepareTransaction(tx).txid };
      }
      return rejected(error);
    }
  }

  function packageResult(one: MempoolEntry | TxRejection): BroadcastResult {
    return one instanceof TxRejection ? rejected(one) : { accepted: true, txid: one.txid };
  }

  return {
    kind: 'embedded',
    getNetwork: () => answer(() => 'regtest' as const),
    getTip: () => answer((): ChainTip => ({ height: chain.height, hash: chain.tip.hash })),
    getBlockHash: (height) => answer(() => chain.blockAt(height)?.hash),
    getBlock: (at) =>
      answer(() => {
        const block = typeof at === 'number' ? chain.blockAt(at) : chain.block(hashToHex(at));
        return block && toChainBlock(block);
      }),
    broadcast: (tx) => answer(() => broadcast(tx)),
    broadcastPackage: (transactions) =>
      answer(() => chain.broadcastPackage(transactions).map((one) => packageResult(one))),
    estimateFeeratePerKw: (targetBlocks) => answer(() => chain.estimateFeeratePerKw(targetBlocks)),
    getTxOut: (outpoint, options) =>
      answer(() => {
        const coin = chain.unspent(outpoint, { mempool: options?.includeMempool ?? true });
        if (coin === undefined) return undefined;
        const { valueSat, script, coinbase, height } = coin;
        return { valueSat, script, coinbase, confirmations: chain.height - height + 1 };
      }),
    locateTransaction: (txid) =>
      answer(() => {
        const txidHex = hashToHex(txid);
        const found = chain.confirmed(txidHex);
        if (found !== undefined) {
          const { block, index } = found;
          return { in: 'chain' as const, height: block.height, index, blockHash: block.hash };
        }
        return chain.mempool.get(txidHex) && { in: 'mempool' as const };
      }),
    getTransaction: (txid) =>
      answer(() => {
        const txidHex = hashToHex(txid);
        const found = chain.confirmed(txidHex);
        return (found?.block.transactions[found.index] ?? chain.mempool.get(txidHex))?.tx;
      }),
    getMempoolSpend: (outpoint) => answer(() => chain.mempool.spenderOf(outpointKey(outpoint))?.tx),
    scanScripts: ({ scripts, fromHeight = 0 }) =>
      answer(() => {
        const wanted = new Set(scripts.map((script) => bytesToHex(script)));
        return [...chain.coins()]
          .filter(([, { script, height }]) => height >= fromHeight && wanted.has(bytesToHex(script)))
          .map(([key, coin]) => ({ ...outpointOfKey(key), ...coin }))
          .sort((a, b) => a.height - b.height);
      }),
    health: () => ({
      state: 'ok',
      sinceMs: startedMs,
      tipHeight: chain.height,
      tipTimeMs: chain.tip.header.time * 1000,
      detail: 'this process has the chain',
    }),
    // It never changes.
    onHealth: () => () => {},
    onTip: (listener) => {
      const end = chain.onTip(listener);
      subscriptions.add(end);
      return () => {
        subscriptions.delete(end);
        end();
      };
    },
    close: async () => {
      closed = true;
      for (const end of subscriptions) end();
      subscriptions.clear();
    },
  };
}
