import { readFile } from 'node:fs/promises';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { decodeTransaction, encodeTransaction, type Transaction, txid } from '@rivulet/core/tx';
import { z } from 'zod';
import { type Block, decodeBlock } from '../block.js';
import {
  type BroadcastResult,
  type ChainBackend,
  type ChainBlock,
  type ChainTip,
  minimumFeeratePerKw,
  type TransactionLocation,
} from '../chainBackend.js';
import { ChainError } from '../chainError.js';
import { type Network, networks } from '../network.js';
import { hashToHex, prepareTransaction } from '../regtest/preparedTransaction.js';
import { rpcCodes } from '../regtest/rpcError.js';
import { broadcastCodeOf } from '../regtest/txRejection.js';
import { bytesFromHex, hashFromHex, satoshis } from './chainValues.js';
import { HttpClient } from './httpClient.js';
import { TipWatcher } from './tipWatcher.js';

export interface BitcoindOptions {
  /** For example `http://127.0.0.1:8332`. */
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
  /** Instead of user and password: bitcoind's `.cookie`, read again whenever bitcoind has restarted. */
  readonly cookiePath?: string;
  /** Milliseconds for one call. Default: 30,000 */
  readonly timeoutMs?: number;
  /** Repetitions of a call that could not be delivered. Default: 2 */
  readonly retries?: number;
  /** How long one wait for a new block lasts, in milliseconds. Default: 20,000 */
  readonly longPollMs?: number;
}

/** How versions of bitcoind refuse an argument that they do not know. */
const tooManyArguments: ReadonlySet<number | undefined> = new Set([
  rpcCodes.miscellaneous,
  rpcCodes.type,
  rpcCodes.invalidParameter,
]);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const tipSchema = z.object({ hash, height: z.int() });
const envelope = z.object({
  result: z.unknown(),
  error: z.object({ code: z.number(), message: z.string() }).nullish(),
});
const rawTransactionSchema = z.object({ hex: z.string(), blockhash: hash.optional() });
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

/** Bitcoin Core over JSON-RPC. Confirmed transactions by txid need its `txindex=1`. */
export function bitcoindBackend(options: BitcoindOptions): ChainBackend {
  const client = new HttpClient({ timeoutMs: options.timeoutMs ?? 30_000, retries: options.retries ?? 2 });
  const longPollMs = options.longPollMs ?? 20_000;
  const pollMs = Math.min(longPollMs, 2000);
  let tipWait: 'from tip' | 'plain' | 'poll' = 'from tip';

  async function authorization(): Promise<string> {
    let login = `${options.user ?? ''}:${options.password ?? ''}`;
    if (options.cookiePath !== undefined) {
      try {
        login = (await readFile(options.cookiePath, 'utf8')).trim();
      } catch (cause) {
        const message = `no cookie at ${options.cookiePath}: is bitcoind running?`;
        throw new ChainError('chain_unauthorized', message, { cause });
      }
    }
    return `Basic ${Buffer.from(login).toString('base64')}`;
  }

  /** One JSON-RPC call. Errors of bitcoind are `chain_server_error` with its code. */
  async function call<T>(
    schema: z.ZodType<T>,
    method: string,
    params: readonly unknown[] = [],
    timeoutMs?: number,
  ): Promise<T> {
    const response = await client.request(options.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: await authorization() },
      body: JSON.stringify({ jsonrpc: '1.0', id: 'rivulet', method, params }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
    if (response.status === 401 || response.status === 403) {
      throw new ChainError('chain_unauthorized', 'bitcoind refused the user, password or cookie');
    }
    let answer: z.infer<typeof envelope>;
    try {
      answer = envelope.parse(JSON.parse(response.body.toString('utf8')));
    } catch (cause) {
      const message = `bitcoind answered ${method} with HTTP ${response.status} and no JSON-RPC`;
      throw new ChainError('chain_bad_response', message, { cause, serverCode: response.status });
    }
    if (answer.error) {
      const { code, message } = answer.error;
      throw new ChainError('chain_server_error', `bitcoind refused ${method}: ${message}`, {
        serverCode: code,
        cause: message,
      });
    }
    const result = schema.safeParse(answer.result);
    if (!result.success) {
      const message = `bitcoind answered ${method} with something unexpected`;
      throw new ChainError('chain_bad_response', message, { cause: result.error });
    }
    return result.data;
  }

  /** The call's result, or `undefined` where bitcoind says that there is no such thing. */
  async function find<T>(code: number, attempt: Promise<T>): Promise<T | undefined> {
    try {
      return await attempt;
    } catch (error) {
      if (error instanceof ChainError && error.serverCode === code) return undefined;
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

  async function getTip(): Promise<ChainTip> {
    const info = await call(z.object({ blocks: z.int(), bestblockhash: hash }), 'getblockchaininfo');
    return { height: info.blocks, hash: hashFromHex(info.bestblockhash) };
  }

  async function getBlockHash(height: number): Promise<Uint8Array | undefined> {
    const found = await find(rpcCodes.invalidParameter, call(hash, 'getblockhash', [height]));
    return found === undefined ? undefined : hashFromHex(found);
  }

  async function getBlock(at: number | Uint8Array): Promise<ChainBlock | undefined> {
    const blockHash = typeof at === 'number' ? await getBlockHash(at) : at;
    if (blockHash === undefined) return undefined;
    const hashHex = hashToHex(blockHash);
    const [hex, header] = await Promise.all([
      find(rpcCodes.invalidAddressOrKey, call(z.string(), 'getblock', [hashHex, 0])),
      find(
        rpcCodes.invalidAddressOrKey,
        call(z.object({ height: z.int() }), 'getblockheader', [hashHex, true]),
      ),
    ]);
    if (hex === undefined || header === undefined) return undefined;
    const block: Block = decode('block', () => decodeBlock(hexToBytes(hex)));
    return { ...block, hash: blockHash, height: header.height };
  }

  async function rawTransaction(id: Uint8Array): Promise<z.infer<typeof rawTransactionSchema> | undefined> {
    const found = call(rawTransactionSchema, 'getrawtransaction', [hashToHex(id), true]);
    return find(rpcCodes.invalidAddressOrKey, found);
  }

  async function getTransaction(id: Uint8Array): Promise<Transaction | undefined> {
    const found = await rawTransaction(id);
    return found && decode('transaction', () => decodeTransaction(hexToBytes(found.hex)));
  }

  async function locateTransaction(id: Uint8Array): Promise<TransactionLocation | undefined> {
    const found = await rawTransaction(id);
    if (found === undefined) return undefined;
    if (found.blockhash === undefined) return { in: 'mempool' };
    const block = await call(z.object({ height: z.int(), tx: z.array(hash) }), 'getblock', [
      found.blockhash,
      1,
    ]);
    const index = block.tx.indexOf(hashToHex(id));
    return { in: 'chain', height: block.height, index, blockHash: hashFromHex(found.blockhash) };
  }

  async function broadcast(tx: Transaction): Promise<BroadcastResult> {
    try {
      // A maxfeerate of 0: the fee is the caller's decision, and penalty transactions may pay much.
      await call(z.string(), 'sendrawtransaction', [bytesToHex(encodeTransaction(tx)), 0]);
      return { accepted: true, txid: txid(tx) };
    } catch (error) {
      if (!(error instanceof ChainError)) throw error;
      const code = error.serverCode ?? 0;
      const isRejection = code === rpcCodes.deserialization || (code <= -25 && code >= -27);
      if (!isRejection) throw error;
      const message = String(error.cause);
      return { accepted: false, code: broadcastCodeOf(message), message };
    }
  }

  async function broadcastPackage(transactions: readonly Transaction[]): Promise<readonly BroadcastResult[]> {
    const hex = transactions.map((tx) => bytesToHex(encodeTransaction(tx)));
    let results: z.infer<typeof packageSchema>;
    try {
      results = await call(packageSchema, 'submitpackage', [hex]);
    } catch (error) {
      // Before Bitcoin Core 28, or a topology that it does not take as a package: one by one.
      if (!(error instanceof ChainError) || error.code !== 'chain_server_error') throw error;
      const single: BroadcastResult[] = [];
      for (const tx of transactions) single.push(await broadcast(tx));
      return single;
    }
    return transactions.map((tx): BroadcastResult => {
      const { txid: id, wtxidHex } = prepareTransaction(tx);
      const message = results['tx-results'][wtxidHex]?.error;
      if (message === undefined) return { accepted: true, txid: id };
      return { accepted: false, code: broadcastCodeOf(message), message };
    });
  }

  /** Waits for a tip other than `last`, by the best means that this bitcoind has. */
  async function nextTip(last: ChainTip): Promise<ChainTip> {
    if (tipWait === 'poll') {
      await client.pause(pollMs);
      return getTip();
    }
    // Without the tip to wait from, a block between two waits is noticed only after the wait: a short one.
    const params = tipWait === 'from tip' ? [longPollMs, hashToHex(last.hash)] : [pollMs];
    try {
      const tip = await call(tipSchema, 'waitfornewblock', params, longPollMs + 10_000);
      return { height: tip.height, hash: hashFromHex(tip.hash) };
    } catch (error) {
      const code = error instanceof ChainError ? error.serverCode : undefined;
      if (code === rpcCodes.methodNotFound) tipWait = 'poll';
      else if (tipWait === 'from tip' && tooManyArguments.has(code)) tipWait = 'plain';
      else throw error;
      return getTip();
    }
  }

  const watcher = new TipWatcher(client, (last) => (last === undefined ? getTip() : nextTip(last)));

  return {
    kind: 'bitcoind',
    getNetwork: async (): Promise<Network> => {
      const { chain } = await call(z.object({ chain: z.string() }), 'getblockchaininfo');
      const known = Object.values(networks).find((one) => one.coreName === chain);
      if (known === undefined) {
        const message = `bitcoind is on ${chain}, a network that Rivulet does not support`;
        throw new ChainError('chain_wrong_network', message);
      }
      return known.network;
    },
    getTip,
    getBlockHash,
    getBlock,
    broadcast,
    broadcastPackage,
    estimateFeeratePerKw: async (targetBlocks) => {
      const target = Math.min(Math.max(Math.trunc(targetBlocks), 1), 1008);
      const { feerate } = await call(z.object({ feerate: z.number().optional() }), 'estimatesmartfee', [
        target,
      ]);
      if (feerate === undefined) return undefined;
      // From bitcoin a 1000 virtual bytes; rounded first, because 0.00001012 * 1e8 is not 1012.
      const satPerKvb = Math.round(feerate * 1e8);
      return Math.max(minimumFeeratePerKw, Math.ceil(satPerKvb / 4));
    },
    getTxOut: async (outpoint, lookup) => {
      const includeMempool = lookup?.includeMempool ?? true;
      const params = [hashToHex(outpoint.txid), outpoint.index, includeMempool];
      const found = await call(txOutSchema.nullable(), 'gettxout', params);
      if (found === null) return undefined;
      return {
        valueSat: satoshis(found.value),
        script: bytesFromHex(found.scriptPubKey.hex),
        confirmations: found.confirmations,
        coinbase: found.coinbase,
      };
    },
    locateTransaction,
    getTransaction,
    getMempoolSpend: async (outpoint) => {
      const params = [[{ txid: hashToHex(outpoint.txid), vout: outpoint.index }]];
      const schema = z.array(z.object({ spendingtxid: hash.optional() })).length(1);
      const [found] = await call(schema, 'gettxspendingprevout', params);
      const spender = found?.spendingtxid;
      return spender === undefined ? undefined : getTransaction(hashFromHex(spender));
    },
    onTip: (listener) => watcher.add(listener),
    close: async () => client.close(),
  };
}
