import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '@rivulet/core/crypto';
import { p2wshScript, type Transaction, txid, withWitness } from '@rivulet/core/tx';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ChainBackend, ChainTip } from '../chainBackend.js';
import { ChainError } from '../chainError.js';
import { networks } from '../network.js';
import { type Regtest, startRegtest } from '../regtest/startRegtest.js';
import { coinOf, type TestCoin, TestWallet } from '../regtest/testWallet.js';
import { bitcoindBackend } from './bitcoindBackend.js';
import { embeddedBackend } from './embeddedBackend.js';
import { esploraBackend } from './esploraBackend.js';
import { mineWith } from './fakeServers.test.support.js';

const kinds: readonly [string, (regtest: Regtest) => ChainBackend][] = [
  ['embedded', ({ chain }) => embeddedBackend(chain)],
  [
    'bitcoind',
    ({ rpcUrl, rpcUser, rpcPassword }) =>
      bitcoindBackend({ url: rpcUrl, user: rpcUser, password: rpcPassword }),
  ],
  ['esplora', ({ esploraUrl }) => esploraBackend({ url: `${esploraUrl}/`, pollMs: 5 })],
  [
    'esplora (two servers)',
    ({ esploraUrl }) =>
      esploraBackend({ url: [esploraUrl, `${esploraUrl}//`], network: 'regtest', pollMs: 5 }),
  ],
];

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ChainError) return error.code;
    throw error;
  }
  return 'no error';
}

describe.each(kinds)('%s backend', (_, create) => {
  let regtest: Regtest;
  let backend: ChainBackend;
  let coins: TestCoin[];
  const wallet = new TestWallet();

  beforeEach(async () => {
    regtest = await startRegtest();
    backend = create(regtest);
    coins = wallet.fund(regtest.chain, 2);
  });

  afterEach(async () => {
    await backend.close();
    await regtest.stop();
  });

  async function reject(tx: Transaction): Promise<string> {
    const result = await backend.broadcast(tx);
    return result.accepted ? 'accepted' : result.code;
  }

  test('knows its network and its tip', async () => {
    expect(await backend.getNetwork()).toBe('regtest');
    const { height, tip } = regtest.chain;
    expect(await backend.getTip()).toEqual({ height, hash: tip.hash });
  });

  test('gives block hashes by height, and blocks by height and by hash', async () => {
    const { chain } = regtest;
    chain.broadcast(wallet.sweep(coins, 1000n));
    const [mined] = chain.mine();
    expect(await backend.getBlockHash(0)).toEqual(networks.regtest.chainHash);
    expect(await backend.getBlockHash(chain.height + 1)).toBeUndefined();
    const block = await backend.getBlock(chain.height);
    expect(block).toEqual({
      hash: mined!.hash,
      height: chain.height,
      header: mined!.header,
      transactions: mined!.transactions.map((one) => one.tx),
    });
    expect(await backend.getBlock(mined!.hash)).toEqual(block);
    expect(await backend.getBlock(chain.height + 1)).toBeUndefined();
    expect(await backend.getBlock(sha256(Uint8Array.of(1)))).toBeUndefined();
  });

  test('still gives a block that left the active chain', async () => {
    const { chain } = regtest;
    const old = chain.tip;
    chain.reorganise({ depth: 1, blocks: 2 });
    expect((await backend.getBlock(old.hash))?.height).toBe(old.height);
    expect(await backend.getBlockHash(old.height)).not.toEqual(old.hash);
  });

  test('broadcasts, and again without harm', async () => {
    const tx = wallet.sweep(coins, 1000n);
    expect(await backend.broadcast(tx)).toEqual({ accepted: true, txid: txid(tx) });
    expect(await backend.broadcast(tx)).toEqual({ accepted: true, txid: txid(tx) });
    expect(regtest.chain.mempool.size).toBe(1);
    regtest.chain.mine();
    expect(await reject(tx)).toBe('already_confirmed');
  });

  test('sorts rejections into what has to be done about them', async () => {
    const [one, two] = coins as [TestCoin, TestCoin];
    const ghost = { ...one, outpoint: { txid: sha256(Uint8Array.of(1)), index: 0 } };
    expect(await reject(wallet.sweep([ghost], 1000n))).toBe('missing_inputs');
    expect(await reject(wallet.sweep([one], 10n))).toBe('insufficient_fee');
    expect(await reject(wallet.sweep([one], one.valueSat - 200n))).toBe('dust');
    expect(await reject(withWitness(wallet.sweep([one], 1000n), 0, []))).toBe('invalid');
    const outputs = [{ valueSat: one.valueSat - 1000n, script: wallet.script }];
    const lockTime = regtest.chain.height + 10;
    expect(await reject(wallet.sign({ coins: [one], outputs, lockTime }))).toBe('not_final');
    expect(await reject(wallet.sign({ coins: [one], outputs, version: 9 }))).toBe('not_standard');
    expect(await reject(wallet.sweep([one], 1000n))).toBe('accepted');
    expect(await reject(wallet.sweep([one], 1001n))).toBe('insufficient_fee');
    const other = wallet.sweep([two], 1000n);
    expect(await reject(other)).toBe('accepted');
    const adds = wallet.sweep([one, coinOf(txid(other), other)], 90_000n);
    expect(await reject(adds)).toBe('conflict');
  });

  test('a high fee is the choice of the caller', async () => {
    expect(await reject(wallet.sweep([coins[0]!], 100_000_000n))).toBe('accepted');
  });

  test('broadcasts a parent with the child that pays for it', async () => {
    const parent = wallet.sweep([coins[0]!], 0n);
    const poor = wallet.sweep([coinOf(txid(parent), parent)], 150n);
    const refused = await backend.broadcastPackage([parent, poor]);
    expect(refused.map((one) => !one.accepted && one.code)).toEqual(['insufficient_fee', 'insufficient_fee']);
    const child = wallet.sweep([coinOf(txid(parent), parent)], 1000n);
    expect(await backend.broadcastPackage([parent, child])).toEqual([
      { accepted: true, txid: txid(parent) },
      { accepted: true, txid: txid(child) },
    ]);
    expect(regtest.chain.mempool.size).toBe(2);
  });

  test('estimates fees, never below the relay minimum', async () => {
    expect(await backend.estimateFeeratePerKw(6)).toBe(253);
    for (const feeratePerKw of [1, 254, 1012, 12_345, 250_001]) {
      regtest.chain.feeratePerKw = feeratePerKw;
      expect(await backend.estimateFeeratePerKw(1)).toBe(Math.max(253, feeratePerKw));
    }
  });

  test('follows an output from the mempool to its spending', async () => {
    const { chain } = regtest;
    const tx = wallet.sweep([coins[0]!], 1000n);
    const outpoint = { txid: txid(tx), index: 0 };
    expect(await backend.getTxOut(outpoint)).toBeUndefined();
    expect(await backend.getTxOut(coins[0]!.outpoint)).toEqual({
      valueSat: coins[0]!.valueSat,
      script: wallet.script,
      confirmations: 102,
      coinbase: true,
    });
    await backend.broadcast(tx);
    const { valueSat, script } = tx.outputs[0]!;
    const expected = { valueSat, script, coinbase: false };
    expect(await backend.getTxOut(outpoint)).toEqual({ ...expected, confirmations: 0 });
    expect(await backend.getTxOut(outpoint, { includeMempool: false })).toBeUndefined();
    expect(await backend.getTxOut(coins[0]!.outpoint)).toBeUndefined();
    expect(await backend.getTxOut(coins[0]!.outpoint, { includeMempool: false })).toBeDefined();
    chain.mine({ blocks: 3 });
    expect(await backend.getTxOut(outpoint)).toEqual({ ...expected, confirmations: 3 });
    expect(await backend.getTxOut({ ...outpoint, index: 1 })).toBeUndefined();
    chain.broadcast(wallet.sweep([coinOf(txid(tx), tx)], 1000n));
    chain.mine();
    expect(await backend.getTxOut(outpoint, { includeMempool: false })).toBeUndefined();
  });

  test('finds transactions and spenders, before and after their confirmation', async () => {
    const { chain } = regtest;
    const tx = wallet.sweep([coins[0]!], 1000n);
    const id = txid(tx);
    const { outpoint } = coins[0]!;
    expect(await backend.locateTransaction(id)).toBeUndefined();
    expect(await backend.getTransaction(id)).toBeUndefined();
    expect(await backend.getMempoolSpend(outpoint)).toBeUndefined();
    chain.broadcast(tx);
    chain.broadcast(wallet.sweep([coins[1]!], 9000n));
    expect(await backend.locateTransaction(id)).toEqual({ in: 'mempool' });
    expect(await backend.getTransaction(id)).toEqual(tx);
    expect(await backend.getMempoolSpend(outpoint)).toEqual(tx);
    const [block] = chain.mine();
    const location = { in: 'chain', height: chain.height, index: 2, blockHash: block!.hash };
    expect(await backend.locateTransaction(id)).toEqual(location);
    expect(await backend.getTransaction(id)).toEqual(tx);
    expect(await backend.getMempoolSpend(outpoint)).toBeUndefined();
  });

  test('finds the coins of scripts in the chain, from a height on', async () => {
    const { chain } = regtest;
    const other = new TestWallet(2);
    const split = wallet.sign({
      coins: [coins[0]!],
      outputs: [
        { valueSat: 1_000_000n, script: wallet.script },
        { valueSat: 2_000_000n, script: other.script },
      ],
    });
    chain.broadcast(split);
    chain.mine();
    const { height } = chain;
    // What is not confirmed is no coin yet, and what an unconfirmed transaction spends is none of interest.
    chain.broadcast(wallet.sweep([coinOf(txid(split), split)], 1000n));
    const found = await backend.scanScripts({ scripts: [other.script, other.script] });
    expect(found).toEqual([
      { txid: txid(split), index: 1, height, valueSat: 2_000_000n, script: other.script, coinbase: false },
    ]);
    const all = await backend.scanScripts({ scripts: [wallet.script, other.script] });
    expect(all).toContainEqual({
      ...coins[1]!.outpoint,
      height: 2,
      valueSat: coins[1]!.valueSat,
      script: wallet.script,
      coinbase: true,
    });
    expect(all.map((coin) => coin.height)).toEqual(all.map((coin) => coin.height).sort((a, b) => a - b));
    expect(await backend.scanScripts({ scripts: [other.script], fromHeight: height + 1 })).toEqual([]);
    expect(await backend.scanScripts({ scripts: [new TestWallet(3).script] })).toEqual([]);
    expect(await backend.scanScripts({ scripts: [] })).toEqual([]);
  });

  test('is well, and shows its newest block', async () => {
    const { chain } = regtest;
    await backend.getTip();
    const tipTimeMs = chain.tip.header.time * 1000;
    expect(backend.health()).toMatchObject({ state: 'ok', tipHeight: chain.height, tipTimeMs });
  });

  test('threat 6: gives a block with a witness of nearly 4 MB', async () => {
    const { chain } = regtest;
    // As much as a script can throw away, in as many inputs as a block takes.
    const witnessScript = Uint8Array.of(...new Uint8Array(200).fill(0x6d), 0x51);
    const items = Array.from({ length: 400 }, () => new Uint8Array(520).fill(9));
    const output = { valueSat: 100_000n, script: p2wshScript(witnessScript) };
    const paid = wallet.sign({ coins: [coins[0]!], outputs: Array.from({ length: 19 }, () => output) });
    mineWith(chain, [paid]);
    let large = wallet.unsigned({
      coins: paid.outputs.map((_, index) => coinOf(txid(paid), paid, index)),
      outputs: [{ valueSat: 1000n, script: wallet.script }],
    });
    for (const index of paid.outputs.keys()) large = withWitness(large, index, [...items, witnessScript]);
    const block = mineWith(chain, [large]);
    const read = await backend.getBlock(chain.height);
    expect(read?.hash).toEqual(block.hash);
    const sizes =
      read?.transactions[1]?.inputs.flatMap(({ witness }) => witness.map((item) => item.length)) ?? [];
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(3_950_000);
    expect((await backend.getTransaction(txid(large)))?.inputs).toHaveLength(19);
  });

  test('tells of new tips, also after a reorganisation to the same height', async () => {
    const { chain } = regtest;
    let wake = () => {};
    let last: ChainTip | undefined;
    const end = backend.onTip((tip) => {
      last = tip;
      wake();
    });
    const reached = async () => {
      while (last === undefined || Buffer.compare(last.hash, chain.tip.hash) !== 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return last;
    };
    chain.mine({ blocks: 2 });
    expect((await reached()).height).toBe(chain.height);
    chain.reorganise({ depth: 1, blocks: 1 });
    expect(await reached()).toEqual({ height: chain.height, hash: chain.tip.hash });
    end();
    last = undefined;
    chain.mine();
    await backend.getTip();
    expect(last).toBeUndefined();
  });

  test('refuses calls after it was closed', async () => {
    backend.onTip(() => {});
    await backend.close();
    expect(await codeOf(backend.getTip())).toBe('chain_closed');
  });
});

describe('a failing server', () => {
  let server: Server;
  let url: string;
  let respond: (attempt: number) => { status: number; body: string } | 'silence' | 'hang up';
  let attempts: number;

  beforeEach(async () => {
    attempts = 0;
    server = createServer((request, response) => {
      const answer = respond(++attempts);
      if (answer === 'hang up') request.socket.destroy();
      else if (answer !== 'silence') response.writeHead(answer.status).end(answer.body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const both = (options: { timeoutMs?: number; retries?: number } = {}): ChainBackend[] => [
    bitcoindBackend({ url, user: 'u', password: 'p', ...options }),
    esploraBackend({ url, ...options }),
  ];

  test('that hangs up is tried again, then given up', async () => {
    respond = () => 'hang up';
    for (const backend of both({ retries: 1 })) {
      attempts = 0;
      expect(await codeOf(backend.getTip())).toBe('chain_unreachable');
      expect(attempts).toBe(2);
    }
  });

  test('that recovers is used as if nothing had happened', async () => {
    const hash = '0'.repeat(64);
    respond = (attempt) => {
      if (attempt === 1) return 'hang up';
      if (attempt === 2) return { status: 503, body: 'busy' };
      return {
        status: 200,
        body: JSON.stringify({ result: { blocks: 7, bestblockhash: hash }, error: null }),
      };
    };
    const [backend] = both({ retries: 2 });
    expect((await backend!.getTip()).height).toBe(7);
  });

  test('that is silent is not waited for', async () => {
    respond = () => 'silence';
    for (const backend of both({ timeoutMs: 50, retries: 0 })) {
      expect(await codeOf(backend.getTip())).toBe('chain_timeout');
    }
  });

  test.each([
    ['no JSON', 200, '<html>'],
    ['another shape', 200, '{"result":{"blocks":"many"},"error":null}'],
    ['a short hash', 200, '{"result":{"blocks":1,"bestblockhash":"00"},"error":null}'],
  ])('that sends %s gives chain_bad_response', async (_, status, body) => {
    respond = () => ({ status, body });
    for (const backend of both()) expect(await codeOf(backend.getTip())).toBe('chain_bad_response');
  });

  test('that refuses or fails says so', async () => {
    respond = () => ({ status: 401, body: '' });
    for (const backend of both()) expect(await codeOf(backend.getTip())).toBe('chain_unauthorized');
    respond = () => ({
      status: 500,
      body: '{"result":null,"error":{"code":-20,"message":"Database error"}}',
    });
    for (const backend of both()) expect(await codeOf(backend.getTip())).toBe('chain_server_error');
  });

  test('of another network is named', async () => {
    respond = () => ({ status: 200, body: '{"result":{"chain":"test"},"error":null}' });
    const [bitcoind, esplora] = both();
    expect(await codeOf(bitcoind!.getNetwork())).toBe('chain_wrong_network');
    respond = () => ({ status: 200, body: '11'.repeat(32) });
    expect(await codeOf(esplora!.getNetwork())).toBe('chain_wrong_network');
  });
});

describe('an older bitcoind', () => {
  test.each([
    ['that cannot wait from a given tip', -1, -1],
    ['that cannot wait at all', -32601, -32601],
    ['that stops to be able to wait', -1, -32601],
  ])('%s is followed nevertheless', async (_, firstCode, laterCode) => {
    let height = 1;
    let waits = 0;
    const server = createServer(async (request, response) => {
      let body = '';
      for await (const part of request) body += part;
      const { method, params } = JSON.parse(body) as { method: string; params: unknown[] };
      const hash = String(height++).padStart(64, '0');
      const refuse = method === 'waitfornewblock' && (params.length === 2 || laterCode === -32601);
      const code = waits++ === 0 ? firstCode : laterCode;
      const answer = refuse
        ? { result: null, error: { code, message: 'no' } }
        : { result: { height, hash, blocks: height, bestblockhash: hash }, error: null };
      response.end(JSON.stringify(answer));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const backend = bitcoindBackend({ url: `http://127.0.0.1:${port}`, longPollMs: 5 });
    const heights: number[] = [];
    await new Promise<void>((resolve) => {
      backend.onTip((tip) => {
        if (heights.push(tip.height) === 5) resolve();
      });
    });
    expect(heights).toEqual([...heights].sort((a, b) => a - b));
    await backend.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('the cookie', () => {
  test('is private to its owner, is read anew, and is gone after the end', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'rivulet-cookie-'));
    try {
      const regtest = await startRegtest({ dataDir });
      const cookiePath = regtest.cookiePath!;
      expect(statSync(cookiePath).mode & 0o777).toBe(0o600);
      const backend = bitcoindBackend({ url: regtest.rpcUrl, cookiePath });
      expect((await backend.getTip()).height).toBe(0);
      const cookie = `${regtest.rpcUser}:${regtest.rpcPassword}`;
      writeFileSync(cookiePath, '__cookie__:wrong');
      expect(await codeOf(backend.getTip())).toBe('chain_unauthorized');
      writeFileSync(cookiePath, cookie);
      expect((await backend.getTip()).height).toBe(0);
      await regtest.stop();
      expect(() => statSync(cookiePath)).toThrow('ENOENT');
      expect(await codeOf(backend.getTip())).toBe('chain_unauthorized');
    } finally {
      rmSync(dataDir, { recursive: true });
    }
  });
});
