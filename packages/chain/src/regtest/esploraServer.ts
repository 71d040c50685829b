import { bytesToHex, hexToBytes, RivuletError } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { decodeTransaction, type Outpoint, type Transaction } from '@rivulet/core/tx';
import { addressToScript } from '../address.js';
import { merkleBranch } from '../block.js';
import type { StoredBlock } from './chainState.js';
import { blockBytes, headerHex } from './coreJson.js';
import { esploraBlockJson, esploraTransactionJson, statusJson } from './esploraJson.js';
import {
  type HttpAnswer,
  type HttpRequest,
  jsonAnswer,
  type LoopbackServer,
  startLoopbackServer,
  textAnswer,
} from './loopbackServer.js';
import {
  hashToHex,
  outpointKey,
  type PreparedTransaction,
  prepareTransaction,
} from './preparedTransaction.js';
import type { RegtestChain } from './regtestChain.js';
import { rpcCodes } from './rpcError.js';
import { TxRejection } from './txRejection.js';

/** The largest standard transaction in hex is 800,000 digits. */
const maxBodyBytes = 2_000_000;
const maxHistory = 50;
const feeTargets = [1, 2, 3, 4, 5, 6, 10, 20, 144, 504, 1008];

/** Ends a request with an answer from anywhere below. */
class Answered extends RivuletError<'answered'> {
  readonly answer: HttpAnswer;

  constructor(answer: HttpAnswer) {
    super('answered', 'the request was answered');
    this.answer = answer;
  }
}

function refuse(status: number, message: string): never {
  throw new Answered(textAnswer(status, message));
}

function bytesAnswer(body: Uint8Array): HttpAnswer {
  return { status: 200, type: 'application/octet-stream', body };
}

/** Esplora's HTTP API for a regtest chain, on 127.0.0.1. */
class EsploraApi {
  readonly #chain: RegtestChain;

  constructor(chain: RegtestChain) {
    this.#chain = chain;
  }

  handle(request: HttpRequest): HttpAnswer {
    const parts = request.path.split('/').slice(1);
    try {
      if (request.method === 'POST') return this.#post(parts, request.body.toString('utf8'));
      if (request.method !== 'GET') return textAnswer(405, 'method not allowed');
      return this.#get(parts) ?? textAnswer(404, 'endpoint does not exist');
    } catch (error) {
      if (error instanceof Answered) return error.answer;
      throw error;
    }
  }

  #get([first, second, third, ...more]: readonly string[]): HttpAnswer | undefined {
    if (more.length > 1) return undefined;
    const [fourth] = more;
    if (first === 'tx' && second !== undefined) return this.#transaction(second, third, fourth);
    if (fourth !== undefined) return undefined;
    switch (first) {
      case 'blocks':
        if (second !== 'tip') return undefined;
        if (third === 'height') return textAnswer(200, String(this.#chain.height));
        return third === 'hash' ? textAnswer(200, this.#chain.tip.hashHex) : undefined;
      case 'block-height':
        return third === undefined ? this.#blockAt(second ?? '') : undefined;
      case 'block':
        return this.#block(second ?? '', third);
      case 'fee-estimates':
        return second === undefined ? this.#feeEstimates() : undefined;
      case 'mempool':
        if (second !== 'txids' || third !== undefined) return undefined;
        return jsonAnswer(
          200,
          this.#chain.mempool.entries().map((one) => one.txidHex),
        );
      case 'scripthash':
      case 'address':
        return this.#script(this.#scriptHash(first, second ?? ''), third);
      default:
        return undefined;
    }
  }

  #hash(text: string): string {
    return /^[0-9a-fA-F]{64}$/.test(text) ? text.toLowerCase() : refuse(400, 'Invalid hex string');
  }

  #blockAt(text: string): HttpAnswer {
    if (!/^[0-9]{1,9}$/.test(text)) refuse(400, 'invalid number');
    const block = this.#chain.blockAt(Number(text));
    return block === undefined ? refuse(404, 'Block not found') : textAnswer(200, block.hashHex);
  }

  #block(hashText: string, part: string | undefined): HttpAnswer | undefined {
    const block: StoredBlock = this.#chain.block(this.#hash(hashText)) ?? refuse(404, 'Block not found');
    if (part === undefined) return jsonAnswer(200, esploraBlockJson(this.#chain, block));
    if (part === 'raw') return bytesAnswer(blockBytes(block));
    if (part === 'header') return textAnswer(200, headerHex(block));
    if (part === 'txids') {
      return jsonAnswer(
        200,
        block.transactions.map((one) => one.txidHex),
      );
    }
    if (part !== 'status') return undefined;
    const active = this.#chain.isActive(block);
    return jsonAnswer(200, { in_best_chain: active, ...(active ? { height: block.height } : {}) });
  }

  #transaction(idText: string, part: string | undefined, detail: string | undefined): HttpAnswer | undefined {
    const id = this.#hash(idText);
    const found = this.#chain.confirmed(id);
    const prepared: PreparedTransaction =
      found?.block.transactions[found.index] ??
      this.#chain.mempool.get(id) ??
      refuse(404, 'Transaction not found');
    if (part === 'outspend') {
      if (detail === undefined || !/^[0-9]{1,9}$/.test(detail)) refuse(400, 'invalid number');
      return jsonAnswer(200, this.#outspend({ txid: prepared.txid, index: Number(detail) }));
    }
    if (detail !== undefined) return undefined;
    if (part === undefined) return jsonAnswer(200, esploraTransactionJson(this.#chain, prepared));
    if (part === 'raw') return bytesAnswer(prepared.bytes);
    if (part === 'hex') return textAnswer(200, bytesToHex(prepared.bytes));
    if (part === 'status') return jsonAnswer(200, statusJson(found?.block));
    if (part === 'outspends') {
      const { txid, tx } = prepared;
      return jsonAnswer(
        200,
        tx.outputs.map((_, index) => this.#outspend({ txid, index })),
      );
    }
    if (part !== 'merkle-proof') return undefined;
    if (found === undefined) refuse(404, 'Transaction not found or is unconfirmed');
    const { block, index } = found;
    const branch = merkleBranch(
      block.transactions.map((one) => one.txid),
      index,
    );
    return jsonAnswer(200, { block_height: block.height, merkle: branch.map(hashToHex), pos: index });
  }

  #outspend(outpoint: Outpoint): object {
    const confirmed = this.#chain.confirmedSpend(outpoint);
    if (confirmed !== undefined) {
      const { txidHex } = confirmed.transaction;
      const status = statusJson(this.#chain.confirmed(txidHex)?.block);
      return { spent: true, txid: txidHex, vin: confirmed.input, status };
    }
    const key = outpointKey(outpoint);
    const waiting = this.#chain.mempool.spenderOf(key);
    if (waiting === undefined) return { spent: false };
    const vin = waiting.tx.inputs.findIndex((input) => outpointKey(input.outpoint) === key);
    return { spent: true, txid: waiting.txidHex, vin, status: statusJson(undefined) };
  }

  #feeEstimates(): HttpAnswer {
    const satPerVbyte = (target: number) => this.#chain.estimateFeeratePerKw(target) / 250;
    return jsonAnswer(200, Object.fromEntries(feeTargets.map((target) => [target, satPerVbyte(target)])));
  }

  #scriptHash(kind: 'scripthash' | 'address', text: string): string {
    if (kind === 'scripthash') return this.#hash(text);
    try {
      return bytesToHex(sha256(addressToScript(text, 'regtest')));
    } catch {
      return refuse(400, 'invalid Bitcoin address');
    }
  }

  #script(scriptHash: string, part: string | undefined): HttpAnswer | undefined {
    const pays = (script: Uint8Array) => bytesToHex(sha256(script)) === scriptHash;
    if (part === 'utxo') return jsonAnswer(200, this.#unspentOf(pays));
    if (part !== 'txs') return undefined;
    const touches = ({ tx }: PreparedTransaction) =>
      tx.outputs.some((output) => pays(output.script)) ||
      tx.inputs.some(({ outpoint }) => {
        const spent = this.#chain.output(outpoint);
        return spent !== undefined && pays(spent.script);
      });
    const history: PreparedTransaction[] = this.#chain.mempool.entries().filter(touches).reverse();
    for (let { height } = this.#chain; height >= 0 && history.length < maxHistory; height--) {
      history.push(...this.#chain.blockAt(height)!.transactions.filter(touches).reverse());
    }
    const newest = history.slice(0, maxHistory);
    return jsonAnswer(
      200,
      newest.map((one) => esploraTransactionJson(this.#chain, one)),
    );
  }

  #unspentOf(pays: (script: Uint8Array) => boolean): object[] {
    const found: object[] = [];
    for (const [key, { script, valueSat, height }] of this.#chain.coins()) {
      if (!pays(script) || this.#chain.mempool.spenderOf(key) !== undefined) continue;
      const status = statusJson(this.#chain.blockAt(height));
      found.push({ txid: key.slice(0, 64), vout: Number(key.slice(65)), status, value: Number(valueSat) });
    }
    for (const { txidHex, tx } of this.#chain.mempool.entries()) {
      for (const [vout, { script, valueSat }] of tx.outputs.entries()) {
        const spent = this.#chain.mempool.spenderOf(`${txidHex}:${vout}`) !== undefined;
        if (!pays(script) || spent) continue;
        found.push({ txid: txidHex, vout, status: statusJson(undefined), value: Number(valueSat) });
      }
    }
    return found;
  }

  #decode(hex: string): Transaction {
    try {
      return decodeTransaction(hexToBytes(hex.trim()));
    } catch {
      return this.#refuseBroadcast(rpcCodes.deserialization, 'TX decode failed');
    }
  }

  /** Esplora passes on what its bitcoind said. */
  #refuseBroadcast(code: number, message: string): never {
    return refuse(400, `sendrawtransaction RPC error: ${JSON.stringify({ code, message })}`);
  }

  #post(parts: readonly string[], body: string): HttpAnswer {
    const path = parts.join('/');
    if (path === 'tx') return this.#broadcast(body);
    return path === 'txs/package' ? this.#broadcastPackage(body) : textAnswer(404, 'endpoint does not exist');
  }

  #broadcast(body: string): HttpAnswer {
    const tx = this.#decode(body);
    try {
      return textAnswer(200, this.#chain.broadcast(tx).txidHex);
    } catch (error) {
      if (!(error instanceof TxRejection)) throw error;
      if (error.reason === 'txn-already-in-mempool') {
        const [input] = tx.inputs;
        return textAnswer(200, this.#chain.mempool.spenderOf(outpointKey(input!.outpoint))!.txidHex);
      }
      if (error.reason === 'txn-already-known') {
        const message = 'Transaction outputs already in utxo set';
        return this.#refuseBroadcast(rpcCodes.verifyAlreadyInUtxoSet, message);
      }
      const missing = error.reason === 'bad-txns-inputs-missingorspent';
      return this.#refuseBroadcast(missing ? rpcCodes.verify : rpcCodes.verifyRejected, error.message);
    }
  }

  #broadcastPackage(body: string): HttpAnswer {
    let list: unknown;
    try {
      list = JSON.parse(body);
    } catch {
      refuse(400, 'invalid JSON');
    }
    const isList = Array.isArray(list) && list.length > 0 && list.length <= 25;
    if (!isList || !(list as unknown[]).every((hex) => typeof hex === 'string')) {
      refuse(400, 'a package is an array of 1 to 25 transactions in hex');
    }
    const transactions = (list as string[]).map((hex) => this.#decode(hex));
    const results = this.#chain.broadcastPackage(transactions);
    const failed = results.some((one) => one instanceof TxRejection);
    return jsonAnswer(200, {
      package_msg: failed ? 'transaction failed' : 'success',
      'tx-results': Object.fromEntries(
        results.map((one, i) => {
          const { txidHex: txid, wtxidHex } = prepareTransaction(transactions[i]!);
          return [wtxidHex, one instanceof TxRejection ? { txid, error: one.message } : { txid }];
        }),
      ),
    });
  }
}

/** Starts Esplora's HTTP API for a regtest chain. */
export function startEsploraServer(options: {
  readonly chain: RegtestChain;
  readonly port?: number | undefined;
}): Promise<LoopbackServer> {
  const api = new EsploraApi(options.chain);
  return startLoopbackServer({
    port: options.port,
    maxBodyBytes,
    handle: (request) => api.handle(request),
  });
}
