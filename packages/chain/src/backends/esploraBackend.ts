import { bytesToHex, equalBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import type { Outpoint, Transaction } from '@rivulet/core/tx';
import type { Block } from '../block.js';
import {
  type BroadcastResult,
  type ChainBackend,
  type ChainBlock,
  type FoundCoin,
  minimumFeeratePerKw,
  type TransactionLocation,
  type UnspentOutput,
} from '../chainBackend.js';
import { ChainError } from '../chainError.js';
import type { Network } from '../network.js';
import { isCoinbase } from '../regtest/consensus.js';
import { hashFromHex } from './chainValues.js';
import { EsploraClient, type EsploraUnspent } from './esploraClient.js';
import { EsploraPool } from './esploraPool.js';
import { type HealthOptions, HealthTracker } from './healthTracker.js';
import { HttpClient } from './httpClient.js';
import { TipWatcher } from './tipWatcher.js';

export interface EsploraOptions extends HealthOptions {
  /** With its path, for example `https://blockstream.info/api`; or several, of which the first is asked first. */
  readonly url: string | readonly string[];
  /** What the servers have to be on. Default: what the first that answers is on */
  readonly network?: Network;
  /** Milliseconds for one call. Default: 30,000 */
  readonly timeoutMs?: number;
  /** Repetitions of a call that could not be delivered. Default: 2; none where there is another server to ask */
  readonly retries?: number;
  /** Between two looks at the tip, in milliseconds. Default: 5,000 */
  readonly pollMs?: number;
}

const longestTipWaitMs = 10_000;
/** Scripts that are asked for at the same time. */
const scansAtOnce = 4;

/**
 * Esplora servers: they need no node of one's own, and learn what is asked. Blocks, headers and transactions are
 * checked against their proof of work and their hashes; that something does not exist or is not spent yet is
 * believed.
 */
export function esploraBackend(options: EsploraOptions): ChainBackend {
  const urls = typeof options.url === 'string' ? [options.url] : [...new Set(options.url)];
  const timeoutMs = options.timeoutMs ?? 30_000;
  const http = new HttpClient({ timeoutMs, retries: options.retries ?? (urls.length > 1 ? 0 : 2) });
  const health = new HealthTracker(options);
  const pool = new EsploraPool({
    clients: urls.map((url) => new EsploraClient({ url, http })),
    health,
    tipTimeoutMs: Math.min(timeoutMs, longestTipWaitMs),
    network: options.network,
    pause: (ms, signal) => http.pause(ms, signal),
  });

  async function getBlockHash(height: number): Promise<Uint8Array | undefined> {
    const best = pool.tree?.best;
    if (best === undefined || height > best.height) {
      const tip = await pool.refresh();
      if (height > tip.height) return undefined;
    }
    return pool.tree?.activeAt(height)?.hash ?? pool.ask((client) => client.hashAt(height));
  }

  async function getBlock(at: number | Uint8Array): Promise<ChainBlock | undefined> {
    const hash = typeof at === 'number' ? await getBlockHash(at) : at;
    if (hash === undefined) return undefined;
    const placed = typeof at === 'number' ? at : pool.tree?.get(hash)?.height;
    const find = async (client: EsploraClient, network: Network): Promise<ChainBlock | undefined> => {
      const height = placed ?? (await client.heightOf(hash));
      const block: Block | undefined =
        height === undefined ? undefined : await client.block(hash, { network, height });
      return block && height !== undefined ? { ...block, hash, height } : undefined;
    };
    return pool.ask(find, { everywhere: true });
  }

  function getTransaction(id: Uint8Array): Promise<Transaction | undefined> {
    return pool.ask((client) => client.transaction(id), { everywhere: true });
  }

  async function locateAt(client: EsploraClient, id: Uint8Array): Promise<TransactionLocation | undefined> {
    // A second time where a reorganisation came in between.
    for (let attempt = 0; attempt < 2; attempt++) {
      const status = await client.status(id);
      if (status === undefined) return undefined;
      if (!status.confirmed) return { in: 'mempool' };
      const { block_hash: hashHex, block_height: height } = status;
      if (!hashHex || height === undefined || height === null) break;
      const blockHash = hashFromHex(hashHex);
      const index = await client.position(id, blockHash);
      if (index !== undefined) return { in: 'chain', height, index, blockHash };
    }
    throw new ChainError('chain_bad_response', `the Esplora server ${client.url} lost a transaction`);
  }

  async function getTxOut(outpoint: Outpoint, includeMempool: boolean): Promise<UnspentOutput | undefined> {
    const found = await pool.ask(async (client) => {
      const [tx, status] = await Promise.all([
        client.transaction(outpoint.txid),
        client.status(outpoint.txid),
      ]);
      const output = tx?.outputs[outpoint.index];
      if (tx === undefined || status === undefined || output === undefined) return undefined;
      if (!status.confirmed && !includeMempool) return undefined;
      const spend = await client.outspend(outpoint);
      const spentInChain = spend?.status?.confirmed === true;
      if (spend?.spent === true && (includeMempool || spentInChain)) return undefined;
      return { ...output, status, coinbase: isCoinbase(tx) };
    });
    if (found === undefined) return undefined;
    const { valueSat, script, coinbase, status } = found;
    if (!status.confirmed) return { valueSat, script, coinbase, confirmations: 0 };
    const tip = await pool.refresh();
    const confirmations = Math.max(tip.height - (status.block_height ?? tip.height) + 1, 1);
    return { valueSat, script, coinbase, confirmations };
  }

  async function broadcast(tx: Transaction): Promise<BroadcastResult> {
    const results = await pool.tellAll(
      (client) => client.broadcast(tx),
      ({ accepted }) => accepted,
    );
    return results[0] as BroadcastResult;
  }

  async function broadcastPackage(transactions: readonly Transaction[]): Promise<readonly BroadcastResult[]> {
    const answers = await pool.tellAll(
      (client) => client.broadcastPackage(transactions),
      (results) => results.every(({ accepted }) => accepted),
    );
    return transactions.map((_, i) => {
      const results = answers.map((answer) => answer[i] as BroadcastResult);
      return results.find(({ accepted }) => accepted) ?? (results[0] as BroadcastResult);
    });
  }

  async function estimateFeeratePerKw(targetBlocks: number): Promise<number | undefined> {
    const estimates = (await pool.ask((client) => client.feeEstimates())) ?? {};
    const targets = Object.keys(estimates)
      .map(Number)
      .sort((a, b) => a - b);
    const target = targets.findLast((one) => one <= targetBlocks) ?? targets[0];
    if (target === undefined) return undefined;
    // From satoshis a virtual byte, with a little rounded away that binary fractions add.
    const perKw = Math.ceil(Math.round((estimates[target] as number) * 250_000) / 1000);
    return Math.max(minimumFeeratePerKw, perKw);
  }

  async function getMempoolSpend(outpoint: Outpoint): Promise<Transaction | undefined> {
    const spend = await pool.ask((client) => client.outspend(outpoint));
    const waiting = spend?.spent === true && spend.status?.confirmed !== true ? spend.txid : undefined;
    if (waiting === undefined || waiting === null) return undefined;
    const tx = await getTransaction(hashFromHex(waiting));
    const spends = tx?.inputs.some(({ outpoint: { txid, index } }) => {
      return index === outpoint.index && equalBytes(txid, outpoint.txid);
    });
    return spends === true ? tx : undefined;
  }

  /** A coin that a server says to exist, with what its transaction says of it. */
  async function coinOf(script: Uint8Array, unspent: EsploraUnspent): Promise<FoundCoin | undefined> {
    const height = unspent.status.block_height;
    if (!unspent.status.confirmed || height === undefined || height === null) return undefined;
    const id = hashFromHex(unspent.txid);
    const tx = await getTransaction(id);
    const output = tx?.outputs[unspent.vout];
    if (tx === undefined || output === undefined || !equalBytes(output.script, script)) return undefined;
    return { txid: id, index: unspent.vout, height, ...output, coinbase: isCoinbase(tx) };
  }

  async function scanScripts(request: {
    scripts: readonly Uint8Array[];
    fromHeight?: number;
  }): Promise<readonly FoundCoin[]> {
    const waiting = new Map(request.scripts.map((script) => [bytesToHex(script), script])).values();
    const coins: FoundCoin[] = [];
    const work = async (): Promise<void> => {
      for (const script of waiting) {
        for (const unspent of (await pool.ask((client) => client.unspent(sha256(script)))) ?? []) {
          const coin = await coinOf(script, unspent);
          if (coin !== undefined && coin.height >= (request.fromHeight ?? 0)) coins.push(coin);
        }
      }
    };
    await Promise.all(Array.from({ length: scansAtOnce }, work));
    return coins.sort((a, b) => a.height - b.height);
  }

  const watcher = new TipWatcher(http, async (last) => {
    if (last !== undefined) await http.pause(options.pollMs ?? 5000);
    return pool.refresh();
  });

  return {
    kind: 'esplora',
    getNetwork: () => pool.network(),
    getTip: () => pool.refresh(),
    getBlockHash,
    getBlock,
    broadcast,
    broadcastPackage,
    estimateFeeratePerKw,
    getTxOut: (outpoint, lookup) => getTxOut(outpoint, lookup?.includeMempool ?? true),
    locateTransaction: (id) => pool.ask((client) => locateAt(client, id)),
    getTransaction,
    getMempoolSpend,
    scanScripts,
    onTip: (listener) => watcher.add(listener),
    health: () => health.health,
    onHealth: (listener) => health.onChange(listener),
    close: async () => http.close(),
  };
}
