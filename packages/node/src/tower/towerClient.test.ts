import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { bytesToHex } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import { locatorOf, signMessage } from '@rivulet/core/tower';
import { txid } from '@rivulet/core/tx';
import { afterEach, describe, expect, test } from 'vitest';
import { until } from '../driver/pair.test.support.js';
import { ManualScheduler } from '../peers/testing/manualScheduler.js';
import { parseTowerUri } from './client/towerUri.js';
import { TowerWorld } from './towerWorld.test.support.js';

let world: TowerWorld | undefined;
const servers: Server[] = [];

afterEach(async () => {
  await world?.stop();
  world = undefined;
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** Stands between Alice and her tower, and may change what comes back. */
async function proxy(
  target: () => number,
  change: (
    path: string,
    answer: Record<string, unknown>,
    request: string,
  ) => Record<string, unknown> | undefined,
): Promise<number> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.once('end', () => {
      const body = Buffer.concat(chunks).toString();
      fetch(`http://127.0.0.1:${target()}${request.url}`, { method: 'POST', body })
        .then(async (answer) => {
          const given = (await answer.json()) as Record<string, unknown>;
          const changed = change(request.url ?? '', given, body);
          if (changed === undefined) request.socket.destroy();
          else response.writeHead(answer.status).end(JSON.stringify(changed));
        })
        .catch(() => request.socket.destroy());
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

describe('the URI of a tower', () => {
  const id = `02${'ab'.repeat(32)}`;

  test.each([
    [`tower.example:9814/${id}`, 'http://tower.example:9814'],
    [`tower.example/${id}`, 'http://tower.example:9814'],
    [`https://tower.example:443/${id}`, 'https://tower.example:443'],
    [`[::1]:80/${id.toUpperCase()}`, 'http://[::1]:80'],
    [`${id}@10.0.0.1:9000`, 'http://10.0.0.1:9000'],
  ])('%s', (text, url) => {
    expect(parseTowerUri(text)).toEqual({ towerId: id, url });
  });

  test.each([
    '',
    id,
    `/${id}`,
    `tower.example:9814/${id.slice(2)}`,
    `tower.example:9814/05${id.slice(2)}`,
    `a/b:1/${id}`,
    `user@x:1/${id}`,
    `tower.example:99999/${id}`,
    `ftp://tower.example/${id}`,
  ])('is not %j', (text) => {
    expect(() => parseTowerUri(text)).toThrow(/HOST:PORT\/ID/);
  });
});

describe('towers', () => {
  test('are told of every state from when they were added, and it is said how far they are', async () => {
    world = await TowerWorld.start({ towers: [{}, {}] });
    expect(world.client.wantsRevocations()).toBe(false);
    await world.pay('bob', 50_000_000n);
    await world.client.add(world.tower.uri);
    expect(world.client.wantsRevocations()).toBe(true);
    const begin = world.client.list()[0]!.channels[0]!;
    expect(begin).toMatchObject({ queued: 0, refused: 0, missed: 0 });
    expect(begin).not.toHaveProperty('coveredTo');
    await world.pay('bob', 50_000_000n);
    await world.told();
    await world.client.add(world.towers[1]!.uri);
    await world.pay('bob', 50_000_000n);
    await world.told();
    const [one, two] = world.client.list().map(({ channels }) => channels[0]!);
    expect(one!.fromCommitment).toBe(begin.fromCommitment);
    expect(one!.coveredTo).toBe(one!.revokedTo);
    expect(two!.coveredTo).toBe(one!.revokedTo);
    expect(two!.fromCommitment).toBeGreaterThan(one!.fromCommitment);
    // Everything was told: nothing waits, and a few receipts are kept, however many states there were.
    expect(world.pair.alice.store.memory.listTowerQueues()).toEqual([]);
    const told = Number(one!.coveredTo! - one!.fromCommitment) + 1;
    const htlcs = world.tower.server.status().appointments - told;
    expect(htlcs).toBeGreaterThan(0);
    expect(world.tower.server.status().users).toBe(2);
  });

  test('that are away hear of all later, from the database alone', async () => {
    const scheduler = new ManualScheduler();
    world = await TowerWorld.start({ client: { scheduler, requestTimeoutMs: 1e12 } });
    await world.addTowers();
    await world.pay('bob', 50_000_000n);
    await world.told();
    const old = world.bobsChannel;
    const { port } = world.tower.server;
    await world.tower.server.close();
    await world.pay('bob', 50_000_000n);
    await until(() => world!.client.list()[0]!.state === 'unreachable', 'the tower is missed');
    const status = world.client.list()[0]!;
    expect(status.lastError!.message).toContain('does not answer');
    expect(status.channels[0]).toMatchObject({ queuedSinceMs: 1_700_000_000_000 });
    expect(status.channels[0]!.queued).toBeGreaterThan(0);
    await world.reconnectAlice();
    expect(world.client.list()[0]!.channels[0]!.queued).toBe(status.channels[0]!.queued);
    await world.tower.start(port);
    await until(() => {
      scheduler.advance(600_000);
      return world!.client.list()[0]!.state === 'watching';
    }, 'the tower knows all');
    await world.stopAlice();
    world.pair.chain.broadcast(world.commitmentOf(old));
    await world.mine(2);
    expect(world.tower.server.status()).toMatchObject({ trackers: 1, waitingPenalties: 0 });
  });

  test('that give too few slots are registered with again', async () => {
    world = await TowerWorld.start({ towers: [{ limits: { slotsPerRegistration: 3 } }] });
    await world.addTowers();
    for (let i = 0; i < 3; i++) await world.pay('bob', 20_000_000n);
    await world.told();
    const { coveredTo, revokedTo, refused } = world.client.list()[0]!.channels[0]!;
    expect(coveredTo).toBe(revokedTo);
    expect(refused).toBe(0);
  });

  test('are registered with again before a subscription ends', async () => {
    world = await TowerWorld.start({ towers: [{ limits: { subscriptionBlocks: 40, graceBlocks: 0 } }] });
    await world.addTowers();
    await world.pay('bob', 20_000_000n);
    await world.told();
    const left = () => world!.client.list()[0]!.subscription.blocksLeft;
    for (let i = 0; i < 60; i++) {
      const before = left();
      await world.mine();
      await world.pair.caughtUp();
      if (before <= 11) await until(() => left() > 11, 'the subscription is prolonged');
    }
    expect(left()).toBeGreaterThan(0);
    expect(world.client.list()[0]!.channels[0]!.fromCommitment).toBeLessThan(
      world.client.list()[0]!.channels[0]!.coveredTo!,
    );
  });

  test('that forgot us watch anew, and it is said that what was before is not watched', async () => {
    world = await TowerWorld.start();
    await world.addTowers();
    await world.pay('bob', 20_000_000n);
    await world.told();
    const before = world.client.list()[0]!.channels[0]!;
    await world.mine(3);
    await world.pair.caughtUp();
    for (const userId of world.userIds) world.tower.store.transaction((tx) => tx.deleteUser(userId, 1_000));
    await world.pay('bob', 20_000_000n);
    await world.told();
    const after = world.client.list()[0]!.channels[0]!;
    expect(after.fromCommitment).toBeGreaterThan(before.coveredTo!);
    expect(after.coveredTo).toBe(after.revokedTo);
  });

  test('that sign a receipt with another key are flagged, with the proof, and hear of nothing more', async () => {
    world = await TowerWorld.start();
    const liar = sha256(Uint8Array.of(66));
    let lying = false;
    const port = await proxy(
      () => world!.tower.server.port,
      (path, answer) =>
        lying && path === '/add_appointment'
          ? { ...answer, signature: signMessage(new Uint8Array(3), liar) }
          : answer,
    );
    const towerId = world.tower.server.towerId;
    await world.client.add(`127.0.0.1:${port}/${towerId}`);
    await world.pay('bob', 20_000_000n);
    await world.told();
    lying = true;
    await world.pay('bob', 20_000_000n);
    const state = () => world!.client.list()[0]!.state;
    await until(() => state() === 'misbehaving', 'the tower is flagged');
    const [proof] = world.client.list()[0]!.proofs;
    expect(proof).toMatchObject({ what: expect.stringContaining('receipt'), atMs: 1_700_000_000_000 });
    expect(proof!.signerHex).not.toBe(towerId);
    await world.reconnectAlice();
    expect(world.client.list()[0]).toMatchObject({ state: 'misbehaving', proofs: [proof] });
    // Its operator is given another chance, and it is told of all that it missed.
    lying = false;
    await world.client.add(`127.0.0.1:${port}/${towerId}`);
    await until(() => state() === 'watching', 'the tower watches again');
    expect(world.client.list()[0]!.proofs).toEqual([proof]);
  });

  test('that are not the ones that were meant are not added', async () => {
    world = await TowerWorld.start();
    const { port } = world.tower.server;
    const other = bytesToHex(secp256k1.publicKey(sha256(Uint8Array.of(66))));
    await expect(world.client.add(`127.0.0.1:${port}/${other}`)).rejects.toMatchObject({
      code: 'tower_misbehaved',
    });
    const { port: free } = (await listening()).address() as AddressInfo;
    servers.pop()!.close();
    await expect(world.client.add(`127.0.0.1:${free}/${other}`)).rejects.toMatchObject({
      code: 'tower_unreachable',
    });
    expect(world.client.list()).toEqual([]);
    expect(world.client.wantsRevocations()).toBe(false);
  });

  test('that answer with rubbish, too much or nothing are waited for, and payments go on', async () => {
    const scheduler = new ManualScheduler();
    world = await TowerWorld.start({ client: { scheduler, requestTimeoutMs: 1e12 } });
    const answers: (Record<string, unknown> | undefined)[] = [
      undefined,
      {},
      { start_block: -1 },
      { padding: 'x'.repeat(100_000) },
      { start_block: 1, signature: 'x', available_slots: 1e30, subscription_expiry: 1 },
    ];
    let honest = true;
    const port = await proxy(
      () => world!.tower.server.port,
      (path, answer) => (honest || path !== '/add_appointment' ? answer : answers.shift()),
    );
    await world.client.add(`127.0.0.1:${port}/${world.tower.server.towerId}`);
    honest = false;
    await world.pay('bob', 20_000_000n);
    await until(() => {
      scheduler.advance(600_000);
      if (answers.length === 0) honest = true;
      return answers.length === 0 && world!.client.list()[0]!.state === 'watching';
    }, 'the tower is told all the same');
  });

  test('that refuse a state for good do not keep the later ones waiting, and it is said', async () => {
    world = await TowerWorld.start({ towers: [{ limits: { maxBlob: 100 } }] });
    await world.addTowers();
    await world.pay('bob', 20_000_000n);
    await until(() => world!.client.list()[0]!.state === 'watching', 'all is told');
    const { refused, refusal } = world.client.list()[0]!.channels[0]!;
    expect(refused).toBeGreaterThan(0);
    expect(refusal).toContain('100 bytes');
  });

  test('are removed with all that waits for them alone', async () => {
    world = await TowerWorld.start({ towers: [{}, {}] });
    await world.addTowers();
    const [one, two] = world.towers;
    const id = two!.server.towerId;
    await two!.server.close();
    await world.pay('bob', 20_000_000n);
    await until(() => world!.client.status(one!.server.towerId).state === 'watching', 'one tower knows all');
    expect(world.pair.alice.store.memory.listTowerQueues()).toHaveLength(1);
    await world.client.remove(id);
    expect(world.pair.alice.store.memory.listTowerQueues()).toEqual([]);
    expect(world.pair.alice.store.memory.listValues('tower-progress/')).toHaveLength(1);
    expect(() => world!.client.status(id)).toThrow(/there is no tower/);
    await expect(world.client.remove(id)).rejects.toMatchObject({ code: 'tower_unknown' });
    await two!.start();
  });

  test('hear of no more than may wait, and it is said what they missed', async () => {
    world = await TowerWorld.start({ client: { maxWaiting: 2, scheduler: new ManualScheduler() } });
    await world.addTowers();
    await world.tower.server.close();
    await world.pay('bob', 20_000_000n);
    await world.pay('bob', 20_000_000n);
    const [channel] = world.client.list()[0]!.channels;
    expect(world.pair.alice.store.memory.listTowerQueues()[0]!.count).toBe(2);
    expect(channel!.missed).toBeGreaterThan(0);
    await world.tower.start();
  });

  test('hear of no more bytes than may wait, and go on when the one that was away is removed', async () => {
    const scheduler = new ManualScheduler();
    world = await TowerWorld.start({ towers: [{}, {}], client: { maxWaitingBytes: 60, scheduler } });
    await world.addTowers();
    const [one, two] = world.towers;
    const there = one!.server.towerId;
    await two!.server.close();
    await world.pay('bob', 20_000_000n);
    await world.pay('bob', 20_000_000n);
    const channel = () => world!.client.status(there).channels[0]!;
    const { missed } = channel();
    expect(missed).toBeGreaterThan(0);
    await world.client.remove(two!.server.towerId);
    await two!.start();
    await world.pay('bob', 20_000_000n);
    await until(() => world!.client.status(there).state === 'watching', 'the tower knows all');
    const after = channel();
    expect(after.missed).toBe(missed);
    expect(after.coveredTo).toBe(after.revokedTo);
    // What was missed is not said to be watched.
    expect(after.fromCommitment).toBeGreaterThan(BigInt(missed));
  });

  test('are told of what is revoked in the very turn in which they are added', async () => {
    world = await TowerWorld.start();
    const { alice } = world.pair;
    const { turns } = alice.node;
    await world.pay('bob', 20_000_000n);
    const cheat = txid(world.commitmentOf(world.bobsChannel));
    const enqueue = turns.enqueue.bind(turns);
    const waiting: Parameters<typeof enqueue>[0][] = [];
    turns.enqueue = (work) => void waiting.push(work);
    const added = world.client.add(world.tower.uri);
    await until(() => waiting.length > 0, 'the tower has answered');
    const [add] = waiting.splice(0);
    const paid = world.pay('bob', 20_000_000n);
    // Until what comes next from Bob is his revocation: that one and the tower come in one turn.
    await until(() => {
      if (alice.node.channels[0]!.remoteCommit.awaitingRevocation) return waiting.length > 0;
      for (const work of waiting.splice(0)) enqueue(work);
      return false;
    }, 'Bob has a commitment to revoke');
    turns.enqueue = enqueue;
    for (const work of [add!, ...waiting]) enqueue(work);
    await added;
    await paid;
    await world.told();
    const { fromCommitment, coveredTo, revokedTo } = world.client.list()[0]!.channels[0]!;
    expect(coveredTo).toBe(revokedTo);
    const first = world.tower.store.getAppointment({ locator: locatorOf(cheat), userId: world.userIds[0]! });
    expect(first).toBeDefined();
    expect(fromCommitment).toBeLessThan(coveredTo!);
  });

  test('that say they have what they do not show are found out', async () => {
    world = await TowerWorld.start();
    const port = await proxy(
      () => world!.tower.server.port,
      (path, answer) => {
        if (path !== '/get_appointment') return answer;
        return {
          ...answer,
          appointment: { locator: '00', encrypted_blob: '00'.repeat(300), to_self_delay: 1 },
        };
      },
    );
    await world.client.add(`127.0.0.1:${port}/${world.tower.server.towerId}`);
    await world.pay('bob', 20_000_000n);
    await world.told();
    await world.mine(145);
    await until(() => world!.client.list()[0]!.state === 'misbehaving', 'the tower is found out');
  });

  test('get bodies that The Eye of Satoshi takes: at most 2,048 bytes', async () => {
    world = await TowerWorld.start();
    let longest = 0;
    const port = await proxy(
      () => world!.tower.server.port,
      (path, answer, request) => {
        if (path === '/add_appointment') longest = Math.max(longest, request.length);
        return answer;
      },
    );
    await world.client.add(`127.0.0.1:${port}/${world.tower.server.towerId}`);
    await world.pay('bob', 20_000_000n);
    await world.pay('alice', 20_000_000n);
    await world.told();
    expect(longest).toBeGreaterThan(500);
    expect(longest).toBeLessThanOrEqual(2_048);
  });

  test('are asked once a day whether they still have what they gave a receipt for', async () => {
    world = await TowerWorld.start();
    await world.addTowers();
    await world.pay('bob', 20_000_000n);
    await world.told();
    for (const userId of world.userIds) {
      for (const locator of world.tower.store.locatorsOf(userId, 100)) {
        world.tower.store.transaction((tx) => tx.deleteAppointment({ locator, userId }));
      }
    }
    await world.mine(100);
    await world.pair.caughtUp();
    expect(world.client.list()[0]!.state).toBe('watching');
    await world.mine(45);
    await until(() => world!.client.list()[0]!.state === 'misbehaving', 'the tower is found out');
    expect(world.client.list()[0]!.proofs[0]).toMatchObject({
      what: expect.stringContaining('gave a receipt for'),
      signerHex: world.tower.server.towerId,
    });
  });
});

async function listening(): Promise<Server> {
  const server = createServer();
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
