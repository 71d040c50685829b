import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Regtest, startRegtest } from '@rivulet/chain';
import { createClient } from '@rivulet/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from './config/index.js';
import { type Daemon, type DaemonReady, runDaemon } from './daemon.js';
import { createWords } from './wallet/index.js';

let dataDir: string;
let running: Daemon[];
let chains: Regtest[];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'rivulet-daemon-'));
  running = [];
  chains = [];
});

afterEach(async () => {
  for (const daemon of running) await daemon.stop();
  for (const chain of chains) await chain.stop();
  rmSync(dataDir, { recursive: true });
});

type Flags = Readonly<Record<string, string>>;

async function start(flags: Flags = {}): Promise<DaemonReady> {
  const config = loadConfig({ flags: { dataDir, 'listen.port': '0', 'api.port': '0', ...flags } });
  const daemon = await runDaemon({ config });
  running.push(daemon);
  return daemon.ready;
}

async function stopAll(): Promise<void> {
  for (const daemon of running.splice(0)) await daemon.stop();
}

async function refused(flags: Flags = {}): Promise<{ code: string; message: string }> {
  const outcome = await start(flags).then(
    () => undefined,
    (error) => error as { code: string; message: string },
  );
  if (outcome === undefined) throw new Error('it started');
  expect(existsSync(join(dataDir, 'api.json')), 'no trace of a daemon that did not start').toBe(
    running.length > 0,
  );
  return outcome;
}

async function startChain(options: Parameters<typeof startRegtest>[0] = {}): Promise<Regtest> {
  const chain = await startRegtest(options);
  chains.push(chain);
  return chain;
}

const wordsFile = () => join(dataDir, 'wallet-words');
const databaseFile = () => join(dataDir, 'rivulet.db');

describe('the words of the wallet', () => {
  test('other ones do not open the database of the first, and nothing is lost by trying', async () => {
    const { nodeId } = await start();
    await stopAll();
    const words = readFileSync(wordsFile());
    writeFileSync(wordsFile(), createWords(new Uint8Array(16).fill(7)));
    expect(await refused()).toMatchObject({
      code: 'words_changed',
      message: expect.stringMatching(
        new RegExp(`the database belongs to node ${nodeId}: put its words back`),
      ),
    });
    writeFileSync(wordsFile(), words);
    expect((await start()).nodeId).toBe(nodeId);
  });

  test('that are gone are not made anew beside a database', async () => {
    const { nodeId } = await start();
    await stopAll();
    const words = readFileSync(wordsFile());
    unlinkSync(wordsFile());
    expect(await refused()).toMatchObject({
      code: 'words_missing',
      message: expect.stringMatching(/put the words back/),
    });
    expect(existsSync(wordsFile())).toBe(false);
    writeFileSync(wordsFile(), words);
    expect((await start()).nodeId).toBe(nodeId);
  });

  test.each([
    [
      'a wrong word',
      (words: string) => words.replace(/^\w+/, 'rivulet'),
      /word 1 of 12 is not in the English list/,
    ],
    ['one word too few', (words: string) => words.replace(/^\w+ /, ''), /11 words were given/],
    ['nothing', () => '', /words were given/],
  ])('damaged: %s', async (_, damage, says) => {
    // Words of its own making could be among those of the message.
    writeFileSync(wordsFile(), createWords(new Uint8Array(16).fill(7)));
    await start();
    await stopAll();
    const words = readFileSync(wordsFile(), 'utf8');
    writeFileSync(wordsFile(), damage(words));
    const { code, message } = await refused();
    expect(code).toBe('words_invalid');
    expect(message).toMatch(says);
    // Not even a damaged word may be shown.
    for (const word of words.trim().split(' ')) expect(message.split(/\W+/)).not.toContain(word);
  });

  test('put there before the first start are used', async () => {
    writeFileSync(wordsFile(), createWords(new Uint8Array(16).fill(7)));
    const ready = await start();
    expect(ready.newWordsFile).toBeUndefined();
    await stopAll();
    expect((await start()).nodeId).toBe(ready.nodeId);
  });

  test('are those of one network in one folder', async () => {
    await start();
    await stopAll();
    const { rpcUrl } = await startChain({ rpcUser: 'a', rpcPassword: 'b' });
    const flags = { 'chain.type': 'bitcoind', 'chain.url': rpcUrl, 'chain.user': 'a', 'chain.password': 'b' };
    expect(await refused({ ...flags, network: 'signet' })).toMatchObject({
      code: 'wrong_network',
      message: expect.stringMatching(/belongs to a node on regtest, and network is set to signet/),
    });
  });
});

describe('the data folder', () => {
  test('has one daemon at a time', async () => {
    await start();
    expect(await refused()).toMatchObject({
      code: 'locked',
      message: expect.stringMatching(/in use by another/),
    });
    // The first one is none the worse.
    expect(existsSync(join(dataDir, 'api.json'))).toBe(true);
  });

  test('that cannot be made is named', async () => {
    const file = join(dataDir, 'file');
    writeFileSync(file, '');
    expect(await refused({ dataDir: join(file, 'folder') })).toMatchObject({
      code: 'data_folder',
      message: expect.stringMatching(/cannot be written \(ENOTDIR\): choose another with --data-dir/),
    });
  });

  test('with a damaged database stays as it is', async () => {
    await start();
    await stopAll();
    const bytes = readFileSync(databaseFile());
    bytes.fill(0x5a, 0, 4096);
    writeFileSync(databaseFile(), bytes);
    expect(await refused()).toMatchObject({ code: 'corrupt' });
    expect(readFileSync(databaseFile())).toEqual(bytes);
  });
});

describe('ports', () => {
  test.each([
    ['listen.port', 'address_in_use', /--listen-port/],
    ['api.port', 'api_address_in_use', /--api-port/],
  ])('%s that is taken is named; the folder is free again', async (key, code, says) => {
    const other = await startChain();
    const { port } = new URL(other.rpcUrl);
    expect(await refused({ [key]: port })).toMatchObject({ code, message: expect.stringMatching(says) });
    await start();
  });
});

describe('the chain', () => {
  const bitcoind = (chain: Regtest): Flags => ({
    'chain.type': 'bitcoind',
    'chain.url': chain.rpcUrl,
    'chain.user': chain.rpcUser,
    'chain.password': chain.rpcPassword,
  });

  test('that is not there, or refuses the password, is named', async () => {
    const chain = await startChain();
    expect(await refused({ ...bitcoind(chain), 'chain.password': 'wrong' })).toMatchObject({
      code: 'chain_unauthorized',
      message: expect.not.stringMatching(/wrong/),
    });
    await chain.stop();
    expect(await refused(bitcoind(chain))).toMatchObject({
      code: 'chain_unreachable',
      message: expect.stringContaining(new URL(chain.rpcUrl).host),
    });
  });

  test('of another network is refused', async () => {
    const chain = await startChain();
    expect(await refused({ ...bitcoind(chain), network: 'signet' })).toMatchObject({
      code: 'wrong_network',
      message: expect.stringMatching(/the chain backend is on regtest, this node is set to signet/),
    });
    const esplora = { 'chain.type': 'esplora', 'chain.url': chain.esploraUrl, network: 'signet' };
    rmSync(dataDir, { recursive: true });
    expect(await refused(esplora)).toMatchObject({ code: 'wrong_network' });
  });

  test('that goes away and comes back is followed on', async () => {
    const chainDir = join(dataDir, 'chain');
    const first = await startChain({ dataDir: chainDir, rpcUser: 'a', rpcPassword: 'b' });
    const ready = await start(bitcoind(first));
    const token = readFileSync(join(dataDir, 'api-token'), 'utf8').trim();
    const client = createClient({ url: ready.apiUrl, token });
    const seen = async (height: number) => {
      const ended = new AbortController();
      const events = await client.events({ signal: ended.signal });
      if ((await client.info()).blockHeight < height) {
        for await (const event of events) if (event.type === 'block' && event.height >= height) break;
      }
      ended.abort();
    };
    first.chain.mine({ blocks: 2 });
    await seen(2);
    await first.stop();
    // What needs no chain goes on.
    expect(await client.info()).toMatchObject({ blockHeight: 2 });
    await expect(client.mine({ blocks: 1 })).rejects.toMatchObject({ code: 'mining_failed' });
    const rpcPort = Number(new URL(first.rpcUrl).port);
    const second = await startChain({ dataDir: chainDir, rpcUser: 'a', rpcPassword: 'b', rpcPort });
    second.chain.mine({ blocks: 3 });
    await seen(5);
  });
});

describe('words of an earlier wallet', () => {
  test('find its coins in the blocks before an empty folder was made', async () => {
    const chain = await startChain();
    const flags = {
      'chain.type': 'bitcoind',
      'chain.url': chain.rpcUrl,
      'chain.user': chain.rpcUser,
      'chain.password': chain.rpcPassword,
    };
    const first = await start(flags);
    const client = (ready: DaemonReady) =>
      createClient({
        url: ready.apiUrl,
        token: readFileSync(join(ready.dataDir, 'api-token'), 'utf8').trim(),
      });
    await client(first).mine({ blocks: 101 });
    const words = readFileSync(wordsFile(), 'utf8');
    await stopAll();
    rmSync(dataDir, { recursive: true });
    dataDir = mkdtempSync(join(tmpdir(), 'rivulet-daemon-'));
    writeFileSync(wordsFile(), words);
    const restored = await start(flags);
    expect(restored.nodeId).toBe(first.nodeId);
    const { onchain } = await client(restored).balance({});
    expect(onchain.confirmedSat).toBeGreaterThan(0n);
  });
});

test('a file of gossip that is of another kind costs what was heard, and not the start', async () => {
  await start();
  await stopAll();
  copyFileSync(databaseFile(), join(dataDir, 'gossip.sqlite'));
  const { apiUrl } = await start();
  const token = readFileSync(join(dataDir, 'api-token'), 'utf8').trim();
  const client = createClient({ url: apiUrl, token });
  expect(await client.network({})).toMatchObject({ channels: 0 });
  await stopAll();
  // The one that could not be used was put aside: from here on there is a new one.
  expect(existsSync(join(dataDir, 'gossip.sqlite.damaged'))).toBe(true);
  await start();
  await stopAll();
  expect(existsSync(join(dataDir, 'gossip.sqlite'))).toBe(true);
});

test('addresses that cannot be announced are refused at the start', async () => {
  const error = await refused({ addresses: 'a.example:9735,b.example:9735' });
  expect(error).toMatchObject({ code: 'address_invalid', message: expect.stringContaining('choose one') });
});
