import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { AuditLog, verifyAudit } from '@rivulet/keysend/compliance';
import { ReceiptBook, verifyReceipt } from '@rivulet/keysend/proof';
import { verifyWebhook } from '@rivulet/keysend/receiving';
import { openToolkit, type Toolkit } from '@rivulet/keysend/sqlite';
import { Database } from '@rivulet/storage/database';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CommandWorld, type NodeProcess } from './commandWorld.js';

let world: CommandWorld;
/** Pays. */
let alice: NodeProcess;
/** Is paid, and connects Alice with Carol. */
let bob: NodeProcess;
/** Has a channel with Bob that nobody knows of. */
let carol: NodeProcess;
let bobsPort: number;
let carolsPort: number;

const publicServer = (port: number, name: string) => ({
  '--address-enabled': 'true',
  '--address-port': String(port),
  '--address-domain': `127.0.0.1:${port}`,
  '--address-names': name,
});

beforeAll(async () => {
  world = await CommandWorld.create();
  [bobsPort, carolsPort] = [await freePort(), await freePort()];
  alice = await world.node('alice');
  bob = await world.node('bob', publicServer(bobsPort, 'bob'));
  carol = await world.node('carol', publicServer(carolsPort, 'carol'));
  await world.openChannel(alice, bob, 1_000_000n);
  await world.openChannel(bob, carol, 1_000_000n);
  // Bob can send receipts back.
  await pay(bob, 50_000_000n);
}, 180_000);

afterAll(() => world?.close());

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function pay(to: NodeProcess, amountMsat: bigint, message?: string): Promise<string> {
  const records = new Map<bigint, Uint8Array>();
  if (message !== undefined) {
    records.set(7_629_169n, utf8ToBytes(JSON.stringify({ action: 'boost', message })));
  }
  const { paymentHash } = await alice.client.keysend({
    nodeId: to.nodeId,
    amountMsat,
    records,
    waitSeconds: 60,
  });
  return paymentHash;
}

function toolkitOf<T>({ dataDir }: NodeProcess, look: (toolkit: Toolkit) => T): T {
  const toolkit = openToolkit({ path: join(dataDir, 'toolkit.sqlite') });
  try {
    return look(toolkit);
  } finally {
    toolkit.close();
  }
}

/** Asks until there is something, with the daemon's answers in between. */
async function found<T>(node: NodeProcess, look: (toolkit: Toolkit) => T | undefined): Promise<T> {
  for (;;) {
    const one = toolkitOf(node, look);
    if (one !== undefined) return one;
    await node.client.info();
  }
}

const hashesOf = ({ boosts }: Toolkit) => boosts.arrivals(0, 1_000).map(({ paymentHash }) => paymentHash);

/** What a command says. @throws where it does not end well. */
async function rivulet(node: NodeProcess, ...args: readonly string[]): Promise<string> {
  const { exited, printed } = world.rivulet(node, args);
  const { code } = await exited;
  expect([code, printed.err], args.join(' ')).toEqual([0, expect.any(String)]);
  return printed.out;
}

async function json(node: NodeProcess, ...args: readonly string[]) {
  return JSON.parse(await rivulet(node, ...args, '--json'));
}

describe('what a daemon receives', () => {
  test('is in its toolkit once, though it was killed between settling and storing it', {
    timeout: 60_000,
  }, async () => {
    const before = await pay(bob, 21_000n, 'before');
    await found(bob, (toolkit) => (hashesOf(toolkit).includes(before) ? true : undefined));
    // Somebody else has the file: nothing can be stored in it, and the payment is settled all the same.
    const lock = new Database(join(bob.dataDir, 'toolkit.sqlite'));
    lock.exec('BEGIN IMMEDIATE');
    const between = await pay(bob, 22_000n, 'between');
    await bob.end('SIGKILL');
    lock.exec('ROLLBACK');
    lock.close();
    expect(toolkitOf(bob, hashesOf)).not.toContain(between);
    await bob.start();
    await found(bob, (toolkit) => (hashesOf(toolkit).includes(between) ? true : undefined));
    await alice.until(async ({ channels }) => (await channels()).channels.some(({ usable }) => usable));
    const after = await pay(bob, 23_000n, 'after');
    const hashes = await found(bob, (toolkit) => {
      const all = hashesOf(toolkit);
      return all.includes(after) ? all : undefined;
    });
    expect(hashes.slice(-3)).toEqual([before, between, after]);
    toolkitOf(bob, ({ store }) => {
      const received = [...new AuditLog({ store }).records()].filter(
        ({ type }) => type === 'payment_received',
      );
      expect(received.map(({ data }) => data.paymentHash)).toEqual(hashes);
      expect(verifyAudit(store).status).toBe('intact');
    });
    const { boosts } = await json(bob, 'boosts', 'list');
    expect(boosts.map(({ message }: { message?: string }) => message)).toEqual(
      expect.arrayContaining(['before', 'between', 'after']),
    );
  });

  test('is told to a webhook on this machine, signed', { timeout: 60_000 }, async () => {
    const deliveries: { signature: string; body: Uint8Array }[] = [];
    let told: () => void = () => {};
    const hook: Server = createServer(async (request, response) => {
      deliveries.push({
        signature: String(request.headers['rivulet-signature']),
        body: Uint8Array.from(await buffer(request)),
      });
      response.end();
      told();
    });
    await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = hook.address() as AddressInfo;
      const secret = '5e'.repeat(32);
      const file = join(world.folder, 'hook-secret');
      writeFileSync(file, secret);
      await rivulet(bob, 'boosts', 'webhooks', 'add', `http://127.0.0.1:${port}/`, '--secret-file', file);
      const arrived = new Promise<void>((resolve) => {
        told = resolve;
      });
      const paymentHash = await pay(bob, 24_000n, 'for the hook');
      await arrived;
      const [delivery] = deliveries as [(typeof deliveries)[number]];
      verifyWebhook({ ...delivery, secret: hexToBytes(secret), nowMs: Date.now() });
      expect(JSON.parse(new TextDecoder().decode(delivery.body))).toMatchObject({
        type: 'boost.received',
        boost: { paymentHash, message: 'for the hook' },
      });
    } finally {
      hook.closeAllConnections();
      hook.close();
    }
  });
});

/** A feed whose episode pays one recipient. */
function feedOf(name: string, recipient: string): string {
  const path = join(world.folder, `${name}.xml`);
  writeFileSync(
    path,
    `<rss version="2.0" xmlns:podcast="https://podcastindex.org/namespace/1.0"><channel><title>Tide</title>
      <podcast:value type="lightning" method="keysend"><podcast:valueRecipient name="${name}" ${recipient} split="100"/></podcast:value>
      <item><title>One</title><guid>one</guid></item></channel></rss>`,
  );
  return path;
}

describe('receipts', () => {
  test('are asked for with a boost, come back by keysend to the daemon, and are good for anybody', {
    timeout: 60_000,
  }, async () => {
    const feed = feedOf('bob', `type="node" address="${bob.nodeId}"`);
    await rivulet(alice, 'boost', feed, 'one', '1,000', '--sign', '--receipt', '--yes', '--message', 'hello');
    const receipt = await found(alice, ({ store }) => new ReceiptBook({ store, now: Date.now }).list()[0]);
    const expected = { recipient: bob.nodeId, amountMsat: 1_000_000n, sender: alice.nodeId };
    expect(verifyReceipt(receipt, { expected }).status).toBe('valid');
    const file = join(world.folder, 'receipt.json');
    writeFileSync(file, JSON.stringify(receipt));
    await rivulet(carol, 'receipt', 'verify', file);
    // Bob knows who it was.
    const sender = await found(
      bob,
      ({ boosts }) =>
        boosts.arrivals(0, 1_000).find(({ paymentHash }) => paymentHash === receipt.paymentHash)?.sender,
    );
    expect(sender.provenKey).toBe(alice.nodeId);

    // The same one over HTTP, for whoever has the nonce.
    const url = `http://127.0.0.1:${bobsPort}/receipts/${receipt.paymentHash}`;
    const answer = await fetch(`${url}?nonce=${receipt.nonce}`);
    expect([answer.status, await answer.json()]).toEqual([200, receipt]);
    expect((await fetch(`${url}?nonce=${'00'.repeat(16)}`)).status).toBe(404);
  });
});

describe('a keysend address', () => {
  test('of a node with private channels only is served with hints, and paid by a boost', {
    timeout: 60_000,
  }, async () => {
    const answer = await fetch(`http://127.0.0.1:${carolsPort}/.well-known/keysend/carol`);
    expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    const served = (await answer.json()) as { pubkey: string; rivulet: { hints: unknown[] } };
    expect(served).toMatchObject({ status: 'OK', tag: 'keysend', pubkey: carol.nodeId, customData: [] });
    expect(served.rivulet.hints).toHaveLength(1);
    expect((await fetch(`http://127.0.0.1:${carolsPort}/.well-known/keysend/bob`)).status).toBe(404);
    await expect(pay(carol, 21_000n)).rejects.toMatchObject({ code: 'destination_unknown' });

    const feed = feedOf('carol', `type="lnaddress" address="carol@127.0.0.1:${carolsPort}"`);
    const options = ['--allow-local', '--receipt', '--yes', '--message', 'found you'];
    await rivulet(alice, 'boost', feed, 'one', '500', ...options);
    const boost = await found(carol, ({ boosts }) => boosts.arrivals(0, 10)[0]);
    expect(boost).toMatchObject({ amountMsat: 500_000n, message: 'found you' });
  });
});

describe('the policy, from the command line', () => {
  test('holds what is asked for from the next payment on, until somebody decides', {
    timeout: 60_000,
  }, async () => {
    await rivulet(
      bob,
      'policy',
      'keysend',
      'set',
      '--minimum',
      '10',
      '--hold-above',
      '5,000',
      '--hold-seconds',
      '600',
    );
    await expect(pay(bob, 9_000n)).rejects.toMatchObject({ code: 'refused_by_destination' });
    const listening = world.rivulet(bob, ['listen']);
    while (!listening.printed.err.includes('listening')) await bob.client.info();
    const sent = ['keep', 'send back'].map((message) => pay(bob, 6_000_000n, message));
    for (const one of sent) one.catch(() => {});
    const said = await listening.line(/keysend of 6,000 sat held "send back" \(hold_amount\)/);
    await listening.line(/keysend of 6,000 sat held "keep"/);
    listening.child.kill('SIGINT');
    const [, refuse] = /rivulet (policy refuse [0-9a-f]+)/.exec(said) ?? [];
    expect(await rivulet(bob, ...(refuse ?? '').split(' '))).toMatch(/6,000 sat sent back/);
    await expect(sent[1]).rejects.toMatchObject({ code: 'refused_by_destination' });
    const { keysends } = await json(bob, 'policy', 'held');
    expect(keysends).toMatchObject([{ message: 'keep', amountMsat: '6000000' }]);
    await rivulet(bob, 'policy', 'accept', keysends[0].paymentHash.slice(0, 8));
    expect(await sent[0]).toBe(keysends[0].paymentHash);
    expect(await rivulet(bob, 'policy', 'held')).toBe('no keysend waits for a decision\n');
    expect(await rivulet(bob, 'policy', 'keysend')).toMatch(
      /since the start: \d+ taken at once, 2 held, 1 refused\n {2}refused by minimum: 1\n {2}held by hold_amount: 2\n/,
    );
    await rivulet(bob, 'policy', 'keysend', 'set', '--clear');
    await pay(bob, 1_000n);
  });
});
