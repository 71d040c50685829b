import { bytesToHex } from '@rivulet/core/bytes';
import { txid, withWitness } from '@rivulet/core/tx';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type BlockHeader, blockHash, encodeBlock, encodeBlockHeader } from '../block.js';
import type { ChainBackend } from '../chainBackend.js';
import { ChainError } from '../chainError.js';
import { type HttpAnswer, jsonAnswer, type LoopbackServer, textAnswer } from '../regtest/loopbackServer.js';
import { hashToHex } from '../regtest/preparedTransaction.js';
import { type Regtest, startRegtest } from '../regtest/startRegtest.js';
import { coinOf, type TestCoin, TestWallet } from '../regtest/testWallet.js';
import { type EsploraOptions, esploraBackend } from './esploraBackend.js';
import { startFakeEsplora } from './fakeServers.test.support.js';

type FakeEsplora = LoopbackServer & { broken: boolean; readonly asked: string[] };
type Question = { path: string; pass: () => Promise<HttpAnswer> };

let closers: (() => unknown)[];
/** Two nodes that have the same 103 blocks at first, and the servers of each. */
let left: Regtest;
let right: Regtest;
let a: FakeEsplora;
let b: FakeEsplora;
/** What server A says instead of the truth. */
let lie: (question: Question) => HttpAnswer | undefined | Promise<HttpAnswer | undefined>;
let coins: TestCoin[];
let now: number;
const wallet = new TestWallet();

beforeEach(async () => {
  closers = [];
  lie = () => undefined;
  now = 1_700_000_000_000;
  left = await startRegtest({ now: () => now });
  right = await startRegtest({ now: () => now });
  a = await startFakeEsplora(left, (question) => lie(question));
  b = await startFakeEsplora(right);
  closers.push(
    () => left.stop(),
    () => right.stop(),
    () => a.close(),
    () => b.close(),
  );
  coins = wallet.fund(left.chain, 3);
  share();
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Node B hears of node A's blocks. */
function share(): void {
  for (let height = 1; height <= left.chain.height; height++) {
    const { header, transactions } = left.chain.blockAt(height)!;
    right.chain.addBlock({ header, transactions: transactions.map(({ tx }) => tx) });
  }
}

function connect(options: Partial<EsploraOptions> = {}): ChainBackend {
  const backend = esploraBackend({ url: [a.url, b.url], now: () => now, ...options });
  closers.push(() => backend.close());
  return backend;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no error',
    (error: unknown) => {
      if (error instanceof ChainError) return error.code;
      throw error;
    },
  );
}

const states = (backend: ChainBackend) => backend.health().servers?.map(({ state }) => state);
const textOf = ({ body }: HttpAnswer) =>
  typeof body === 'string' ? body : Buffer.from(body).toString('utf8');

describe('several servers', () => {
  test('that agree are well, and only the first is asked', async () => {
    const backend = connect();
    await backend.getTip();
    b.asked.length = 0;
    await backend.getBlock(5);
    expect(b.asked).toEqual([]);
    expect(backend.health()).toMatchObject({ state: 'ok', tipHeight: 103, detail: 'all servers agree' });
    expect(backend.health().servers).toMatchObject([
      { url: a.url, state: 'ok', tipHeight: 103 },
      { url: b.url, state: 'ok', tipHeight: 103 },
    ]);
  });

  test('stand in for each other, and the first is asked again once it is back', async () => {
    const backend = connect();
    const heard: string[] = [];
    backend.onHealth((health) =>
      heard.push(`${health.state} ${health.servers?.map(({ state }) => state).join('+')}`),
    );
    await backend.getTip();
    a.broken = true;
    expect((await backend.getBlock(7))?.height).toBe(7);
    expect(states(backend)).toEqual(['unreachable', 'ok']);
    expect(backend.health()).toMatchObject({ state: 'ok' });
    expect(backend.health().detail).toContain(a.url);
    right.chain.mine();
    expect((await backend.getTip()).height).toBe(104);
    a.broken = false;
    b.broken = true;
    // The first has not got the last block yet, but all others.
    expect((await backend.getTip()).height).toBe(104);
    expect(backend.health().state).toBe('ok');
    expect(await backend.getBlock(104)).toBeUndefined();
    expect((await backend.getBlock(7))?.height).toBe(7);
    b.broken = false;
    await backend.getTip();
    await backend.getTip();
    expect(states(backend)).toEqual(['ok', 'ok']);
    expect(heard.slice(0, 2)).toEqual(['ok ok+ok', 'ok unreachable+ok']);
  });

  test('that are all away are unreachable, and back an hour later', async () => {
    const backend = connect();
    await backend.getTip();
    a.broken = true;
    b.broken = true;
    expect(await codeOf(backend.getTip())).toBe('chain_unreachable');
    const since = now;
    now += 3_600_000;
    expect(await codeOf(backend.getBlock(104))).toBe('chain_unreachable');
    expect(backend.health()).toMatchObject({ state: 'unreachable', sinceMs: since, tipHeight: 103 });
    left.chain.mine({ blocks: 6 });
    share();
    a.broken = false;
    b.broken = false;
    expect((await backend.getTip()).height).toBe(109);
    expect(backend.health().state).toBe('ok');
  });

  test('one of which has an old tip: it is named, and the others are asked', async () => {
    right.chain.mine({ blocks: 5 });
    const backend = connect();
    expect((await backend.getTip()).height).toBe(108);
    expect(states(backend)).toEqual(['behind', 'ok']);
    expect(backend.health().servers?.[0]?.detail).toMatch(/5 blocks behind/);
    a.asked.length = 0;
    expect((await backend.getBlock(108))?.height).toBe(108);
    expect(a.asked).toEqual([]);
  });

  test('one of which is hundreds of blocks late is not looked into', async () => {
    const backend = connect({ url: [b.url, a.url] });
    await backend.getTip();
    right.chain.mine({ blocks: 250 });
    expect((await backend.getTip()).height).toBe(353);
    left.chain.mine();
    await backend.getTip();
    expect(states(backend)).toEqual(['ok', 'behind']);
    expect(backend.health().servers?.[1]?.detail).toMatch(/249 blocks behind/);
  });
});

describe('servers that disagree', () => {
  test('the chain with the most work is followed, whoever has it', async () => {
    const backend = connect();
    await backend.getTip();
    now += 1000;
    left.chain.mine({ blocks: 3 });
    right.chain.mine({ blocks: 2, script: wallet.script });
    const tip = { height: 106, hash: left.chain.tip.hash };
    expect(await backend.getTip()).toEqual(tip);
    expect(states(backend)).toEqual(['ok', 'disagreeing']);
    expect(backend.health().state).toBe('disagreeing');
    expect(backend.health().detail).toContain(b.url);
    expect(await backend.getBlockHash(105)).toEqual(left.chain.blockAt(105)!.hash);
    // The one with the most work goes: less work is not followed for that.
    a.broken = true;
    expect(await backend.getTip()).toEqual(tip);
    expect(states(backend)).toEqual(['unreachable', 'disagreeing']);
    expect(backend.health().state).toBe('behind');
    expect(await codeOf(backend.getTxOut(coins[0]!.outpoint))).toBe('chain_unreachable');
    // With as much work, neither; with more, it is.
    right.chain.mine();
    expect(await backend.getTip()).toEqual(tip);
    right.chain.mine();
    expect(await backend.getTip()).toEqual({ height: 107, hash: right.chain.tip.hash });
    expect(await backend.getBlockHash(105)).toEqual(right.chain.blockAt(105)!.hash);
    expect(states(backend)).toEqual(['unreachable', 'ok']);
    a.broken = false;
    await backend.getTip();
    await backend.getTip();
    expect(states(backend)).toEqual(['disagreeing', 'ok']);
    share();
    expect(right.chain.height).toBe(107);
  });

  test('from the start, about more blocks than were looked at, are compared all the same', async () => {
    left.chain.mine({ blocks: 20 });
    right.chain.mine({ blocks: 30, script: wallet.script });
    for (const url of [
      [a.url, b.url],
      [b.url, a.url],
    ]) {
      const backend = connect({ url });
      expect((await backend.getTip()).hash).toEqual(right.chain.tip.hash);
      expect(states(backend)).toEqual(url[0] === a.url ? ['disagreeing', 'ok'] : ['ok', 'disagreeing']);
      expect(await backend.getBlockHash(104)).toEqual(right.chain.blockAt(104)!.hash);
    }
  });

  test('a reorganisation of 100 blocks is followed', async () => {
    const backend = connect({ url: a.url });
    left.chain.mine({ blocks: 120 });
    await backend.getTip();
    left.chain.reorganise({ depth: 100 });
    expect(await backend.getTip()).toEqual({ height: left.chain.height, hash: left.chain.tip.hash });
    expect(await backend.getBlockHash(150)).toEqual(left.chain.blockAt(150)!.hash);
    expect(backend.health().state).toBe('ok');
  });

  test('a server of another network is not used', async () => {
    lie = ({ path }) =>
      path === '/block-height/0'
        ? textAnswer(200, '00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6')
        : undefined;
    const backend = connect({ network: 'regtest' });
    expect(await backend.getNetwork()).toBe('regtest');
    await backend.getTip();
    expect(states(backend)).toEqual(['disagreeing', 'ok']);
    expect(backend.health().servers?.[0]?.detail).toMatch(/is on signet, not on regtest/);
    const alone = connect({ url: a.url, network: 'regtest' });
    expect(await alone.getNetwork()).toBe('signet');
    expect(await codeOf(alone.getTip())).toBe('chain_wrong_network');
  });
});

describe('a server that lies', () => {
  /** A header on top of the tip, with proof of work or without. */
  function fakeTip(good: boolean, changes: Partial<BlockHeader> = {}): BlockHeader {
    const { tip } = left.chain;
    for (let nonce = 0; ; nonce++) {
      const header = { ...tip.header, previousHash: tip.hash, time: tip.header.time + 1, ...changes, nonce };
      if ((blockHash(header)[31] as number) < 0x80 === good) return header;
    }
  }

  function showTip(header: BlockHeader, height: number): void {
    const hashHex = hashToHex(blockHash(header));
    lie = ({ path }) => {
      if (path === '/blocks/tip/hash') return textAnswer(200, hashHex);
      if (path === `/block/${hashHex}`) return jsonAnswer(200, { height });
      return path === `/block/${hashHex}/header`
        ? textAnswer(200, bytesToHex(encodeBlockHeader(header)))
        : undefined;
    };
  }

  test.each<[string, () => void, RegExp]>([
    ['a tip without proof of work', () => showTip(fakeTip(false), 104), /does not meet its target/],
    ['a tip of its own difficulty', () => showTip(fakeTip(true, { bits: 0x207ffffe }), 104), /difficulty/],
    [
      'a tip of another network',
      () => showTip(fakeTip(true, { bits: 0x20ffffff }), 104),
      /not one of regtest/,
    ],
    ['a height that its tip does not have', () => showTip(fakeTip(true), 110), /height/],
    [
      'a header that has not its hash',
      () => {
        const header = fakeTip(true);
        showTip(header, 104);
        const before = lie;
        lie = (question) =>
          question.path.endsWith('/header')
            ? textAnswer(200, bytesToHex(encodeBlockHeader({ ...header, time: 5 })))
            : before(question);
      },
      /does not have its hash/,
    ],
  ])('about %s is not followed', async (_, begin, detail) => {
    const backend = connect();
    await backend.getTip();
    begin();
    expect((await backend.getTip()).height).toBe(103);
    expect(backend.health().servers?.[0]).toMatchObject({ state: 'disagreeing' });
    expect(backend.health().servers?.[0]?.detail).toMatch(detail);
  });

  test('with headers that come one by one and late keeps no block of the others back', async () => {
    const backend = connect({ timeoutMs: 400, retries: 0 });
    await backend.getTip();
    // A branch of its own from the beginning on: one header after the other has to be asked for.
    const chain = [left.chain.blockAt(0)!.header];
    for (let height = 1; height <= 104; height++) {
      const last = chain.at(-1) as BlockHeader;
      chain.push(fakeTip(true, { previousHash: blockHash(last), time: last.time + 1 }));
    }
    const hashes = chain.map((header) => hashToHex(blockHash(header)));
    lie = async ({ path }) => {
      if (path === '/blocks/tip/hash') return textAnswer(200, hashes.at(-1) as string);
      const height = hashes.findIndex((hashHex) => path.startsWith(`/block/${hashHex}`));
      if (height <= 0) return undefined;
      if (!path.endsWith('/header')) return jsonAnswer(200, { height });
      await new Promise((resolve) => setTimeout(resolve, 300));
      return textAnswer(200, bytesToHex(encodeBlockHeader(chain[height] as BlockHeader)));
    };
    right.chain.mine();
    expect((await backend.getTip()).height).toBe(104);
    right.chain.mine();
    expect((await backend.getTip()).height).toBe(105);
    expect(states(backend)).toEqual(['behind', 'ok']);
  });

  test('is asked again a while later', async () => {
    const backend = connect();
    await backend.getTip();
    showTip(fakeTip(false), 104);
    await backend.getTip();
    lie = () => undefined;
    a.asked.length = 0;
    now += 59_000;
    await backend.getTip();
    expect(a.asked).toEqual([]);
    now += 2000;
    await backend.getTip();
    await backend.getTip();
    expect(states(backend)).toEqual(['ok', 'ok']);
  });

  test('about what is in a block is found out, and another gives the block', async () => {
    left.chain.broadcast(wallet.sweep([coins[0]!], 1000n));
    const block = left.chain.mine()[0]!;
    share();
    const transactions = block.transactions.map(({ tx }) => tx);
    const dearer = { ...transactions[1]!, outputs: [{ valueSat: 1n, script: wallet.script }] };
    const unsigned = withWitness(transactions[1]!, 0, []);
    for (const fake of [[transactions[0]!, dearer], [transactions[0]!, unsigned], [transactions[0]!]]) {
      const body = encodeBlock({ header: block.header, transactions: fake });
      lie = ({ path }) =>
        path.endsWith('/raw') && path.startsWith('/block/') ? { status: 200, type: 'x', body } : undefined;
      const backend = connect();
      expect((await backend.getBlock(104))?.transactions).toEqual(transactions);
      expect(backend.health().servers?.[0]).toMatchObject({ state: 'disagreeing' });
      expect(await codeOf(connect({ url: a.url }).getBlock(104))).toBe('chain_invalid_data');
    }
  });

  test('about a transaction, or where it is, is found out', async () => {
    const tx = wallet.sweep([coins[0]!], 1000n);
    const other = left.chain.broadcast(wallet.sweep([coins[1]!], 2000n));
    left.chain.broadcast(tx);
    const block = left.chain.mine()[0]!;
    share();
    lie = ({ path }) => (path.endsWith('/raw') ? { status: 200, type: 'x', body: other.bytes } : undefined);
    expect(await connect().getTransaction(txid(tx))).toEqual(tx);
    expect(await codeOf(connect({ url: a.url }).getTransaction(txid(tx)))).toBe('chain_invalid_data');
    expect((await connect().getTxOut({ txid: txid(tx), index: 0 }))?.valueSat).toBe(tx.outputs[0]!.valueSat);
    const index = block.transactions.findIndex(({ txidHex }) => txidHex === hashToHex(txid(tx)));
    for (const change of [{ pos: 0 }, { pos: 5 }, { merkle: [] }]) {
      lie = async ({ path, pass }) => {
        if (!path.endsWith('/merkle-proof')) return undefined;
        return jsonAnswer(200, { ...(JSON.parse(textOf(await pass())) as object), ...change });
      };
      const at = { in: 'chain', height: 104, index, blockHash: block.hash };
      expect(await connect().locateTransaction(txid(tx))).toEqual(at);
      expect(await codeOf(connect({ url: a.url }).locateTransaction(txid(tx)))).toBe('chain_invalid_data');
    }
  });

  test('about coins is found out by their transactions', async () => {
    const tx = wallet.sweep([coins[0]!], 1000n);
    left.chain.broadcast(tx);
    left.chain.mine();
    const mine = wallet.script;
    const theirs = new TestWallet(9).script;
    lie = async ({ path, pass }) => {
      if (!path.endsWith('/utxo')) return undefined;
      const all = JSON.parse(textOf(await pass())) as object[];
      // It doubles what is there, and passes off coins of others.
      const [one] =
        all.length > 0
          ? all
          : [{ txid: hashToHex(txid(tx)), vout: 0, status: { confirmed: true, block_height: 104 } }];
      return jsonAnswer(200, [{ ...one, value: 21e14 }]);
    };
    const backend = connect({ url: a.url });
    const [coin] = await backend.scanScripts({ scripts: [mine] });
    expect(coin?.valueSat).toBeLessThanOrEqual(5_000_000_000n);
    expect(await backend.scanScripts({ scripts: [theirs] })).toEqual([]);
  });
});

describe('a transaction', () => {
  test('goes to all servers, and is accepted where one took it', async () => {
    const backend = connect();
    const tx = wallet.sweep([coins[0]!], 1000n);
    expect(await backend.broadcast(tx)).toEqual({ accepted: true, txid: txid(tx) });
    // Who answers first is enough; the other one gets it as well.
    for (const { chain } of [left, right]) {
      while (chain.mempool.size === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    lie = ({ path }) =>
      path === '/tx'
        ? textAnswer(400, 'sendrawtransaction RPC error: {"code":-26,"message":"min relay fee not met"}')
        : undefined;
    const second = wallet.sweep([coins[1]!], 1000n);
    expect(await backend.broadcast(second)).toMatchObject({ accepted: true });
    b.broken = true;
    const third = wallet.sweep([coins[2]!], 1000n);
    expect(await backend.broadcast(third)).toMatchObject({ accepted: false, code: 'insufficient_fee' });
    a.broken = true;
    expect(await codeOf(backend.broadcast(third))).toBe('chain_unreachable');
  });

  test('of a package is accepted where one server took it', async () => {
    const backend = connect();
    const parent = wallet.sweep([coins[0]!], 0n);
    const child = wallet.sweep([coinOf(txid(parent), parent)], 1000n);
    lie = ({ path }) => (path === '/txs/package' ? textAnswer(404, 'no such endpoint') : undefined);
    // The first has no package relay, and refuses the parent alone.
    expect(await backend.broadcastPackage([parent, child])).toMatchObject([
      { accepted: true },
      { accepted: true },
    ]);
    b.broken = true;
    const other = wallet.sweep([coins[1]!], 0n);
    expect(await backend.broadcastPackage([other])).toMatchObject([
      { accepted: false, code: 'insufficient_fee' },
    ]);
  });
});

test('a chain that has stalled is shown, with all servers', async () => {
  const hour = 3_600_000;
  const backend = connect({ stallMs: 3 * hour });
  await backend.getTip();
  expect(backend.health().state).toBe('ok');
  now += 4 * hour;
  await backend.getTip();
  expect(backend.health()).toMatchObject({ state: 'stalled' });
  expect(backend.health().servers).toHaveLength(2);
  left.chain.mine();
  await backend.getTip();
  expect(backend.health().state).toBe('ok');
});
