import { connect } from 'node:net';
import { embeddedBackend, RegtestChain } from '@rivulet/chain';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import {
  type Appointment,
  appointmentMessage,
  appointmentReceiptMessage,
  deriveTowerUser,
  encryptPenalty,
  getAppointmentMessage,
  isReceiptSigned,
  locatorOf,
  registrationReceiptMessage,
  signMessage,
  subscriptionMessage,
} from '@rivulet/core/tower';
import { buildSweep, p2wpkhClaim, p2wpkhScript, type Transaction, txid } from '@rivulet/core/tx';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TowerServerOptions } from './server/towerServer.js';
import { TestTower } from './towerWorld.test.support.js';

// What The Eye of Satoshi answers, by its http API tests and its protocol's messages (talaia-labs/rust-teos).

let chain: RegtestChain;
let tower: TestTower;

async function start(options: Partial<TowerServerOptions> = {}): Promise<void> {
  chain = new RegtestChain({});
  chain.mine({ blocks: 10 });
  tower = new TestTower(chain, { seed: 1, ...options });
  await tower.start();
}

beforeEach(() => start());
afterEach(() => tower.server.close());

const user = (index: number) =>
  deriveTowerUser({ secret: new Uint8Array(32).fill(5), towerId: new Uint8Array(33), index });
const alice = user(0);

type Answer = { status: number; body: Record<string, unknown> };

async function call(path: string, body: unknown, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${tower.server.port}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...init,
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Answer['body']) };
}

const register = (who = alice) => call('/register', { user_id: bytesToHex(who.userId) });

const appointment = (fill: number, length = 300): Appointment => ({
  locator: new Uint8Array(16).fill(fill),
  encryptedBlob: new Uint8Array(length).fill(fill),
  toSelfDelay: 42,
});

function addBody(given: Appointment, signature: string) {
  return {
    appointment: {
      locator: bytesToHex(given.locator),
      encrypted_blob: bytesToHex(given.encryptedBlob),
      to_self_delay: given.toSelfDelay,
    },
    signature,
  };
}

const add = (given: Appointment, who = alice) =>
  call('/add_appointment', addBody(given, signMessage(appointmentMessage(given), who.privateKey)));

/** A transaction that is valid and that nobody has seen yet. */
function spendCoin(): Transaction {
  const key = new Uint8Array(32).fill(9);
  const pubkey = secp256k1.publicKey(key);
  const script = p2wpkhScript(pubkey);
  const [block] = chain.mine({ script });
  chain.mine({ blocks: 100 });
  const coinbase = block!.transactions[0]!.tx;
  const input = p2wpkhClaim({
    outpoint: { txid: txid(coinbase), index: 0 },
    valueSat: coinbase.outputs[0]!.valueSat,
    pubkey,
    sign: (hash) => secp256k1.sign(hash, key),
  });
  return buildSweep({ inputs: [input], script, feeratePerKw: 1_000 })!.tx;
}

const get = (locator: Uint8Array, who = alice) =>
  call('/get_appointment', {
    locator: bytesToHex(locator),
    signature: signMessage(getAppointmentMessage(locator), who.privateKey),
  });

const subscription = (who = alice) =>
  call('/get_subscription_info', { signature: signMessage(subscriptionMessage, who.privateKey) });

describe('the protocol of a tower', () => {
  test('a registration is answered with a receipt of the subscription, and adds to it', async () => {
    const { status, body } = await register();
    expect(status).toBe(200);
    expect(body).toEqual({
      user_id: bytesToHex(alice.userId),
      available_slots: 10_000,
      subscription_start: 10,
      subscription_expiry: 10 + 4_320,
      subscription_signature: expect.any(String),
    });
    const message = registrationReceiptMessage({
      userId: alice.userId,
      availableSlots: 10_000,
      subscriptionStart: 10,
      subscriptionExpiry: 4_330,
    });
    const signature = body.subscription_signature as string;
    expect(isReceiptSigned(message, { signature, towerId: hexToBytes(tower.server.towerId) })).toBe(true);
    expect((await register()).body).toMatchObject({
      available_slots: 20_000,
      subscription_start: 10,
      subscription_expiry: 10 + 8_640,
    });
  });

  test('an appointment is answered with a receipt that binds it, takes its slots, and can be asked for', async () => {
    await register();
    const given = appointment(7, 2_049);
    const { status, body } = await add(given);
    expect(status).toBe(200);
    expect(body).toEqual({
      locator: '07'.repeat(16),
      start_block: 10,
      signature: expect.any(String),
      available_slots: 9_998,
      subscription_expiry: 4_330,
    });
    const userSignature = signMessage(appointmentMessage(given), alice.privateKey);
    const message = appointmentReceiptMessage({ userSignature, startBlock: 10 });
    const signature = body.signature as string;
    expect(isReceiptSigned(message, { signature, towerId: hexToBytes(tower.server.towerId) })).toBe(true);
    expect(await get(given.locator)).toEqual({
      status: 200,
      body: {
        appointment: {
          locator: '07'.repeat(16),
          encrypted_blob: '07'.repeat(2_049),
          to_self_delay: 42,
        },
        status: 'being_watched',
      },
    });
    expect((await subscription()).body).toEqual({
      available_slots: 9_998,
      subscription_expiry: 4_330,
      locators: ['07'.repeat(16)],
    });
  });

  test('another appointment at the same locator takes the place of the first, and gives its slots back', async () => {
    await register();
    await add(appointment(7, 4_100));
    const smaller = { ...appointment(8, 300), locator: appointment(7).locator };
    expect((await add(smaller)).body).toMatchObject({ available_slots: 9_999 });
    expect(tower.store.totals()).toMatchObject({ appointments: 1, blobBytes: 300 });
    // Of somebody else it is an appointment of its own.
    await register(user(1));
    await add({ ...appointment(9), locator: smaller.locator }, user(1));
    expect(tower.store.totals().appointments).toBe(2);
    expect((await get(smaller.locator)).body).toMatchObject({
      appointment: { encrypted_blob: '08'.repeat(300) },
    });
  });

  test('ping is answered', async () => {
    const response = await fetch(`http://127.0.0.1:${tower.server.port}/ping`);
    expect(response.status).toBe(200);
  });

  test('what was accepted outlives a restart', async () => {
    await register();
    await add(appointment(7));
    await tower.restart();
    // The connection of before is gone, and whoever uses it finds out.
    await expect
      .poll(() => get(appointment(7).locator).catch(() => undefined))
      .toMatchObject({ status: 200 });
  });
});

describe('a tower refuses', () => {
  const refusals: [string, string, unknown, number, number][] = [
    ['a body that is no JSON', '/register', '{"user_id', 400, 6],
    ['a body that is no object', '/register', '[]', 400, 3],
    ['a missing field', '/register', {}, 400, 1],
    ['a field of another type', '/register', { user_id: 1 }, 400, 3],
    ['an empty field', '/register', { user_id: '' }, 400, 2],
    ['a field of another size', '/register', { user_id: '02' }, 400, 4],
    ['a field that is no hex', '/register', { user_id: 'zz'.repeat(33) }, 400, 5],
    ['an odd number of hex digits', '/register', { user_id: '022' }, 400, 5],
    ['a key that is none', '/register', { user_id: 'ff'.repeat(33) }, 400, 5],
    ['a missing appointment', '/add_appointment', { signature: 'y' }, 400, 1],
    ['an appointment that is no object', '/add_appointment', { appointment: '', signature: 'y' }, 400, 3],
    ['a name that every object has', '/get_subscription_info', { toString: 'y' }, 400, 1],
    ['an unknown endpoint', '/delete_appointment', {}, 404, 255],
    ['a signature that is none', '/get_subscription_info', { signature: 'y'.repeat(104) }, 401, 7],
  ];

  test.each(refusals)('%s', async (_, path, body, status, errorCode) => {
    const answer = await call(path, body);
    expect(answer.status).toBe(status);
    expect(answer.body).toEqual({ error: expect.any(String), error_code: errorCode });
  });

  test('delays that no u32 holds', async () => {
    await register();
    for (const toSelfDelay of [-1, 1.5, 2 ** 32, '1', null]) {
      const body = addBody(appointment(1), 'y');
      const given = { ...body, appointment: { ...body.appointment, to_self_delay: toSelfDelay } };
      expect((await call('/add_appointment', given)).body.error_code).toBe(3);
    }
  });

  test('who is not registered, and signatures of something else', async () => {
    expect(await add(appointment(1))).toMatchObject({ status: 401, body: { error_code: 7 } });
    expect(await get(appointment(1).locator)).toMatchObject({ status: 401, body: { error_code: 7 } });
    await register();
    const signature = signMessage(appointmentMessage(appointment(2)), alice.privateKey);
    expect(await call('/add_appointment', addBody(appointment(1), signature))).toMatchObject({ status: 401 });
    expect(tower.store.totals().appointments).toBe(0);
  });

  test('to tell of an appointment that is not there, or is of somebody else', async () => {
    await register();
    await register(user(1));
    await add(appointment(1), user(1));
    expect(await get(appointment(1).locator)).toMatchObject({ status: 404, body: { error_code: 36 } });
  });

  test('blobs that can be no transaction, and such that are too long', async () => {
    await register();
    expect(await add(appointment(1, 75))).toMatchObject({ status: 400, body: { error_code: 33 } });
    expect(await add(appointment(1, 8_193))).toMatchObject({ status: 400, body: { error_code: 34 } });
    expect(await call('/add_appointment', 'x'.repeat(40_000))).toMatchObject({ status: 413 });
  });

  test('another method', async () => {
    expect((await call('/register', undefined, { method: 'GET', body: null })).status).toBe(405);
    expect((await call('/ping', {})).status).toBe(405);
  });
});

describe('a tower has limits', () => {
  const restartWith = async (options: Partial<TowerServerOptions>) => {
    await tower.server.close();
    await start(options);
  };

  test('slots are used up, and registering gives new ones up to a bound', async () => {
    await restartWith({ limits: { slotsPerRegistration: 2, maxFreeSlots: 3 } });
    await register();
    await add(appointment(1));
    await add(appointment(2));
    expect(await add(appointment(3))).toMatchObject({ status: 401, body: { error_code: 7 } });
    expect((await register()).body.available_slots).toBe(2);
    expect((await register()).body.available_slots).toBe(3);
    expect((await add(appointment(3))).status).toBe(200);
  });

  test('a subscription expires; what it had is watched for a while longer, and is forgotten then', async () => {
    await restartWith({ limits: { subscriptionBlocks: 5, graceBlocks: 3 } });
    await register();
    await add(appointment(1));
    chain.mine({ blocks: 5 });
    await tower.server.synced();
    expect(await add(appointment(2))).toMatchObject({ status: 401, body: { error_code: 7 } });
    expect(await subscription()).toMatchObject({ status: 401, body: { error_code: 7 } });
    chain.mine({ blocks: 2 });
    await tower.server.synced();
    expect(tower.store.totals()).toMatchObject({ users: 1, appointments: 1 });
    // Who comes back in time keeps all.
    expect((await register()).body).toMatchObject({ subscription_start: 10, subscription_expiry: 22 });
    expect((await get(appointment(1).locator)).status).toBe(200);
    chain.mine({ blocks: 8 });
    await tower.server.synced();
    expect(tower.store.totals()).toMatchObject({ users: 0, appointments: 0, blobBytes: 0 });
    expect((await register()).body).toMatchObject({ subscription_start: 25 });
  });

  test('registering again and again prolongs a subscription up to a bound', async () => {
    await restartWith({ limits: { subscriptionBlocks: 5, maxSubscriptionBlocks: 12 } });
    for (const expiry of [15, 20, 22, 22]) {
      expect((await register()).body.subscription_expiry).toBe(expiry);
    }
  });

  test('users and bytes are bounded', async () => {
    await restartWith({ limits: { maxUsers: 2, maxBlobBytes: 1_500 } });
    await register();
    await register(user(1));
    expect(await register(user(2))).toMatchObject({ status: 400, body: { error_code: 65 } });
    expect((await register()).status).toBe(200);
    await add(appointment(1));
    await add(appointment(2));
    expect(await add(appointment(3))).toMatchObject({ status: 400, body: { error_code: 65 } });
    expect((await add(appointment(2, 400))).status).toBe(200);
  });

  test('one address gets so many requests and registrations', async () => {
    await restartWith({
      httpLimits: {
        requests: { capacity: 6, perSecond: 0.001 },
        registrations: { capacity: 2, perSecond: 0.001 },
      },
    });
    expect((await register()).status).toBe(200);
    expect((await register(user(1))).status).toBe(200);
    expect(await register(user(2))).toMatchObject({ status: 503, body: { error_code: 32 } });
    expect((await add(appointment(1))).status).toBe(200);
    expect((await add(appointment(2))).status).toBe(200);
    expect((await add(appointment(3))).status).toBe(200);
    expect(await add(appointment(4))).toMatchObject({ status: 503, body: { error_code: 32 } });
  });

  test('a flood of one locator is many appointments, of which none is of use: one block drops them all', async () => {
    await restartWith({});
    const who = Array.from({ length: 40 }, (_, index) => user(index));
    for (const one of who) await register(one);
    const tx = spendCoin();
    const locator = locatorOf(txid(tx));
    for (const one of who) await add({ ...appointment(3), locator }, one);
    expect(tower.store.totals().appointments).toBe(40);
    chain.broadcast(tx);
    chain.mine();
    await tower.server.synced();
    expect(tower.store.totals()).toMatchObject({ users: 40, appointments: 0, trackers: 0 });
  });

  test('what no node takes is sent ever more rarely, and a user may have so much of it', async () => {
    await tower.server.close();
    chain = new RegtestChain({});
    const backend = embeddedBackend(chain);
    let sent = 0;
    tower = new TestTower(chain, {
      seed: 1,
      limits: { maxTrackersPerUser: 1 },
      backend: {
        ...backend,
        broadcast: (tx) => {
          sent++;
          return backend.broadcast(tx);
        },
      },
    });
    await tower.start();
    await register();
    const disputed = [spendCoin(), spendCoin()];
    for (const tx of disputed) chain.broadcast(tx);
    chain.mine();
    await tower.server.synced();
    for (const disputeTxid of disputed.map(txid)) {
      const outpoint = { txid: disputeTxid, index: 0 };
      const penalty: Transaction = {
        version: 2,
        lockTime: 0,
        inputs: [{ outpoint, scriptSig: new Uint8Array(0), sequence: 0, witness: [Uint8Array.of(1)] }],
        outputs: [{ valueSat: 100_000n, script: p2wpkhScript(alice.userId) }],
      };
      const encryptedBlob = encryptPenalty(penalty, disputeTxid);
      const { status } = await add({ locator: locatorOf(disputeTxid), encryptedBlob, toSelfDelay: 1 });
      expect(status).toBe(200);
    }
    expect(tower.store.totals()).toMatchObject({ appointments: 2, trackers: 1 });
    for (let i = 0; i < 150; i++) {
      chain.mine();
      await tower.server.synced();
    }
    expect(sent).toBeGreaterThan(4);
    expect(sent).toBeLessThan(12);
  });

  /** What punishes nobody: no signature in it is good. */
  function uselessPenalty(disputeTxid: Uint8Array, index = 0): Appointment {
    const outpoint = { txid: disputeTxid, index };
    const penalty: Transaction = {
      version: 2,
      lockTime: 0,
      inputs: [{ outpoint, scriptSig: new Uint8Array(0), sequence: 0, witness: [Uint8Array.of(1)] }],
      outputs: [{ valueSat: 100_000n, script: p2wpkhScript(alice.userId) }],
    };
    const encryptedBlob = encryptPenalty(penalty, disputeTxid);
    return { locator: locatorOf(disputeTxid), encryptedBlob, toSelfDelay: 1 };
  }

  test('cheats that somebody made up give their places to others, the most refused ones first', async () => {
    await restartWith({ limits: { maxTrackers: 2 } });
    const disputed = [spendCoin(), spendCoin(), spendCoin()];
    for (const who of [alice, user(1)]) await register(who);
    for (const tx of disputed.slice(0, 2)) chain.broadcast(tx);
    for (const tx of disputed.slice(0, 2)) await add(uselessPenalty(txid(tx)));
    chain.mine();
    await tower.server.synced();
    expect(tower.store.totals()).toMatchObject({ trackers: 2, appointments: 2 });
    await add(uselessPenalty(txid(disputed[2]!)), user(1));
    chain.broadcast(disputed[2]!);
    chain.mine();
    await tower.server.synced();
    expect(tower.store.totals()).toMatchObject({ trackers: 2, appointments: 2 });
    expect(tower.store.loadTrackers().map(({ userId }) => userId)).toContainEqual(user(1).userId);
    // Of what comes at once everybody's first one goes before anybody's second one.
    await restartWith({ limits: { maxTrackers: 2 } });
    for (const who of [alice, user(1)]) await register(who);
    const together = [spendCoin(), spendCoin(), spendCoin()];
    for (const tx of together) chain.broadcast(tx);
    for (const [i, tx] of together.entries()) await add(uselessPenalty(txid(tx)), i === 2 ? user(1) : alice);
    chain.mine();
    await tower.server.synced();
    expect(tower.store.loadTrackers().map(({ userId }) => userId)).toContainEqual(user(1).userId);
  });

  test('blocks are looked into while penalties are still being sent, and new ones come first', async () => {
    await tower.server.close();
    chain = new RegtestChain({});
    const backend = embeddedBackend(chain);
    const sent: string[] = [];
    let release: () => void = () => {};
    tower = new TestTower(chain, {
      seed: 1,
      backend: {
        ...backend,
        broadcast: async (tx) => {
          sent.push(bytesToHex(tx.inputs[0]!.outpoint.txid));
          await new Promise<void>((resolve) => {
            release = resolve;
          });
          return backend.broadcast(tx);
        },
      },
    });
    await tower.start();
    await register();
    const disputed = [spendCoin(), spendCoin(), spendCoin()].map((tx) => ({ tx, id: txid(tx) }));
    await tower.server.synced();
    for (const { id } of disputed) await add(uselessPenalty(id));
    chain.broadcast(disputed[0]!.tx);
    chain.mine();
    await expect.poll(() => sent).toHaveLength(1);
    for (const { tx } of disputed.slice(1)) chain.broadcast(tx);
    chain.mine();
    await expect.poll(() => tower.store.totals().trackers).toBe(3);
    for (const count of [2, 3]) {
      release();
      await expect.poll(() => sent).toHaveLength(count);
    }
    release();
    await tower.server.synced();
    expect(new Set(sent)).toEqual(new Set(disputed.map(({ id }) => bytesToHex(id))));
  });

  test('nothing is taken on where the disk is nearly full', async () => {
    let free: number | undefined = 10;
    await restartWith({ limits: { minFreeBytes: 11 }, freeBytes: () => free });
    await register();
    expect(await add(appointment(1))).toMatchObject({ status: 400, body: { error_code: 65 } });
    free = undefined;
    expect((await add(appointment(1))).status).toBe(200);
  });

  test('one address gets so many connections', async () => {
    await restartWith({ httpLimits: { maxConnectionsPerAddress: 3 } });
    const { port } = tower.server;
    const open = () => {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {});
      return { socket, closed: new Promise<true>((resolve) => socket.once('close', () => resolve(true))) };
    };
    const sockets = [open(), open(), open(), open()];
    await Promise.race(sockets.map(({ closed }) => closed));
    sockets[0]!.socket.destroy();
    await sockets[0]!.closed;
    await expect
      .poll(() =>
        register().then(
          ({ status }) => status,
          () => 0,
        ),
      )
      .toBe(200);
    for (const { socket } of sockets) socket.destroy();
  });

  test('nothing is taken on while the chain cannot be seen', async () => {
    await tower.server.close();
    let down = false;
    chain = new RegtestChain({});
    const backend = embeddedBackend(chain);
    const fails = () => Promise.reject(new Error('no connection'));
    tower = new TestTower(chain, {
      seed: 1,
      backend: {
        ...backend,
        getTip: () => (down ? fails() : backend.getTip()),
        getBlock: (at) => (down ? fails() : backend.getBlock(at)),
        onTip: (listener) => backend.onTip(listener),
        broadcast: (tx) => backend.broadcast(tx),
      },
    });
    await tower.start();
    expect((await register()).status).toBe(200);
    down = true;
    chain.mine();
    await expect.poll(async () => (await register()).status).toBe(503);
    down = false;
    await tower.server.synced();
    await expect.poll(async () => (await register()).status).toBe(200);
  });
});

test('a client that sends rubbish, half a request or nothing costs the others nothing', async () => {
  const { port } = tower.server;
  const raw = (text: string) =>
    new Promise<void>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(text));
      socket.once('close', () => resolve());
      socket.once('error', () => resolve());
      socket.once('data', () => socket.destroy());
    });
  await raw('GET\r\n\r\n');
  await raw('\x16\x03\x01\x02\x00');
  await raw('POST /register HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n');
  await raw(`POST /register HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n`);
  await raw(`POST ${'/'.repeat(20_000)} HTTP/1.1\r\n\r\n`);
  const half = connect(port, '127.0.0.1', () =>
    half.write('POST /add_appointment HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{"appoint'),
  );
  half.on('error', () => {});
  expect((await register()).status).toBe(200);
  half.destroy();
  expect((await add(appointment(1))).status).toBe(200);
});
