import { bytesToHex } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { encodeTransaction } from '@rivulet/core/tx';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { scriptToAddress } from '../address.js';
import { rpcMethods } from './rpcMethods.js';
import { type Regtest, startRegtest } from './startRegtest.js';
import { type TestCoin, TestWallet } from './testWallet.js';

let regtest: Regtest;
let coins: TestCoin[];
const wallet = new TestWallet();
const address = scriptToAddress(wallet.script, 'regtest');
const unknownHash = '12'.repeat(32);

beforeEach(async () => {
  regtest = await startRegtest({ rpcUser: 'alice', rpcPassword: 'secret' });
  coins = wallet.fund(regtest.chain, 2);
});

afterEach(() => regtest.stop());

function post(body: string, login = 'alice:secret'): Promise<Response> {
  const authorization = `Basic ${Buffer.from(login).toString('base64')}`;
  return fetch(regtest.rpcUrl, { method: 'POST', body, headers: { authorization } });
}

interface RpcAnswer {
  result: unknown;
  error: { code: number; message: string } | null;
  id: unknown;
}

async function rpc(method: string, params: unknown = []): Promise<RpcAnswer> {
  const response = await post(JSON.stringify({ id: 1, method, params }));
  return (await response.json()) as RpcAnswer;
}

async function result<T = Record<string, unknown>>(method: string, params: unknown = []): Promise<T> {
  const answer = await rpc(method, params);
  expect(answer.error).toBeNull();
  return answer.result as T;
}

async function errorCode(method: string, params: unknown = []): Promise<number | undefined> {
  return (await rpc(method, params)).error?.code;
}

const hex = (tx: Parameters<typeof encodeTransaction>[0]) => bytesToHex(encodeTransaction(tx));

describe('JSON-RPC', () => {
  test('mines to an address and describes the chain', async () => {
    const hashes = await result<string[]>('generatetoaddress', [2, address]);
    const { chain } = regtest;
    expect(hashes[1]).toBe(chain.tip.hashHex);
    expect(await result('getblockcount')).toBe(chain.height);
    expect(await result('getbestblockhash')).toBe(hashes[1]);
    expect(await result('getblockhash', [chain.height])).toBe(hashes[1]);
    expect(await result('getblockchaininfo')).toMatchObject({ chain: 'regtest', blocks: chain.height });
    expect(await result('getblockheader', [hashes[1]])).toMatchObject({
      previousblockhash: hashes[0],
      confirmations: 1,
    });
    expect(await result('getblockheader', [hashes[1], false])).toHaveLength(160);
    const raw = await result<string>('getblock', [hashes[1], 0]);
    expect(await result('getblock', [hashes[1]])).toMatchObject({ size: raw.length / 2, nTx: 1 });
    const full = await result('getblock', { blockhash: hashes[1], verbosity: 2 });
    expect(full).toMatchObject({ tx: [{ vout: [{ scriptPubKey: { address } }, {}] }] });
  });

  test('a transaction from its test to its confirmation', async () => {
    const tx = wallet.sweep([coins[0]!], 1000n);
    const [allowed] = await result<Record<string, unknown>[]>('testmempoolaccept', [[hex(tx)]]);
    expect(allowed).toMatchObject({ allowed: true, fees: { base: 0.00001 } });
    const id = await result<string>('sendrawtransaction', [hex(tx)]);
    expect(await result('sendrawtransaction', [hex(tx)])).toBe(id);
    expect(await result('getrawmempool')).toEqual([id]);
    expect(await result('getmempoolentry', [id])).toMatchObject({ ancestorcount: 1 });
    expect(await result('getrawmempool', [true])).toHaveProperty(id);
    expect(await result('getmempoolinfo')).toMatchObject({ size: 1, total_fee: 0.00001 });
    expect(await result('getrawtransaction', [id])).toBe(hex(tx));
    expect(await result('getrawtransaction', [id, 1])).not.toHaveProperty('blockhash');
    const [blockhash] = await result<string[]>('generatetoaddress', [1, address]);
    expect(await result('getrawtransaction', [id, true])).toMatchObject({ blockhash, confirmations: 1 });
    expect(await result('getrawtransaction', [id, 0, blockhash])).toBe(hex(tx));
    expect(await result('gettxout', [id, 0])).toMatchObject({ value: 49.99999, confirmations: 1 });
    expect(await result('gettxout', [id, 1])).toBeNull();
    expect(await errorCode('sendrawtransaction', [hex(tx)])).toBe(-27);
  });

  test("answers with Bitcoin Core's error codes", async () => {
    expect(await errorCode('nosuchmethod')).toBe(-32601);
    expect(await errorCode('getblockhash', [9999])).toBe(-8);
    expect(await errorCode('getblockhash', ['one'])).toBe(-3);
    expect(await errorCode('getblockhash')).toBe(-1);
    expect(await errorCode('getblockhash', [1, 2])).toBe(-1);
    expect(await errorCode('getblockhash', { wrong: 1 })).toBe(-8);
    expect(await errorCode('getblock', [unknownHash])).toBe(-5);
    expect(await errorCode('getblock', ['zz'])).toBe(-8);
    expect(await errorCode('getrawtransaction', [unknownHash])).toBe(-5);
    expect(await errorCode('getmempoolentry', [unknownHash])).toBe(-5);
    expect(await errorCode('generatetoaddress', [1, 'nowhere'])).toBe(-5);
    expect(await errorCode('estimatesmartfee', [0])).toBe(-8);
    expect(await errorCode('sendrawtransaction', ['00'])).toBe(-22);
    const ghost = { ...coins[0]!, outpoint: { txid: sha256(Uint8Array.of(3)), index: 0 } };
    expect(await errorCode('sendrawtransaction', [hex(wallet.sweep([ghost], 1000n))])).toBe(-25);
    expect(await errorCode('sendrawtransaction', [hex(wallet.sweep([coins[0]!], 1n))])).toBe(-26);
    expect(await errorCode('sendrawtransaction', [hex(wallet.sweep([coins[0]!], 100_000_000n))])).toBe(-25);
  });

  test('batches, and the HTTP statuses of single errors', async () => {
    const batch = [{ id: 'a', method: 'getblockcount' }, { id: 'b', method: 'nosuchmethod' }, 17];
    const answers = (await (await post(JSON.stringify(batch))).json()) as RpcAnswer[];
    expect(answers.map((one) => [one.id, one.error?.code])).toEqual([
      ['a', undefined],
      ['b', -32601],
      [null, -32600],
    ]);
    expect((await post('{"method":"nosuchmethod"}')).status).toBe(404);
    expect((await post('{"method":7}')).status).toBe(400);
    const broken = await post('{');
    expect([broken.status, ((await broken.json()) as RpcAnswer).error?.code]).toEqual([500, -32700]);
  });

  test('threat 28: no password, no answer; and a huge body is cut off', async () => {
    expect((await post('{"method":"getblockcount"}', 'alice:wrong')).status).toBe(401);
    expect((await fetch(regtest.rpcUrl, { method: 'POST', body: '{}' })).status).toBe(401);
    expect((await fetch(regtest.rpcUrl)).status).toBe(405);
    expect((await post('x'.repeat(10_000_000))).status).toBe(413);
    expect(await result('getblockcount')).toBe(regtest.chain.height);
  });

  test('waits for blocks, up to the timeout', async () => {
    const { height } = regtest.chain;
    const next = result('waitforblockheight', [height + 1, 0]);
    const current = regtest.chain.tip.hashHex;
    const any = result('waitfornewblock', [0, current]);
    regtest.chain.mine();
    expect(await next).toMatchObject({ height: height + 1 });
    expect(await any).toMatchObject({ hash: regtest.chain.tip.hashHex });
    expect(await result('waitforblockheight', [height + 5, 5])).toMatchObject({ height: height + 1 });
  });

  test('a wait ends when the server stops', async () => {
    const waiting = result('waitfornewblock', [0]);
    await result('getblockcount');
    await regtest.stop();
    expect(await waiting).toMatchObject({ height: regtest.chain.height });
  });

  test('invalidates, reconsiders and submits blocks', async () => {
    const { chain } = regtest;
    const tip = chain.tip.hashHex;
    const raw = await result<string>('getblock', [tip, 0]);
    await result('invalidateblock', [tip]);
    expect(await result('getblockcount')).toBe(101);
    await result('reconsiderblock', [tip]);
    expect(await result('getbestblockhash')).toBe(tip);
    expect(await result('submitblock', [raw])).toBeNull();
    expect(await errorCode('submitblock', ['00'])).toBe(-22);
    expect(await errorCode('invalidateblock', [unknownHash])).toBe(-5);
  });

  test('names the spender of an output, and knows about packages', async () => {
    const tx = wallet.sweep([coins[0]!], 1000n);
    const { txidHex } = regtest.chain.broadcast(tx);
    const outpoint = (coin: TestCoin) => ({
      txid: Buffer.from(coin.outpoint.txid).reverse().toString('hex'),
      vout: coin.outpoint.index,
    });
    expect(await result('gettxspendingprevout', [coins.map(outpoint)])).toEqual([
      { ...outpoint(coins[0]!), spendingtxid: txidHex },
      outpoint(coins[1]!),
    ]);
    expect(await result('submitpackage', [[hex(tx)]])).toMatchObject({ package_msg: 'success' });
  });

  test('stops when it is told to', async () => {
    const stopped = new Promise<void>((resolve) => {
      void startRegtest({ rpcUser: 'alice', rpcPassword: 'secret', onStop: resolve }).then(async (other) => {
        const authorization = `Basic ${Buffer.from('alice:secret').toString('base64')}`;
        const body = '{"method":"stop"}';
        const response = await fetch(other.rpcUrl, { method: 'POST', body, headers: { authorization } });
        expect(((await response.json()) as RpcAnswer).result).toContain('stopping');
      });
    });
    await stopped;
  });

  test('no method breaks on any parameters', async () => {
    const values = fc.oneof(fc.jsonValue(), fc.constant(unknownHash), fc.integer(), fc.constant(address));
    const methods = [...rpcMethods.keys()].filter((name) => !/^(stop|wait|generate)/.test(name));
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...methods),
        fc.array(values, { maxLength: 3 }),
        async (method, params) => {
          const answer = await rpc(method, params);
          expect(answer.error?.code).not.toBe(-32603);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('Esplora', () => {
  async function get(path: string): Promise<{ status: number; text: string; json: () => unknown }> {
    const response = await fetch(`${regtest.esploraUrl}${path}`);
    const text = await response.text();
    return { status: response.status, text, json: () => JSON.parse(text) as unknown };
  }

  test('describes blocks', async () => {
    const { chain } = regtest;
    const { hashHex, transactions } = chain.tip;
    expect((await get('/blocks/tip/height')).text).toBe(String(chain.height));
    expect((await get('/blocks/tip/hash')).text).toBe(hashHex);
    expect((await get(`/block-height/${chain.height}`)).text).toBe(hashHex);
    expect((await get(`/block/${hashHex}`)).json()).toMatchObject({ height: chain.height, tx_count: 1 });
    expect((await get(`/block/${hashHex}/header`)).text).toHaveLength(160);
    expect((await get(`/block/${hashHex}/txids`)).json()).toEqual([transactions[0]!.txidHex]);
    expect((await get(`/block/${hashHex}/status`)).json()).toMatchObject({ in_best_chain: true });
  });

  test('describes transactions, their spending and their proofs', async () => {
    const { chain } = regtest;
    const first = chain.broadcast(wallet.sweep([coins[0]!], 1000n));
    const second = chain.broadcast(wallet.sweep([coins[1]!], 500n));
    const before = (await get(`/tx/${first.txidHex}`)).json();
    expect(before).toMatchObject({
      fee: 1000,
      status: { confirmed: false },
      vin: [{ prevout: { value: 5e9 } }],
    });
    expect((await get('/mempool/txids')).json()).toEqual([first.txidHex, second.txidHex]);
    const funding = chain.blockAt(1)!.transactions[0]!.txidHex;
    expect((await get(`/tx/${funding}/outspend/0`)).json()).toMatchObject({
      spent: true,
      txid: first.txidHex,
      vin: 0,
      status: { confirmed: false },
    });
    const [block] = chain.mine();
    expect((await get(`/tx/${first.txidHex}/status`)).json()).toMatchObject({ block_hash: block!.hashHex });
    expect((await get(`/tx/${funding}/outspends`)).json()).toMatchObject([
      { spent: true, status: { confirmed: true } },
      { spent: false },
    ]);
    expect((await get(`/tx/${first.txidHex}/hex`)).text).toBe(bytesToHex(first.bytes));
    const proof = (await get(`/tx/${second.txidHex}/merkle-proof`)).json() as {
      merkle: string[];
      pos: number;
    };
    const root = proof.merkle.reduce((node, other, level) => {
      const sibling = Buffer.from(other, 'hex').reverse();
      const pair = (proof.pos >> level) & 1 ? [sibling, node] : [node, sibling];
      return Buffer.from(sha256(sha256(Buffer.concat(pair))));
    }, Buffer.from(second.txid));
    expect(root.equals(Buffer.from(block!.header.merkleRoot))).toBe(true);
  });

  test('finds what belongs to a script or an address', async () => {
    const { chain } = regtest;
    const tx = chain.broadcast(wallet.sweep([coins[0]!], 1000n));
    const scriptHash = bytesToHex(sha256(wallet.script));
    const history = (await get(`/scripthash/${scriptHash}/txs`)).json() as { txid: string }[];
    expect(history[0]!.txid).toBe(tx.txidHex);
    expect(history).toHaveLength(3);
    const unspent = (await get(`/address/${address}/utxo`)).json() as { txid: string }[];
    expect(unspent).toEqual((await get(`/scripthash/${scriptHash}/utxo`)).json());
    expect(unspent.map((one) => one.txid)).toContain(tx.txidHex);
    expect(unspent).toHaveLength(2);
  });

  test('answers bad requests with 400, 404, 405 or 413, and lives on', async () => {
    for (const path of [
      '/',
      '/nothing',
      '/blocks/tip',
      `/block/${unknownHash}`,
      `/tx/${unknownHash}`,
      '/block-height/9999',
      '/mempool/txids/more',
      `/tx/${unknownHash}/status/x/y/z`,
    ]) {
      expect([path, (await get(path)).status]).toEqual([path, 404]);
    }
    for (const path of [
      '/tx/zz',
      '/block/1',
      '/block-height/-1',
      '/address/nobody/utxo',
      '/scripthash/1/txs',
    ]) {
      expect([path, (await get(path)).status]).toEqual([path, 400]);
    }
    const { status } = await fetch(`${regtest.esploraUrl}/tx`, { method: 'POST', body: 'no hex' });
    expect(status).toBe(400);
    const removal = await fetch(`${regtest.esploraUrl}/tx`, { method: 'DELETE' });
    expect(removal.status).toBe(405);
    const body = 'f'.repeat(3_000_000);
    expect((await fetch(`${regtest.esploraUrl}/tx`, { method: 'POST', body })).status).toBe(413);
    expect((await get('/blocks/tip/height')).status).toBe(200);
  });
});
