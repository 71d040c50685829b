import { bytesToHex } from '@rivulet/core/bytes';
import {
  decodeTransaction,
  encodeTransaction,
  type Outpoint,
  type Transaction,
  txid,
} from '@rivulet/core/tx';
import { z } from 'zod';
import { decodeBlock } from '../block.js';
import {
  type BroadcastResult,
  type ChainBackend,
  type ChainBlock,
  type ChainTip,
  minimumFeeratePerKw,
  type TransactionLocation,
  type UnspentOutput,
} from '../chainBackend.js';
import { ChainError } from '../chainError.js';
import { type Network, networkOfChainHash } from '../network.js';
import { hashToHex, prepareTransaction } from '../regtest/preparedTransaction.js';
import { broadcastCodeOf } from '../regtest/txRejection.js';
import { bytesFromHex, hashFromHex } from './chainValues.js';
import { HttpClient, type HttpResponse } from './httpClient.js';
import { TipWatcher } from './tipWatcher.js';

export interface EsploraOptions {
  /** With its path, for example `https://blockstream.info/api`. */
  readonly url: string;
  /** Milliseconds for one call. Default: 30,000 */
  readonly timeoutMs?: number;
  /** Repetitions of a call that could not be delivered. Default: 2 */
  readonly retries?: number;
  /** Between two looks at the tip, in milliseconds. Default: 5,000 */
  readonly pollMs?: number;
}

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const statusSchema = z.object({
  confirmed: z.boolean(),
  block_height: z.int().optional(),
  block_hash: hash.optional(),
});
const transactionSchema = z.object({
  status: statusSchema,
  vin: z.array(z.object({ is_coinbase: z.boolean() })),
  vout: z.array(z.object({ scriptpubkey: z.string(), value: z.int().nonnegative() })),
});
const outspendSchema = z.object({
  spent: z.boolean(),
  txid: hash.optional(),
  status: statusSchema.optional(),
});
const packageSchema = z.object({
  'tx-results': z.record(z.string(), z.object({ error: z.string().nullish() })),
});

/** What bitcoind said, out of Esplora's `sendrawtransaction RPC error: {"code":-26,"message":"..."}`. */
function reasonOf(text: string): string {
  const match = /"message"\s*:\s*("(?:[^"\\]|\\.)*")/.exec(text);
  return match === null ? text : (JSON.parse(match[1] as string) as string);
}

/** An Esplora server: needs no node of one's own, but is trusted for what it says and learns what is asked. */
export function esploraBackend(options: EsploraOptions): ChainBackend {
  const client = new HttpClient({ timeoutMs: options.timeoutMs ?? 30_000, retries: options.retries ?? 2 });
  const base = options.url.replace(/\/+$/, '');

  /** The answer; `undefined` for 404. */
  async function get(path: string): Promise<Buffer | undefined> {
    const { status, body } = await client.request(`${base}${path}`);
    if (status === 200) return body;
    if (status === 404) return undefined;
    const serverCode = status;
    if (status === 401 || status === 403) {
      throw new ChainError('chain_unauthorized', 'the Esplora server refused access', { serverCode });
    }
    throw new ChainError('chain_server_error', `the Esplora server answered ${path} with HTTP ${status}`, {
      serverCode,
    });
  }

  function decode<T>(path: string, read: () => T): T {
    try {
      return read();
    } catch (cause) {
      const message = `the Esplora server answered ${path} with something unexpected`;
      throw new ChainError('chain_bad_response', message, { cause });
    }
  }

  async function getJson<T>(schema: z.ZodType<T>, path: string): Promise<T | undefined> {
    const body = await get(path);
    return body && decode(path, () => schema.parse(JSON.parse(body.toString('utf8'))));
  }

  async function getHash(path: string): Promise<Uint8Array | undefined> {
    const body = await get(path);
    return body && hashFromHex(body.toString('utf8').trim());
  }

  function required<T>(what: string, value: T | undefined): T {
    if (value !== undefined) return value;
    throw new ChainError('chain_bad_response', `the Esplora server has no ${what}`);
  }

  async function blockHeight(blockHash: Uint8Array): Promise<number | undefined> {
    return (await getJson(z.object({ height: z.int() }), `/block/${hashToHex(blockHash)}`))?.height;
  }

  async function getTip(): Promise<ChainTip> {
    // By hash and not by two calls for hash and height: a block may come between them.
    const tip = required('tip', await getHash('/blocks/tip/hash'));
    return { hash: tip, height: required('tip', await blockHeight(tip)) };
  }

  async function getBlock(at: number | Uint8Array): Promise<ChainBlock | undefined> {
    const blockHash = typeof at === 'number' ? await getHash(`/block-height/${at}`) : at;
    if (blockHash === undefined) return undefined;
    const path = `/block/${hashToHex(blockHash)}/raw`;
    const [bytes, height] = await Promise.all([get(path), blockHeight(blockHash)]);
    if (bytes === undefined || height === undefined) return undefined;
    const block = decode(path, () => decodeBlock(Uint8Array.from(bytes)));
    return { ...block, hash: blockHash, height };
  }

  async function getTransaction(id: Uint8Array): Promise<Transaction | undefined> {
    const path = `/tx/${hashToHex(id)}/raw`;
    const bytes = await get(path);
    return bytes && decode(path, () => decodeTransaction(Uint8Array.from(bytes)));
  }

  async function locateTransaction(id: Uint8Array): Promise<TransactionLocation | undefined> {
    const txidHex = hashToHex(id);
    const found = await getJson(transactionSchema, `/tx/${txidHex}`);
    if (found === undefined) return undefined;
    const { confirmed, block_height: height, block_hash: blockHash } = found.status;
    if (!confirmed) return { in: 'mempool' };
    const proof = await getJson(z.object({ pos: z.int() }), `/tx/${txidHex}/merkle-proof`);
    return {
      in: 'chain',
      height: required('height of a confirmed transaction', height),
      index: required('proof of a confirmed transaction', proof?.pos),
      blockHash: hashFromHex(required('block of a confirmed transaction', blockHash)),
    };
  }

  function outspend({ txid: id, index }: Outpoint): Promise<z.infer<typeof outspendSchema> | undefined> {
    return getJson(outspendSchema, `/tx/${hashToHex(id)}/outspend/${index}`);
  }

  async function getTxOut(outpoint: Outpoint, includeMempool: boolean): Promise<UnspentOutput | undefined> {
    const found = await getJson(transactionSchema, `/tx/${hashToHex(outpoint.txid)}`);
    const output = found?.vout[outpoint.index];
    if (found === undefined || output === undefined) return undefined;
    const { confirmed, block_height: height } = found.status;
    if (!confirmed && !includeMempool) return undefined;
    const spend = await outspend(outpoint);
    const spentInChain = spend?.status?.confirmed === true;
    if (spend?.spent === true && (includeMempool || spentInChain)) return undefined;
    const tip = confirmed ? await getTip() : undefined;
    return {
      valueSat: BigInt(output.value),
      script: bytesFromHex(output.scriptpubkey),
      confirmations: tip === undefined ? 0 : Math.max(tip.height - (height ?? tip.height) + 1, 1),
      coinbase: found.vin[0]?.is_coinbase === true,
    };
  }

  function post(path: string, body: string): Promise<HttpResponse> {
    return client.request(`${base}${path}`, { method: 'POST', body });
  }

  function serverError(path: string, status: number): ChainError {
    const message = `the Esplora server answered ${path} with HTTP ${status}`;
    return new ChainError('chain_server_error', message, { serverCode: status });
  }

  async function broadcast(tx: Transaction): Promise<BroadcastResult> {
    const { status, body } = await post('/tx', bytesToHex(encodeTransaction(tx)));
    if (status === 200) return { accepted: true, txid: txid(tx) };
    if (status !== 400) throw serverError('/tx', status);
    const message = reasonOf(body.toString('utf8'));
    return { accepted: false, code: broadcastCodeOf(message), message };
  }

  async function broadcastPackage(transactions: readonly Transaction[]): Promise<readonly BroadcastResult[]> {
    const hex = transactions.map((tx) => bytesToHex(encodeTransaction(tx)));
    const { status, body } = await post('/txs/package', JSON.stringify(hex));
    if (status !== 200) {
      // Not every server has package relay.
      const single: BroadcastResult[] = [];
      for (const tx of transactions) single.push(await broadcast(tx));
      return single;
    }
    const results = decode('/txs/package', () => packageSchema.parse(JSON.parse(body.toString('utf8'))));
    return transactions.map((tx): BroadcastResult => {
      const { txid: id, wtxidHex } = prepareTransaction(tx);
      const message = results['tx-results'][wtxidHex]?.error;
      if (!message) return { accepted: true, txid: id };
      return { accepted: false, code: broadcastCodeOf(message), message };
    });
  }

  async function estimateFeeratePerKw(targetBlocks: number): Promise<number | undefined> {
    const estimates = await getJson(z.record(z.string(), z.number()), '/fee-estimates');
    const targets = Object.keys(estimates ?? {})
      .map(Number)
      .sort((a, b) => a - b);
    const target = targets.findLast((one) => one <= targetBlocks) ?? targets[0];
    if (target === undefined) return undefined;
    // From satoshis a virtual byte, with a little rounded away that binary fractions add.
    const perKw = Math.ceil(Math.round((estimates?.[target] as number) * 250_000) / 1000);
    return Math.max(minimumFeeratePerKw, perKw);
  }

  const watcher = new TipWatcher(client, async (last) => {
    if (last !== undefined) await client.pause(options.pollMs ?? 5000);
    return getTip();
  });

  return {
    kind: 'esplora',
    getNetwork: async (): Promise<Network> => {
      const genesis = required('genesis block', await getHash('/block-height/0'));
      const network = networkOfChainHash(genesis);
      if (network !== undefined) return network;
      const message = 'the Esplora server is on a network that Rivulet does not support';
      throw new ChainError('chain_wrong_network', message);
    },
    getTip,
    getBlockHash: (height) => getHash(`/block-height/${height}`),
    getBlock,
    broadcast,
    broadcastPackage,
    estimateFeeratePerKw,
    getTxOut: (outpoint, lookup) => getTxOut(outpoint, lookup?.includeMempool ?? true),
    locateTransaction,
    getTransaction,
    getMempoolSpend: async (outpoint) => {
      const spend = await outspend(outpoint);
      const waiting = spend?.spent === true && spend.status?.confirmed !== true ? spend.txid : undefined;
      return waiting === undefined ? undefined : getTransaction(hashFromHex(waiting));
    },
    onTip: (listener) => watcher.add(listener),
    close: async () => client.close(),
  };
}
