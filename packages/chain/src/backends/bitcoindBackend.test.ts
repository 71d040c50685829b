import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesToHex } from '@rivulet/core/bytes';
import { encodeTransaction, txid } from '@rivulet/core/tx';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ChainBackend, ChainTip } from '../chainBackend.js';
import { BlockPrunedError, ChainError } from '../chainError.js';
import type { ChainHealth } from '../chainHealth.js';
import { type HttpAnswer, type LoopbackServer, textAnswer } from '../regtest/loopbackServer.js';
import { type Regtest, startRegtest } from '../regtest/startRegtest.js';
import { coinOf, TestWallet } from '../regtest/testWallet.js';
import { type BitcoindOptions, bitcoindBackend } from './bitcoindBackend.js';
import { rpcFailure, rpcResult, startFakeRpc } from './fakeServers.test.support.js';

interface Call {
  readonly method: string;
  readonly params: unknown[];
  readonly authorization: string;
}

let regtest: Regtest;
let closers: (() => unknown)[];
let calls: string[];
/** What the fake bitcoind says instead of the real one. */
let say: (call: Call) => HttpAnswer | undefined;
const wallet = new TestWallet();

beforeEach(async () => {
  closers = [];
  calls = [];
  say = () => undefined;
  regtest = await startRegtest();
  closers.push(() => regtest.stop());
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function connect(options: Partial<BitcoindOptions> = {}): Promise<ChainBackend> {
  const server: LoopbackServer = await startFakeRpc(regtest, (call) => {
    calls.push(call.method);
    return say(call);
  });
  const backend = bitcoindBackend({ url: server.url, user: 'u', password: 'p', retries: 0, ...options });
  closers.push(
    () => server.close(),
    () => backend.close(),
  );
  return backend;
}

async function failure(promise: Promise<unknown>): Promise<ChainError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof ChainError) return error;
  throw new Error('expected a ChainError', { cause: error });
}

/** Waits for a tip of this height. */
function tipOf(backend: ChainBackend, height: number): Promise<ChainTip> {
  return new Promise((resolve) => {
    backend.onTip((tip) => {
      if (tip.height === height) resolve(tip);
    });
  });
}

describe('what bitcoind refuses', () => {
  test.each<[string, HttpAnswer, string, RegExp]>([
    ['while it starts', rpcFailure(-28, 'Loading block index…'), 'chain_warming_up', /Loading block index/],
    [
      'with a full work queue',
      textAnswer(503, 'Work queue depth exceeded'),
      'chain_busy',
      /Work queue depth/,
    ],
    ['for a wrong password', textAnswer(401, ''), 'chain_unauthorized', /password/],
    ['for a method that is not allowed', textAnswer(403, ''), 'chain_unauthorized', /rpcwhitelist/],
    ['behind a broken proxy', textAnswer(504, ''), 'chain_unreachable', /504/],
    ['with something else', textAnswer(200, '<html>'), 'chain_bad_response', /no JSON-RPC/],
  ])('%s has a code and shows as unreachable, until it answers', async (_, answer, code, message) => {
    const backend = await connect();
    const states: string[] = [];
    backend.onHealth(({ state }) => states.push(state));
    say = () => answer;
    const error = await failure(backend.getTip());
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(backend.health()).toMatchObject({ state: 'unreachable', detail: error.message });
    say = () => undefined;
    await backend.getTip();
    expect(backend.health()).toMatchObject({ state: 'ok', tipHeight: 0, tipTimeMs: 1_296_688_602_000 });
    expect(states).toEqual(['unreachable', 'ok']);
  });

  test('for a moment is asked again', async () => {
    const backend = await connect({ retries: 2 });
    say = () => (calls.length === 1 ? textAnswer(503, 'Work queue depth exceeded') : undefined);
    expect((await backend.getTip()).height).toBe(0);
    expect(calls).toEqual(['getblockchaininfo', 'getblockchaininfo']);
  });

  test.each([
    [-25, 'bad-txns-inputs-missingorspent', 'missing_inputs'],
    [-26, 'min relay fee not met, 1 < 111', 'insufficient_fee'],
    [-26, 'insufficient fee, rejecting replacement', 'insufficient_fee'],
    [-26, 'too-long-mempool-chain, too many descendants', 'too_long_chain'],
    [-26, 'non-BIP68-final', 'not_final'],
    [-27, 'Transaction outputs already in utxo set', 'already_confirmed'],
    [-27, 'Transaction already in block chain', 'already_confirmed'],
    [-22, 'TX decode failed', 'invalid'],
  ])('of transactions with %i %s is %s', async (code, message, expected) => {
    const backend = await connect();
    const [coin] = wallet.fund(regtest.chain);
    say = ({ method }) => (method === 'sendrawtransaction' ? rpcFailure(code, message) : undefined);
    expect(await backend.broadcast(wallet.sweep([coin!], 1000n))).toEqual({
      accepted: false,
      code: expected,
      message,
    });
  });

  test('of a transaction for reasons of its own is no rejection', async () => {
    const backend = await connect();
    const [coin] = wallet.fund(regtest.chain);
    say = () => rpcFailure(-28, 'Verifying blocks…');
    expect((await failure(backend.broadcast(wallet.sweep([coin!], 1000n)))).code).toBe('chain_warming_up');
  });
});

describe('the cookie', () => {
  test('is read again when bitcoind restarted between the reading and the call', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rivulet-cookie-'));
    closers.push(() => rmSync(folder, { recursive: true }));
    const cookiePath = join(folder, '.cookie');
    const { user: _, ...options } = { cookiePath, user: undefined };
    writeFileSync(cookiePath, '__cookie__:old');
    const backend = await connect(options);
    const fresh = `Basic ${Buffer.from('__cookie__:new').toString('base64')}`;
    say = ({ authorization }) => {
      if (authorization === fresh) return undefined;
      writeFileSync(cookiePath, '__cookie__:new');
      return textAnswer(401, '');
    };
    expect((await backend.getTip()).height).toBe(0);
    expect(calls).toHaveLength(2);
    say = () => textAnswer(401, '');
    expect((await failure(backend.getTip())).code).toBe('chain_unauthorized');
    expect(calls).toHaveLength(3);
  });
});

describe('a pruned block', () => {
  const pruned = rpcFailure(-1, 'Block not available (pruned data)');
  const peers = [
    { id: 3, servicesnames: ['NETWORK_LIMITED', 'WITNESS'] },
    { id: 7, servicesnames: ['NETWORK', 'WITNESS'] },
    { id: 9, servicesnames: ['NETWORK', 'WITNESS'] },
  ];

  test('is fetched from a peer that keeps all blocks', async () => {
    regtest.chain.mine({ blocks: 3 });
    const backend = await connect();
    const asked: unknown[][] = [];
    let looks = 0;
    say = ({ method, params }) => {
      if (method === 'getpeerinfo') return rpcResult(peers);
      if (method === 'getblockfrompeer') {
        asked.push(params);
        return params[1] === 7 ? rpcFailure(-1, 'Peer does not exist') : rpcResult({});
      }
      // It comes a while after the second peer was asked.
      if (method === 'getblock' && (asked.length < 2 || ++looks < 3)) return pruned;
      return undefined;
    };
    const block = await backend.getBlock(2);
    expect(block).toMatchObject({ height: 2, hash: regtest.chain.blockAt(2)!.hash });
    const { hashHex } = regtest.chain.blockAt(2)!;
    expect(asked).toEqual([
      [hashHex, 7],
      [hashHex, 9],
    ]);
  });

  test.each<[string, (call: Call) => HttpAnswer | undefined]>([
    [
      'no peer has all blocks',
      ({ method }) => (method === 'getpeerinfo' ? rpcResult(peers.slice(0, 1)) : undefined),
    ],
    ['there is no peer', ({ method }) => (method === 'getpeerinfo' ? rpcResult([]) : undefined)],
    [
      'peers do not send it',
      ({ method }) => {
        if (method === 'getpeerinfo') return rpcResult(peers);
        return method === 'getblockfrompeer' ? rpcResult({}) : undefined;
      },
    ],
    [
      'bitcoind is older than version 23',
      ({ method }) => {
        if (method === 'getpeerinfo') return rpcResult(peers);
        return method === 'getblockfrompeer' ? rpcFailure(-32601, 'Method not found') : undefined;
      },
    ],
  ])('that cannot be had, because %s, is named with its height', async (_, answer) => {
    regtest.chain.mine({ blocks: 3 });
    const backend = await connect({ prunedTimeoutMs: 60 });
    say = (call) => (call.method === 'getblock' ? pruned : answer(call));
    const error = await failure(backend.getBlock(2));
    expect(error).toBeInstanceOf(BlockPrunedError);
    expect(error).toMatchObject({ code: 'chain_block_pruned', height: 2 });
    // The chain itself is well: only this block is away.
    expect(backend.health().state).toBe('ok');
    expect((await backend.getTip()).height).toBe(3);
  });
});

describe('packages', () => {
  test('are sent one by one where there is no submitpackage, which is asked for once', async () => {
    const coins = wallet.fund(regtest.chain, 2);
    const backend = await connect();
    say = ({ method }) => (method === 'submitpackage' ? rpcFailure(-32601, 'Method not found') : undefined);
    for (const coin of coins) {
      const parent = wallet.sweep([coin], 1000n);
      const child = wallet.sweep([coinOf(txid(parent), parent)], 1000n);
      expect(await backend.broadcastPackage([parent, child])).toEqual([
        { accepted: true, txid: txid(parent) },
        { accepted: true, txid: txid(child) },
      ]);
    }
    expect(calls.filter((method) => method === 'submitpackage')).toHaveLength(1);
    expect(calls.filter((method) => method === 'sendrawtransaction')).toHaveLength(4);
  });

  test('that bitcoind does not take as such are sent one by one', async () => {
    const [coin] = wallet.fund(regtest.chain);
    const backend = await connect();
    say = ({ method }) =>
      method === 'submitpackage' ? rpcFailure(-25, 'package topology disallowed') : undefined;
    const parent = wallet.sweep([coin!], 1000n);
    expect(await backend.broadcastPackage([parent])).toMatchObject([{ accepted: true }]);
  });
});

describe('an answer', () => {
  test('without an end is cut off', async () => {
    let sent = 0;
    const server: Server = createServer((_, response) => {
      response.writeHead(200);
      const more = (): void => {
        while (response.writable && response.write('1'.repeat(100_000))) sent += 100_000;
        sent += 100_000;
      };
      response.on('drain', more);
      more();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const backend = bitcoindBackend({ url, retries: 0 });
    closers.push(() => backend.close());
    expect((await failure(backend.getTip())).code).toBe('chain_bad_response');
    expect(sent).toBeGreaterThan(1_000_000);
  });

  test('with another block than was asked for is refused', async () => {
    regtest.chain.mine({ blocks: 2 });
    const backend = await connect();
    say = ({ method, params }) => {
      if (method !== 'getblock' || params[0] !== regtest.chain.blockAt(2)!.hashHex) return undefined;
      return rpcResult(
        '0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4adae5494dffff7f200200000000',
      );
    };
    expect((await failure(backend.getBlock(2))).code).toBe('chain_invalid_data');
  });
});

describe('other implementations', () => {
  // As bcoin 1.0.2 answers.
  test('that have other numbers for the same words are understood', async () => {
    const backend = await connect();
    const unknown = new Uint8Array(32).fill(7);
    say = ({ method }) => {
      if (method === 'getblock') return rpcFailure(-1, 'Block not found');
      if (method === 'getblockheader') return rpcFailure(-1, 'Block not found');
      if (method === 'getrawtransaction') return rpcFailure(-1, 'Transaction not found.');
      if (method === 'waitfornewblock') return rpcFailure(-32601, 'Method not found: waitfornewblock.');
      if (method === 'estimatesmartfee') return rpcResult({ fee: -1, blocks: 6 });
      return undefined;
    };
    expect(await backend.getBlock(unknown)).toBeUndefined();
    expect(await backend.getTransaction(unknown)).toBeUndefined();
    expect(await backend.locateTransaction(unknown)).toBeUndefined();
    expect(await backend.estimateFeeratePerKw(6)).toBeUndefined();
    const [coin] = wallet.fund(regtest.chain);
    const tx = wallet.sweep([coin!], 1000n);
    const hex = bytesToHex(encodeTransaction(tx));
    say = ({ method }) =>
      method === 'getrawtransaction' ? rpcResult({ hex, blockhash: null, confirmations: 0 }) : undefined;
    expect(await backend.getTransaction(txid(tx))).toEqual(tx);
    expect(await backend.locateTransaction(txid(tx))).toEqual({ in: 'mempool' });
  });
});

describe('health', () => {
  test('says that bitcoind has not all blocks yet', async () => {
    const backend = await connect();
    const info = {
      chain: 'main',
      blocks: 5,
      headers: 900_000,
      bestblockhash: '00'.repeat(32),
      time: 1_700_000_000,
      initialblockdownload: true,
    };
    say = () => rpcResult(info);
    await backend.getTip();
    expect(backend.health()).toMatchObject({ state: 'behind', tipHeight: 5, tipTimeMs: 1_700_000_000_000 });
    expect(backend.health().detail).toMatch(/5 of at least 900000/);
    say = () => rpcResult({ ...info, blocks: 899_999, initialblockdownload: false });
    await backend.getTip();
    expect(backend.health().state).toBe('ok');
  });

  test('says that the chain has stalled, by the age of its newest block', async () => {
    const hour = 3_600_000;
    let now = 1_700_000_000_000;
    const backend = await connect({ now: () => now, stallMs: 3 * hour });
    let time = now / 1000 - 60;
    say = ({ method }) =>
      method === 'getblockchaininfo'
        ? rpcResult({ blocks: 5, bestblockhash: '00'.repeat(32), time, initialblockdownload: false })
        : undefined;
    await backend.getTip();
    expect(backend.health()).toMatchObject({ state: 'ok', sinceMs: now });
    now += 3 * hour;
    await backend.getTip();
    expect(backend.health()).toMatchObject({ state: 'stalled', sinceMs: time * 1000 + 3 * hour });
    // A new block ends it, also one whose time lies ahead; and that one stalls from when it was seen.
    time = now / 1000 + 7000;
    await backend.getTip();
    expect(backend.health().state).toBe('ok');
    now += 3 * hour;
    expect(backend.health().state).toBe('ok');
    now += 1;
    expect(backend.health().state).toBe('stalled');
  });

  test('keeps since when it is so', async () => {
    let now = 1000;
    const backend = await connect({ now: () => now });
    say = () => textAnswer(504, '');
    for (now of [2000, 3000]) await failure(backend.getTip());
    expect(backend.health()).toMatchObject({ state: 'unreachable', sinceMs: 2000 });
  });
});

describe('a search for coins', () => {
  test('that is under way already is named', async () => {
    const backend = await connect();
    say = ({ method }) =>
      method === 'scantxoutset'
        ? rpcFailure(-8, 'Scan already in progress, use action "abort" or "status"')
        : undefined;
    expect((await failure(backend.scanScripts({ scripts: [wallet.script] }))).code).toBe('chain_busy');
  });

  test('of a bitcoind that does not say what is a coinbase asks for it', async () => {
    wallet.fund(regtest.chain);
    const backend = await connect();
    const [coin] = await backend.scanScripts({ scripts: [wallet.script] });
    say = ({ method }) =>
      method === 'scantxoutset'
        ? rpcResult({
            success: true,
            unspents: [
              {
                txid: Buffer.from(coin!.txid).reverse().toString('hex'),
                vout: 0,
                scriptPubKey: Buffer.from(wallet.script).toString('hex'),
                amount: 50,
                height: 1,
              },
            ],
          })
        : undefined;
    expect(await backend.scanScripts({ scripts: [wallet.script] })).toEqual([coin]);
    expect(coin?.coinbase).toBe(true);
  });

  test('for nothing asks nobody', async () => {
    const backend = await connect();
    expect(await backend.scanScripts({ scripts: [] })).toEqual([]);
    expect(calls).toEqual([]);
  });
});

const libzmq = await import('zeromq').catch(() => undefined);

describe.skipIf(libzmq === undefined)('ZMQ', () => {
  async function publisher(): Promise<{ url: string; publish: () => Promise<void>; stop: () => void }> {
    const socket = new libzmq!.Publisher();
    await socket.bind('tcp://127.0.0.1:0');
    closers.push(() => socket.close());
    const publish = (): Promise<void> =>
      socket.send(['hashblock', Buffer.from(regtest.chain.tip.hash), Buffer.alloc(4)]);
    return { url: socket.lastEndpoint!, publish, stop: () => socket.close() };
  }

  /** Resolves once the backend says that its ZMQ is connected. */
  async function connected(backend: ChainBackend): Promise<void> {
    const isUp = ({ detail }: ChainHealth) => detail === 'bitcoind answers';
    while (!isUp(backend.health())) {
      await backend.getTip();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  test('tells of a block long before the next look', async () => {
    const { url, publish } = await publisher();
    const backend = await connect({ zmqUrl: url, longPollMs: 600_000, timeoutMs: 700_000 });
    await connected(backend);
    const first = tipOf(backend, 0);
    await first;
    const arrived = tipOf(backend, 1);
    let done = false;
    void arrived.then(() => {
      done = true;
    });
    regtest.chain.mine();
    // A publisher drops what it was not yet asked for.
    while (!done) {
      await publish();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await arrived).hash).toEqual(regtest.chain.tip.hash);
    expect(calls).not.toContain('waitfornewblock');
  });

  test('that says nothing of a block loses none', async () => {
    const { url } = await publisher();
    const backend = await connect({ zmqUrl: url, longPollMs: 20 });
    await connected(backend);
    const arrived = tipOf(backend, 2);
    regtest.chain.mine({ blocks: 2 });
    expect((await arrived).hash).toEqual(regtest.chain.tip.hash);
  });

  test('that cannot be reached is shown, and blocks are asked for', async () => {
    const backend = await connect({ zmqUrl: 'tcp://127.0.0.1:1', longPollMs: 5000 });
    const arrived = tipOf(backend, 1);
    await tipOf(backend, 0);
    regtest.chain.mine();
    await arrived;
    expect(backend.health()).toMatchObject({ state: 'ok' });
    expect(backend.health().detail).toMatch(/its ZMQ does not/);
    expect(calls).toContain('waitfornewblock');
  });
});
