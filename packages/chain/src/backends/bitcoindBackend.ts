import { bytesToHex, equalBytes, hexToBytes } from '@rivulet/core/bytes';
import {
  decodeTransaction,
  encodeTransaction,
  type Outpoint,
  type Transaction,
  txid,
} from '@rivulet/core/tx';
import { z } from 'zod';
import { type Block, blockHash, decodeBlock } from '../block.js';
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
import { type Network, networks } from '../network.js';
import { hashToHex, prepareTransaction } from '../regtest/preparedTransaction.js';
import { rpcCodes } from '../regtest/rpcError.js';
import { broadcastCodeOf } from '../regtest/txRejection.js';
import { BitcoindTips } from './bitcoindTips.js';
import { bytesFromHex, hashFromHex, satoshis } from './chainValues.js';
import { type HealthOptions, HealthTracker } from './healthTracker.js';
import { HttpClient } from './httpClient.js';
import { fetchPruned, isPruned } from './prunedBlocks.js';
import { RpcClient, type RpcLogin } from './rpcClient.js';
import { TipWatcher } from './tipWatcher.js';

export interface BitcoindOptions extends RpcLogin, HealthOptions {
  /** bitcoind's `zmqpubhashblock` or `zmqpubrawblock`, for example `tcp://127.0.0.1:28332`: news come at once. */
  readonly zmqUrl?: string;
  /** Milliseconds for one call. Default: 30,000 */
  readonly timeoutMs?: number;
  /** Repetitions of a call that could not be delivered. Default: 2 */
  readonly retries?: number;
  /** How long one wait for a new block lasts, in milliseconds. Default: 20,000 */
  readonly longPollMs?: number;
  /** How long peers may take to send a block that was pruned, in milliseconds. Default: 60,000 */
  readonly prunedTimeoutMs?: number;
  /** How long a search for coins may take, in milliseconds. Default: an hour */
  readonly scanTimeoutMs?: number;
}

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const rawTransactionSchema = z.object({ hex: z.string(), blockhash: hash.nullish() });
const txOutSchema = z.object({
  confirmations: z.int(),
  value: z.number(),
  scriptPubKey: z.object({ hex: z.string() }),
  coinbase: z.boolean(),
});
const packageSchema = z.object({
  package_msg: z.string(),
  'tx-results': z.record(z.string(), z.object({ error: z.string().optional() })),
});
const scanSchema = z.object({
  unspents: z.array(
    z.object({
      txid: hash,
      vout: z.int().nonnegative(),
      scriptPubKey: z.string(),
      amount: z.number(),
      height: z.int().nonnegative(),
      coinbase: z.boolean().optional(),
    }),
  ),
});

/** A block in hex inside JSON, and some. */
const maxBlockBytes = 10_000_000;
const hourMs = 3_600_000;

/** Bitcoin Core over JSON-RPC. Confirmed transactions by txid need its `txindex=1`. */
export function bitcoindBackend(options: BitcoindOptions): ChainBackend {
  const client = new HttpClient({ timeoutMs: options.timeoutMs ?? 30_000, retries: options.retries ?? 2 });
  const health = new HealthTracker(options);
  const rpc = new RpcClient({
    login: options,
    http: client,
    onOutcome: (failure) => tips.callEnded(failure),
  });
  const tips = new BitcoindTips({
    rpc,
    client,
    health,
    longPollMs: options.longPollMs ?? 20_000,
    zmqUrl: options.zmqUrl,
  });
  let takesPackages = true;

  /** The call's result, or `undefined` where bitcoind says that there is no such thing. */
  async function find<T>(code: number, attempt: Promise<T>): Promise<T | undefined> {
    try {
      return await attempt;
    } catch (error) {
      if (!(error instanceof ChainError) || error.code !== 'chain_server_error') throw error;
      if (error.serverCode === code) return undefined;
      // Other implementations have the words, but not the number.
      const { serverCode, cause } = error;
      if (serverCode === rpcCodes.miscellaneous && /not found/i.test(String(cause))) return undefined;
      throw error;
    }
  }

  function decode<T>(what: string, read: () => T): T {
    try {
      return read();
    } catch (cause) {
      throw new ChainError('chain_bad_response', `bitcoind sent a ${what} that does not decode`, { cause });
    }
  }

  async function getBlockHash(height: number): Promise<Uint8Array | undefined> {
    const found = await find(rpcCodes.invalidParameter, rpc.call(hash, 'getblockhash', [height]));
    return found === undefined ? undefined : hashFromHex(found);
  }

  async function blockHeight(hashHex: string): Promise<number | undefined> {
    const header = rpc.call(z.object({ height: z.int() }), 'getblockheader', [hashHex, true]);
    return (await find(rpcCodes.invalidAddressOrKey, header))?.height;
  }

  async function rawBlock(hashHex: string): Promise<{ hex: string; height: number } | undefined> {
    const raw = () => rpc.call(z.string(), 'getblock', [hashHex, 0], { maxBytes: maxBlockBytes });
    const [hex, height] = await Promise.all([
      find(rpcCodes.invalidAddressOrKey, raw()).catch((error: unknown) => {
        if (isPruned(error)) return 'pruned' as const;
        throw error;
      }),
      blockHeight(hashHex),
    ]);
    if (hex === undefined || height === undefined) return undefined;
    if (hex !== 'pruned') return { hex, height };
    const look = (): Promise<string | undefined> =>
      raw().catch((error: unknown) => {
        if (isPruned(error)) return undefined;
        throw error;
      });
    const timeoutMs = options.prunedTimeoutMs ?? 60_000;
    const pause = (ms: number): Promise<void> => client.pause(ms);
    return { hex: await fetchPruned({ rpc, hashHex, height, timeoutMs, pause, look }), height };
  }

  async function getBlock(at: number | Uint8Array): Promise<ChainBlock | undefined> {
    const wanted = typeof at === 'number' ? await getBlockHash(at) : at;
    if (wanted === undefined) return undefined;
    const found = await rawBlock(hashToHex(wanted));
    if (found === undefined) return undefined;
    const block: Block = decode('block', () => decodeBlock(hexToBytes(found.hex)));
    if (!equalBytes(blockHash(block.header), wanted)) {
      throw new ChainError('chain_invalid_data', 'bitcoind sent another block than the one asked for');
    }
    return { ...block, hash: wanted, height: found.height };
  }

  async function rawTransaction(id: Uint8Array): Promise<z.infer<typeof rawTransactionSchema> | undefined> {
    const found = rpc.call(rawTransactionSchema, 'getrawtransaction', [hashToHex(id), true]);
    return find(rpcCodes.invalidAddressOrKey, found);
  }

  async function getTransaction(id: Uint8Array): Promise<Transaction | undefined> {
    const found = await rawTransaction(id);
    return found && decode('transaction', () => decodeTransaction(hexToBytes(found.hex)));
  }

  async function locateTransaction(id: Uint8Array): Promise<TransactionLocation | undefined> {
    const found = await rawTransaction(id);
    if (found === undefined) return undefined;
    if (!found.blockhash) return { in: 'mempool' };
    const schema = z.object({ height: z.int(), tx: z.array(hash) });
    const block = await rpc.call(schema, 'getblock', [found.blockhash, 1]);
    const index = block.tx.indexOf(hashToHex(id));
    return { in: 'chain', height: block.height, index, blockHash: hashFromHex(found.blockhash) };
  }

  async function broadcast(tx: Transaction): Promise<BroadcastResult> {
    try {
      // A maxfeerate of 0: the fee is the caller's decision, and penalty transactions may pay much.
      await rpc.call(z.string(), 'sendrawtransaction', [bytesToHex(encodeTransaction(tx)), 0]);
      return { accepted: true, txid: txid(tx) };
    } catch (error) {
      if (!(error instanceof ChainError)) throw error;
      const code = error.serverCode ?? 0;
      const isRejection = code === rpcCodes.deserialization || (code <= -25 && code >= -27);
      if (error.code !== 'chain_server_error' || !isRejection) throw error;
      const message = String(error.cause);
      return { accepted: false, code: broadcastCodeOf(message), message };
    }
  }

  async function oneByOne(transactions: readonly Transaction[]): Promise<readonly BroadcastResult[]> {
    const results: BroadcastResult[] = [];
    for (const tx of transactions) results.push(await broadcast(tx));
    return results;
  }

  async function broadcastPackage(transactions: readonly Transaction[]): Promise<readonly BroadcastResult[]> {
    if (!takesPackages) return oneByOne(transactions);
    const hex = transactions.map((tx) => bytesToHex(encodeTransaction(tx)));
    let results: z.infer<typeof packageSchema>;
    try {
      results = await rpc.call(packageSchema, 'submitpackage', [hex]);
    } catch (error) {
      if (!(error instanceof ChainError) || error.code !== 'chain_server_error') throw error;
      // Before Bitcoin Core 28, or a topology that it does not take as a package.
      if (error.serverCode === rpcCodes.methodNotFound) takesPackages = false;
      return oneByOne(transactions);
    }
    return transactions.map((tx): BroadcastResult => {
      const { txid: id, wtxidHex } = prepareTransaction(tx);
      const message = results['tx-results'][wtxidHex]?.error;
      if (message === undefined) return { accepted: true, txid: id };
      return { accepted: false, code: broadcastCodeOf(message), message };
    });
  }

  async function estimateFeeratePerKw(targetBlocks: number): Promise<number | undefined> {
    const target = Math.min(Math.max(Math.trunc(targetBlocks), 1), 1008);
    const schema = z.object({ feerate: z.number().optional() });
    const { feerate } = await rpc.call(schema, 'estimatesmartfee', [target]);
    if (feerate === undefined) return undefined;
    // From bitcoin a 1000 virtual bytes; rounded first, because 0.00001012 * 1e8 is not 1012.
    const satPerKvb = Math.round(feerate * 1e8);
    return Math.max(minimumFeeratePerKw, Math.ceil(satPerKvb / 4));
  }

  async function getTxOut(
    { txid: id, index }: Outpoint,
    { includeMempool = true }: { includeMempool?: boolean } = {},
  ): Promise<UnspentOutput | undefined> {
    const found = await rpc.call(txOutSchema.nullable(), 'gettxout', [hashToHex(id), index, includeMempool]);
    if (found === null) return undefined;
    return {
      valueSat: satoshis(found.value),
      script: bytesFromHex(found.scriptPubKey.hex),
      confirmations: found.confirmations,
      coinbase: found.coinbase,
    };
  }

  async function getMempoolSpend(outpoint: Outpoint): Promise<Transaction | undefined> {
    const params = [[{ txid: hashToHex(outpoint.txid), vout: outpoint.index }]];
    const schema = z.array(z.object({ spendingtxid: hash.optional() })).length(1);
    const [found] = await rpc.call(schema, 'gettxspendingprevout', params);
    const spender = found?.spendingtxid;
    return spender === undefined ? undefined : getTransaction(hashFromHex(spender));
  }

  async function scanScripts(request: {
    scripts: readonly Uint8Array[];
    fromHeight?: number;
  }): Promise<readonly FoundCoin[]> {
    if (request.scripts.length === 0) return [];
    const descriptors = request.scripts.map((script) => `raw(${bytesToHex(script)})`);
    const limits = { timeoutMs: options.scanTimeoutMs ?? hourMs, retries: 0 };
    let found: z.infer<typeof scanSchema>;
    try {
      found = await rpc.call(scanSchema, 'scantxoutset', ['start', descriptors], limits);
    } catch (error) {
      const busy = error instanceof ChainError && /scan already in progress/i.test(String(error.cause));
      if (!busy) throw error;
      throw new ChainError('chain_busy', 'bitcoind does another scan already: try again when it is over', {
        cause: error,
      });
    }
    const coins: FoundCoin[] = [];
    for (const { txid: txidHex, vout, scriptPubKey, amount, height, coinbase } of found.unspents) {
      if (height < (request.fromHeight ?? 0)) continue;
      const outpoint = { txid: hashFromHex(txidHex), index: vout };
      const isCoinbase = coinbase ?? (await getTxOut(outpoint, { includeMempool: false }))?.coinbase ?? false;
      const script = bytesFromHex(scriptPubKey);
      coins.push({ ...outpoint, height, valueSat: satoshis(amount), script, coinbase: isCoinbase });
    }
    return coins.sort((a, b) => a.height - b.height);
  }

  const watcher = new TipWatcher(client, (last) => tips.next(last));

  return {
    kind: 'bitcoind',
    getNetwork: async (): Promise<Network> => {
      const { chain } = await rpc.call(z.object({ chain: z.string() }), 'getblockchaininfo');
      const known = Object.values(networks).find((one) => one.coreName === chain);
      if (known === undefined) {
        const message = `bitcoind is on ${chain}, a network that Rivulet does not support`;
        throw new ChainError('chain_wrong_network', message);
      }
      return known.network;
    },
    getTip: () => tips.current(),
    getBlockHash,
    getBlock,
    broadcast,
    broadcastPackage,
    estimateFeeratePerKw,
    getTxOut,
    locateTransaction,
    getTransaction,
    getMempoolSpend,
    scanScripts,
    onTip: (listener) => watcher.add(listener),
    health: () => health.health,
    onHealth: (listener) => health.onChange(listener),
    close: async () => {
      tips.close();
      client.close();
    },
  };
}
