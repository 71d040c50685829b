import { type Transaction, txid as txidOf } from '@rivulet/core/tx';
import { merkleRoot } from '../block.js';
import { createCoinbase, mineHeader, regtestBits } from '../regtest/blockAssembly.js';
import type { StoredBlock } from '../regtest/chainState.js';
import { subsidySat } from '../regtest/consensus.js';
import {
  type HttpAnswer,
  jsonAnswer,
  type LoopbackServer,
  startLoopbackServer,
  textAnswer,
} from '../regtest/loopbackServer.js';
import { prepareTransaction } from '../regtest/preparedTransaction.js';
import type { RegtestChain } from '../regtest/regtestChain.js';
import type { Regtest } from '../regtest/startRegtest.js';

const maxBodyBytes = 10_000_000;

/** What a fake server says instead of the real one; `undefined` passes the question on. */
type Override<Question> = (question: Question) => HttpAnswer | undefined | Promise<HttpAnswer | undefined>;

/** An answer of JSON-RPC with an error, as bitcoind gives it. */
export function rpcFailure(code: number, message: string): HttpAnswer {
  return jsonAnswer(500, { result: null, error: { code, message }, id: 'rivulet' });
}

export function rpcResult(result: unknown): HttpAnswer {
  return jsonAnswer(200, { result, error: null, id: 'rivulet' });
}

async function passOn(url: string, init: RequestInit): Promise<HttpAnswer> {
  const response = await fetch(url, init);
  const body = new Uint8Array(await response.arrayBuffer());
  return { status: response.status, type: response.headers.get('content-type') ?? 'text/plain', body };
}

/** The RPC of a regtest chain with some of its answers replaced. */
export function startFakeRpc(
  regtest: Regtest,
  override: Override<{ method: string; params: unknown[]; authorization: string }>,
): Promise<LoopbackServer> {
  return startLoopbackServer({
    maxBodyBytes,
    handle: async (request) => {
      const { method, params } = JSON.parse(request.body.toString('utf8')) as {
        method: string;
        params: unknown[];
      };
      const authorization = request.headers.authorization ?? '';
      const said = await override({ method, params, authorization });
      if (said !== undefined) return said;
      const login = Buffer.from(`${regtest.rpcUser}:${regtest.rpcPassword}`).toString('base64');
      return passOn(regtest.rpcUrl, {
        method: 'POST',
        body: Uint8Array.from(request.body),
        headers: { authorization: `Basic ${login}` },
        signal: request.signal,
      });
    },
  });
}

/** Esplora of a regtest chain with some of its answers replaced, and a switch for the whole. */
export async function startFakeEsplora(
  regtest: Regtest,
  override: Override<{ path: string; pass: () => Promise<HttpAnswer> }> = () => undefined,
): Promise<LoopbackServer & { broken: boolean; readonly asked: string[] }> {
  const asked: string[] = [];
  const server = await startLoopbackServer({
    maxBodyBytes,
    handle: async ({ path, method, body }) => {
      asked.push(path);
      if (fake.broken) return textAnswer(502, 'bad gateway');
      const pass = (): Promise<HttpAnswer> =>
        passOn(`${regtest.esploraUrl}${path}`, {
          method,
          ...(method === 'POST' ? { body: Uint8Array.from(body) } : {}),
        });
      return (await override({ path, pass })) ?? pass();
    },
  });
  const fake = { ...server, broken: false, asked };
  return fake;
}

/** Mines a block with these transactions, whether policy likes them or not. */
export function mineWith(chain: RegtestChain, transactions: readonly Transaction[]): StoredBlock {
  const prepared = transactions.map((tx) => prepareTransaction(tx));
  const height = chain.height + 1;
  const coinbase = createCoinbase({
    height,
    valueSat: subsidySat(height),
    script: Uint8Array.of(0x51),
    extraNonce: height,
    transactions: prepared,
  });
  const all = [coinbase.tx, ...transactions];
  const header = mineHeader({
    version: 0x2000_0000,
    previousHash: chain.tip.hash,
    merkleRoot: merkleRoot(all.map((tx) => txidOf(tx))),
    time: chain.medianTimePastAt(chain.height) + 1,
    bits: regtestBits,
  });
  return chain.addBlock({ header, transactions: all });
}
