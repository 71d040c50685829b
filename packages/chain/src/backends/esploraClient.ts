import { bytesToHex, concatBytes, equalBytes } from '@rivulet/core/bytes';
import { sha256d } from '@rivulet/core/crypto';
import { decodeTransaction, encodeTransaction, type Transaction, txid } from '@rivulet/core/tx';
import { z } from 'zod';
import { type Block, type BlockHeader, blockHash, decodeBlock, decodeBlockHeader } from '../block.js';
import { blockFault } from '../blockChecks.js';
import type { BroadcastResult } from '../chainBackend.js';
import { ChainError } from '../chainError.js';
import { type Network, networkOfChainHash } from '../network.js';
import { proofOfWorkFault } from '../proofOfWork.js';
import { hashToHex, prepareTransaction } from '../regtest/preparedTransaction.js';
import { broadcastCodeOf } from '../regtest/txRejection.js';
import { shownUrl } from '../shownUrl.js';
import { bytesFromHex, hashFromHex } from './chainValues.js';
import type { HttpCall, HttpClient, HttpResponse } from './httpClient.js';

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const statusSchema = z.object({
  confirmed: z.boolean(),
  block_height: z.int().nullish(),
  block_hash: hash.nullish(),
});
const outspendSchema = z.object({
  spent: z.boolean(),
  txid: hash.nullish(),
  status: statusSchema.nullish(),
});
const proofSchema = z.object({ merkle: z.array(hash).max(32), pos: z.int().nonnegative() });
const unspentSchema = z.array(
  z.object({
    txid: hash,
    vout: z.int().nonnegative(),
    value: z.int().nonnegative(),
    status: statusSchema,
  }),
);
const packageSchema = z.object({
  'tx-results': z.record(z.string(), z.object({ error: z.string().nullish() })),
});

export type EsploraStatus = z.infer<typeof statusSchema>;
export type EsploraOutspend = z.infer<typeof outspendSchema>;
export type EsploraUnspent = z.infer<typeof unspentSchema>[number];

/** A hash or a number, and a whole block. */
const maxTextBytes = 4096;
const maxBlockBytes = 5_000_000;
const maxJsonBytes = 32_000_000;

/** What bitcoind said, out of Esplora's `sendrawtransaction RPC error: {"code":-26,"message":"..."}`. */
function reasonOf(text: string): string {
  const match = /"message"\s*:\s*("(?:[^"\\]|\\.)*")/.exec(text);
  return match === null ? text : (JSON.parse(match[1] as string) as string);
}

/**
 * One Esplora server. What can be checked of its answers is checked: `chain_invalid_data` says that the server
 * lies or is broken.
 */
export class EsploraClient {
  /** For messages: without what may be secret in it. */
  readonly url: string;
  readonly #base: string;
  readonly #http: HttpClient;

  constructor({ url, http }: { url: string; http: HttpClient }) {
    this.#base = url.replace(/\/+$/, '');
    this.url = shownUrl(url);
    this.#http = http;
  }

  #post(path: string, body: string): Promise<HttpResponse> {
    return this.#http.request(`${this.#base}${path}`, { method: 'POST', body });
  }

  /** The answer; `undefined` for 404. */
  async #get(path: string, limits: Pick<HttpCall, 'maxBytes' | 'timeoutMs'>): Promise<Buffer | undefined> {
    const { status, body } = await this.#http.request(`${this.#base}${path}`, limits);
    if (status === 200) return body;
    if (status === 404) return undefined;
    if (status === 401 || status === 403) {
      const message = `the Esplora server ${this.url} refused access`;
      throw new ChainError('chain_unauthorized', message, { serverCode: status });
    }
    throw this.#serverError(path, status);
  }

  #serverError(path: string, status: number): ChainError {
    const message = `the Esplora server ${this.url} answered ${path} with HTTP ${status}`;
    return new ChainError('chain_server_error', message, { serverCode: status });
  }

  #decode<T>(path: string, read: () => T): T {
    try {
      return read();
    } catch (cause) {
      const message = `the Esplora server ${this.url} answered ${path} with something unexpected`;
      throw new ChainError('chain_bad_response', message, { cause });
    }
  }

  #lie(what: string): ChainError {
    return new ChainError('chain_invalid_data', `the Esplora server ${this.url} sent ${what}`);
  }

  async #json<T>(schema: z.ZodType<T>, path: string): Promise<T | undefined> {
    const body = await this.#get(path, { maxBytes: maxJsonBytes });
    return body && this.#decode(path, () => schema.parse(JSON.parse(body.toString('utf8'))));
  }

  async #hash(path: string, timeoutMs?: number): Promise<Uint8Array | undefined> {
    const limits = { maxBytes: maxTextBytes, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
    const body = await this.#get(path, limits);
    return body && hashFromHex(body.toString('utf8').trim());
  }

  /** The network of its genesis block. */
  async network(): Promise<Network> {
    const genesis = await this.hashAt(0);
    const network = genesis && networkOfChainHash(genesis);
    if (network !== undefined) return network;
    const message = `the Esplora server ${this.url} is on a network that Rivulet does not support`;
    throw new ChainError('chain_wrong_network', message);
  }

  async tipHash(timeoutMs: number): Promise<Uint8Array> {
    const found = await this.#hash('/blocks/tip/hash', timeoutMs);
    if (found !== undefined) return found;
    throw new ChainError('chain_bad_response', `the Esplora server ${this.url} has no tip`);
  }

  hashAt(height: number): Promise<Uint8Array | undefined> {
    return this.#hash(`/block-height/${height}`);
  }

  /** The height that the server gives a block. */
  async heightOf(block: Uint8Array): Promise<number | undefined> {
    const schema = z.object({ height: z.int().nonnegative() });
    return (await this.#json(schema, `/block/${hashToHex(block)}`))?.height;
  }

  /** The header of a hash. */
  async header(block: Uint8Array): Promise<BlockHeader | undefined> {
    const path = `/block/${hashToHex(block)}/header`;
    const body = await this.#get(path, { maxBytes: maxTextBytes });
    if (body === undefined) return undefined;
    const header = this.#decode(path, () => decodeBlockHeader(bytesFromHex(body.toString('utf8').trim())));
    if (!equalBytes(blockHash(header), block)) throw this.#lie('a header that does not have its hash');
    return header;
  }

  /** The block of a hash, all of which its proof of work stands for. */
  async block(
    wanted: Uint8Array,
    { network, height }: { network: Network; height?: number | undefined },
  ): Promise<Block | undefined> {
    const path = `/block/${hashToHex(wanted)}/raw`;
    const bytes = await this.#get(path, { maxBytes: maxBlockBytes });
    if (bytes === undefined) return undefined;
    const block = this.#decode(path, () => decodeBlock(Uint8Array.from(bytes)));
    if (!equalBytes(blockHash(block.header), wanted)) throw this.#lie('a block that does not have its hash');
    const fault =
      proofOfWorkFault(block.header, { network, height, hash: wanted }) ??
      blockFault(block, { network, height });
    if (fault !== undefined) throw this.#lie(`a block that is none: ${fault}`);
    return block;
  }

  async transaction(id: Uint8Array): Promise<Transaction | undefined> {
    const path = `/tx/${hashToHex(id)}/raw`;
    const bytes = await this.#get(path, { maxBytes: maxBlockBytes });
    const tx = bytes && this.#decode(path, () => decodeTransaction(Uint8Array.from(bytes)));
    if (tx !== undefined && !equalBytes(txid(tx), id))
      throw this.#lie('a transaction that does not have its id');
    return tx;
  }

  /** Whether and where a transaction is confirmed. */
  status(id: Uint8Array): Promise<EsploraStatus | undefined> {
    return this.#json(statusSchema, `/tx/${hashToHex(id)}/status`);
  }

  /** The position of a transaction in a block, proven against the block's header; `undefined` if it moved. */
  async position(id: Uint8Array, block: Uint8Array): Promise<number | undefined> {
    const [proof, header] = await Promise.all([
      this.#json(proofSchema, `/tx/${hashToHex(id)}/merkle-proof`),
      this.header(block),
    ]);
    if (proof === undefined || header === undefined) return undefined;
    let node = id;
    let place = proof.pos;
    for (const sibling of proof.merkle) {
      const other = hashFromHex(sibling);
      node = sha256d((place & 1) === 1 ? concatBytes(other, node) : concatBytes(node, other));
      place >>>= 1;
    }
    if (place === 0 && equalBytes(node, header.merkleRoot)) return proof.pos;
    // Another block may have taken it between the two questions.
    const now = await this.status(id);
    if (now?.block_hash !== hashToHex(block)) return undefined;
    throw this.#lie('a proof that does not lead to its block');
  }

  outspend({ txid: id, index }: { txid: Uint8Array; index: number }): Promise<EsploraOutspend | undefined> {
    return this.#json(outspendSchema, `/tx/${hashToHex(id)}/outspend/${index}`);
  }

  /** Unspent outputs by the SHA256 of their script. */
  async unspent(scriptHash: Uint8Array): Promise<readonly EsploraUnspent[]> {
    return (await this.#json(unspentSchema, `/scripthash/${bytesToHex(scriptHash)}/utxo`)) ?? [];
  }

  /** Satoshis a virtual byte, by the number of blocks within which they lead to confirmation. */
  async feeEstimates(): Promise<Readonly<Record<string, number>>> {
    return (await this.#json(z.record(z.string(), z.number()), '/fee-estimates')) ?? {};
  }

  async broadcast(tx: Transaction): Promise<BroadcastResult> {
    const { status, body } = await this.#post('/tx', bytesToHex(encodeTransaction(tx)));
    if (status === 200) return { accepted: true, txid: txid(tx) };
    if (status !== 400) throw this.#serverError('/tx', status);
    const message = reasonOf(body.toString('utf8'));
    return { accepted: false, code: broadcastCodeOf(message), message };
  }

  async broadcastPackage(transactions: readonly Transaction[]): Promise<readonly BroadcastResult[]> {
    const hex = transactions.map((tx) => bytesToHex(encodeTransaction(tx)));
    const { status, body } = await this.#post('/txs/package', JSON.stringify(hex));
    if (status !== 200) {
      // Not every server has package relay.
      const single: BroadcastResult[] = [];
      for (const tx of transactions) single.push(await this.broadcast(tx));
      return single;
    }
    const results = this.#decode('/txs/package', () =>
      packageSchema.parse(JSON.parse(body.toString('utf8'))),
    );
    return transactions.map((tx): BroadcastResult => {
      const { txid: id, wtxidHex } = prepareTransaction(tx);
      const message = results['tx-results'][wtxidHex]?.error;
      if (!message) return { accepted: true, txid: id };
      return { accepted: false, code: broadcastCodeOf(message), message };
    });
  }
}
