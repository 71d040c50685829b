import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Regtest, startRegtest } from '@rivulet/chain';
import { decodeInvoice } from '@rivulet/core/invoice';
import {
  createResolver,
  type KeysendAccount,
  keysendAddressAnswer,
  rivuletWallet,
  signHints,
  type Wallet,
} from '@rivulet/keysend';
import { guardedFetcher } from '@rivulet/keysend/node';
import { type Daemon, loadConfig, runDaemon } from '@rivulet/node';
import { createClient, type NodeEvent, type RivuletClient, tokenFileName } from '@rivulet/sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';

interface Here {
  readonly daemon: Daemon;
  readonly client: RivuletClient;
  readonly wallet: Wallet;
}

let folder: string;
let chain: Regtest;
let alice: Here;
let bob: Here;
let carol: Here;
let web: Server;
const accounts = new Map<string, KeysendAccount>();

async function startNode(name: string): Promise<Here> {
  const dataDir = join(folder, name);
  const config = loadConfig({
    flags: {
      dataDir,
      'listen.port': '0',
      'api.port': '0',
      'chain.type': 'bitcoind',
      'chain.url': chain.rpcUrl,
      'chain.user': chain.rpcUser,
      'chain.password': chain.rpcPassword,
      'keysend.accept': 'true',
      'channels.minimumDepth': '1',
    },
  });
  const daemon = await runDaemon({ config });
  const token = readFileSync(join(dataDir, tokenFileName), 'utf8').trim();
  const client = createClient({ url: daemon.ready.apiUrl, token });
  return { daemon, client, wallet: rivuletWallet(client) };
}

async function seen(
  here: Here,
  act: () => Promise<unknown>,
  fits: (event: NodeEvent) => boolean,
): Promise<void> {
  const ended = new AbortController();
  const events = await here.client.events({ signal: ended.signal });
  await act();
  for await (const event of events) if (fits(event)) break;
  ended.abort();
}

let height = 0;

/** Mines, and waits until everybody has seen it. */
async function mine(miner: Here, blocks: number): Promise<void> {
  height += blocks;
  await miner.client.mine({ blocks });
  for (const { client } of [alice, bob, carol]) {
    const isThere = async (): Promise<boolean> => {
      const { blockHeight, synced } = await client.info();
      return synced && blockHeight >= height;
    };
    while (!(await isThere()));
  }
}

/** An unannounced channel, half of it on either side. */
async function openChannel(from: Here, to: Here): Promise<void> {
  const { nodeId, listening } = to.daemon.ready;
  const [at] = listening;
  const request = { nodeId, capacitySat: 1_000_000n, pushSat: 500_000n, announce: false };
  await seen(
    to,
    async () => {
      await from.client.openChannel({ ...request, host: at?.host ?? '', port: at?.port ?? 0 });
      await mine(alice, 6);
    },
    (event) => event.type === 'channel_changed' && event.channel.usable,
  );
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rivulet-hints-'));
  chain = await startRegtest({ rpcUser: 'a', rpcPassword: 'b' });
  [alice, bob, carol] = await Promise.all([startNode('alice'), startNode('bob'), startNode('carol')]);
  await mine(bob, 1);
  await mine(alice, 101);
  await openChannel(alice, bob);
  await openChannel(bob, carol);
  web = createServer((request, response) => {
    const name = request.url?.split('/').at(-1) ?? '';
    const { status, headers, body } = keysendAddressAnswer({ name, accounts, nowMs: Date.now() });
    response.writeHead(status, headers);
    response.end(body);
  });
  await new Promise<void>((done) => web.listen(0, '127.0.0.1', done));
});

afterAll(async () => {
  web?.close();
  for (const here of [alice, bob, carol]) await here?.daemon.stop();
  await chain?.stop();
  if (folder !== undefined) rmSync(folder, { recursive: true });
});

test('a node without announced channels is paid by its keysend address, over the hints that it signed', async () => {
  const { nodeId } = carol.daemon.ready;
  const address = `carol@127.0.0.1:${(web.address() as AddressInfo).port}`;
  const resolver = createResolver({ fetcher: guardedFetcher({ allow: { loopback: true } }), now: Date.now });
  const pay = async (key: string) => {
    const destination = await resolver.resolve({ type: 'lnaddress', address });
    if (destination.type !== 'keysend') throw new Error('no keysend');
    const { records, hints } = destination;
    return alice.wallet.keysend({
      nodeId: destination.nodeId,
      amountMsat: 21_000n,
      records,
      key,
      preimage: new Uint8Array(32).fill(key.length),
      maxFeeMsat: 5_000n,
      timeoutSeconds: 30,
      ...(hints === undefined ? {} : { hints }),
    });
  };

  // What nobody can find a way to, the answer of today does not help with.
  accounts.set('carol', { nodeId });
  await expect(
    resolver.resolve({ type: 'lnaddress', address: `dave@${address.split('@')[1]}` }),
  ).rejects.toThrow(expect.objectContaining({ code: 'address_unknown' }));
  const without = createResolver({ fetcher: guardedFetcher({ allow: { loopback: true } }), now: Date.now });
  expect(await without.resolve({ type: 'lnaddress', address })).not.toHaveProperty('hints');
  const lost = await alice.wallet.keysend({
    nodeId,
    amountMsat: 21_000n,
    records: new Map(),
    key: 'lost',
    preimage: new Uint8Array(32).fill(1),
    timeoutSeconds: 30,
  });
  expect(lost).toMatchObject({ status: 'failed', failure: 'no_route' });

  // The ways that the node itself puts into its invoices, under its own signature.
  const { hints } = decodeInvoice((await carol.client.createInvoice({ amountMsat: 21_000n })).invoice);
  const subject = { nodeId, address, expires: Math.floor(Date.now() / 1000) + 86_400 };
  const signed = await signHints({ ...subject, hints }, (text) => carol.wallet.signMessage(text));
  accounts.set('carol', { nodeId, customKey: '696969', customValue: 'wal_carol', hints: signed });
  expect(await pay('with hints')).toMatchObject({ status: 'succeeded' });
  const { payments } = await carol.client.payments({});
  expect(payments[0]).toMatchObject({ amountMsat: 21_000n });

  // Somebody else's signature is none.
  const forged = await signHints({ ...subject, nodeId: bob.daemon.ready.nodeId, hints }, (text) =>
    bob.wallet.signMessage(text),
  );
  accounts.set('carol', { nodeId, hints: forged });
  expect(
    await createResolver({ fetcher: guardedFetcher({ allow: { loopback: true } }), now: Date.now }).resolve({
      type: 'lnaddress',
      address,
    }),
  ).not.toHaveProperty('hints');
});
