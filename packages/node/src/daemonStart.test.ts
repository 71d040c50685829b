import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Regtest, startRegtest } from '@rivulet/chain';
import { createClient, type RivuletClient } from '@rivulet/sdk';
import { verifyCopy } from '@rivulet/storage';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from './config/index.js';
import { type Daemon, runDaemon } from './daemon.js';

let root: string;
let dataDir: string;
let closers: (() => unknown)[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rivulet-start-'));
  dataDir = join(root, 'data');
  mkdirSync(dataDir);
  closers = [];
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  rmSync(root, { recursive: true });
});

type Flags = Readonly<Record<string, string>>;

async function start(flags: Flags = {}, signal?: AbortSignal): Promise<Daemon> {
  const config = loadConfig({ flags: { dataDir, 'listen.port': '0', 'api.port': '0', ...flags } });
  const daemon = await runDaemon({ config, ...(signal === undefined ? {} : { signal }) });
  closers.push(() => daemon.stop().catch(() => {}));
  return daemon;
}

const clientOf = ({ ready }: Daemon): RivuletClient =>
  createClient({ url: ready.apiUrl, token: readFileSync(join(dataDir, 'api-token'), 'utf8').trim() });

/** bitcoind that keeps its blocks to itself while it is told so. */
async function slowBitcoind(chain: Regtest): Promise<{ url: string; asked: () => number; mute: boolean }> {
  let asked = 0;
  const proxy = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.once('end', () => {
      const body = Buffer.concat(chunks).toString();
      if (state.mute && body.includes('"getblock"')) {
        asked++;
        response.writeHead(503).end();
        return;
      }
      const { authorization = '' } = request.headers;
      fetch(chain.rpcUrl, { method: 'POST', body, headers: { authorization } })
        .then(async (answer) => response.writeHead(answer.status).end(await answer.text()))
        .catch(() => response.destroy());
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  const state = {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    asked: () => asked,
    mute: false,
  };
  return state;
}

test('a start that waits for the chain can be ended, and leaves everything free for the next one', async () => {
  const chain = await startRegtest({});
  closers.push(() => chain.stop());
  const bitcoind = await slowBitcoind(chain);
  const flags = {
    'chain.type': 'bitcoind',
    'chain.url': bitcoind.url,
    'chain.user': chain.rpcUser,
    'chain.password': chain.rpcPassword,
  };
  await (await start(flags)).stop();
  chain.chain.mine({ blocks: 3 });
  bitcoind.mute = true;
  const interrupt = new AbortController();
  const starting = start(flags, interrupt.signal);
  await expect.poll(bitcoind.asked).toBeGreaterThan(0);
  interrupt.abort();
  await expect(starting).rejects.toMatchObject({ code: 'follower_stopped' });
  await expect(start(flags, interrupt.signal)).rejects.toMatchObject({ code: 'follower_stopped' });
  bitcoind.mute = false;
  expect((await clientOf(await start(flags)).info()).blockHeight).toBe(3);
});

describe('a live copy of the database', () => {
  const folder = () => join(root, 'copy');
  const copied = (): Flags => ({ 'databaseCopy.folder': folder() });

  test('is in step while the daemon runs and when it is started again, and can be restored', async () => {
    const daemon = await start(copied());
    const client = clientOf(daemon);
    await client.mine({ blocks: 12 });
    const { nodeId } = daemon.ready;
    await expect.poll(async () => (await client.info()).blockHeight).toBe(12);
    expect((await client.health({})).databaseCopy).toMatchObject({ state: 'in_step' });
    // What a machine that dies now leaves in the other place.
    const rescued = join(root, 'rescued');
    cpSync(folder(), rescued, { recursive: true });
    await client.newAddress({});
    await daemon.stop();
    const again = await start(copied());
    expect((await clientOf(again).health({})).databaseCopy).toMatchObject({ state: 'in_step' });
    await again.stop();
    expect(verifyCopy({ path: rescued })).toMatchObject({ problems: [], tipHeight: 12 });
    for (const name of ['rivulet.db', 'rivulet.db-wal', 'rivulet.db-shm', 'rivulet.db.replica']) {
      rmSync(join(dataDir, name), { force: true });
    }
    cpSync(join(rescued, 'rivulet.sqlite'), join(dataDir, 'rivulet.db'));
    if (existsSync(join(rescued, 'rivulet.sqlite-wal'))) {
      cpSync(join(rescued, 'rivulet.sqlite-wal'), join(dataDir, 'rivulet.db-wal'));
    }
    // The copy of later is newer than that: the daemon does not go on with what is old.
    await expect(start(copied())).rejects.toMatchObject({ code: 'copy_conflict' });
    rmSync(folder(), { recursive: true });
    expect((await start(copied())).ready.nodeId).toBe(nodeId);
  });

  test('that is required and lost stops new transactions, and the daemon goes on when it is back', async () => {
    const daemon = await start({ ...copied(), 'databaseCopy.required': 'true' });
    const client = clientOf(daemon);
    await client.mine({ blocks: 1 });
    rmSync(folder(), { recursive: true });
    writeFileSync(folder(), 'no folder');
    await expect(client.newAddress({})).rejects.toThrow();
    expect((await client.health({})).databaseCopy).toMatchObject({
      state: expect.not.stringMatching('in_step'),
    });
    rmSync(folder());
    await expect
      .poll(
        () =>
          client.newAddress({}).then(
            () => true,
            () => false,
          ),
        { timeout: 20_000, interval: 200 },
      )
      .toBe(true);
    expect((await client.health({})).databaseCopy).toMatchObject({ state: 'in_step' });
  });

  test('that is required and cannot be made is told at the start, which leaves the folder free', async () => {
    writeFileSync(folder(), 'no folder');
    const required = { ...copied(), 'databaseCopy.required': 'true' };
    await expect(start(required)).rejects.toMatchObject({ code: 'copy_behind' });
    rmSync(folder());
    await start(required);
  });
});
