import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CrashWorld } from './crashWorld.test.support.js';
import type { DaemonProcess } from './daemonProcess.test.support.js';
import { PeerProxy } from './peerProxy.test.support.js';
import { RpcProxy } from './rpcProxy.test.support.js';

/** Bytes of messages with their type (BOLT 2). */
const fundingCreatedLength = 2 + 32 + 32 + 2 + 64;
const fundingSignedLength = 2 + 32 + 64;

const capacitySat = 1_000_000n;
const pushSat = 300_000n;

let world: CrashWorld;
let rpc: RpcProxy;
let wire: PeerProxy;
let spring: DaemonProcess;
let lake: DaemonProcess;
/** What spring has to spend before a test. */
let fundsSat: bigint;

beforeAll(async () => {
  world = await CrashWorld.create();
  rpc = await RpcProxy.start(world.regtest.rpcUrl);
  spring = await world.daemon('spring', { '--chain-url': rpc.url });
  lake = await world.daemon('lake');
  wire = await PeerProxy.start(() => lake.port);
  await world.fund(spring);
});

beforeEach(async () => {
  fundsSat = (await spring.client.balance()).onchain.confirmedSat;
});

afterAll(async () => {
  wire.close();
  rpc.close();
  await world.close();
});

function open() {
  return spring.client.openChannel({
    nodeId: lake.nodeId,
    host: '127.0.0.1',
    port: wire.port,
    capacitySat,
    pushSat,
  });
}

async function stateOf(daemon: DaemonProcess, channelId: string): Promise<string> {
  return (await daemon.channel(channelId)).state;
}

async function usable(channelId: string): Promise<void> {
  for (const daemon of [spring, lake]) {
    await daemon.until('the channel is usable', async () => (await daemon.channel(channelId)).usable);
  }
}

/** An opened channel works: both pay, and a close together brings home what each has. */
async function worksAndCloses(channelId: string): Promise<void> {
  await world.mine(6, [spring, lake]);
  await usable(channelId);
  await pay();
  await spring.client.closeChannel({ channelId });
  await closes(channelId);
}

async function pay(): Promise<void> {
  const amountMsat = 10_000_000n;
  for (const [from, to] of [
    [spring, lake],
    [lake, spring],
  ] as const) {
    expect(await from.client.keysend({ nodeId: to.nodeId, amountMsat })).toMatchObject({
      status: 'succeeded',
    });
  }
}

async function closes(channelId: string): Promise<void> {
  for (const daemon of [spring, lake]) {
    await daemon.until('the close is agreed', async () => {
      const { closingTxidHex } = await daemon.channel(channelId);
      return closingTxidHex !== undefined;
    });
  }
  const before = (await lake.client.balance()).onchain;
  await world.mineUntil([spring, lake], async () => {
    const states = [await stateOf(spring, channelId), await stateOf(lake, channelId)];
    return states.every((state) => state === 'closed');
  });
  const after = (await lake.client.balance()).onchain;
  const gainedSat = after.confirmedSat - before.confirmedSat;
  // Whoever made the closing transaction that confirms pays for it.
  expect(gainedSat).toBeGreaterThan(pushSat - 1_000n);
  expect(gainedSat).toBeLessThanOrEqual(pushSat);
}

describe('a daemon is killed while a channel is opened', () => {
  test('the accepter, before it has the funding_created: no coin is spent', async () => {
    const reached = wire.holdBack('there', fundingCreatedLength);
    const opening = open();
    await Promise.race([reached, opening]);
    await lake.kill();
    await expect(opening).rejects.toMatchObject({ code: 'disconnected' });
    await lake.start();
    expect(await spring.client.channels()).toEqual({ channels: [] });
    expect(await lake.client.channels()).toEqual({ channels: [] });
    expect((await spring.client.balance()).onchain).toEqual({ confirmedSat: fundsSat, unconfirmedSat: 0n });
  });

  test('the accepter, when it has signed and its answer is lost: the opener spends no coin', async () => {
    const reached = wire.holdBack('back', fundingSignedLength);
    const opening = open();
    await Promise.race([reached, opening]);
    await lake.kill();
    await expect(opening).rejects.toMatchObject({ code: 'disconnected' });
    await lake.start();
    expect((await spring.client.balance()).onchain).toEqual({ confirmedSat: fundsSat, unconfirmedSat: 0n });
    expect((await lake.client.channels()).channels.map(({ state }) => state)).toEqual(['awaiting_ready']);
    await spring.client.connect({ nodeId: lake.nodeId, host: '127.0.0.1', port: wire.port });
    await lake.until('it has heard that there is no such channel', async (client) =>
      (await client.channels()).channels.every(({ state }) => state !== 'awaiting_ready'),
    );
    expect(await lake.client.channels()).toMatchObject({
      channels: [{ state: 'failed', note: expect.stringMatching(/unknown channel/) }],
    });
    expect((await lake.client.balance()).channels).toMatchObject({ localMsat: 0n, closingMsat: 0n });
  });

  test('the opener, before it has the funding_signed: no coin is spent, none is set aside', async () => {
    const reached = wire.holdBack('back', fundingSignedLength);
    const opening = open();
    await Promise.race([reached, opening]);
    await spring.kill();
    await expect(opening).rejects.toMatchObject({ code: 'connection_lost' });
    await spring.start();
    expect(await spring.client.channels()).toEqual({ channels: [] });
    expect((await spring.client.balance()).onchain).toEqual({ confirmedSat: fundsSat, unconfirmedSat: 0n });
  });

  test('the opener, before its transaction is out: it is published after the restart', async () => {
    const lost = rpc.loseTransactions();
    const opening = open();
    await Promise.race([lost, opening]);
    await spring.kill();
    await expect(opening).rejects.toMatchObject({ code: 'connection_lost' });
    rpc.passTransactions();
    await spring.start();
    const [channel] = (await spring.client.channels()).channels;
    expect(channel?.state).toBe('awaiting_ready');
    await worksAndCloses(channel?.channelId ?? '');
  });

  test('the opener, after its transaction is out', async () => {
    const { channelId } = await open();
    await spring.kill();
    await spring.start();
    await worksAndCloses(channelId);
  });

  test('the accepter, which is gone while the transaction confirms', async () => {
    const { channelId } = await open();
    await lake.kill();
    await world.mine(6, [spring]);
    await lake.start();
    await worksAndCloses(channelId);
  });
});

describe('a daemon is killed while a channel is closed together', () => {
  let channelId: string;

  beforeEach(async () => {
    ({ channelId } = await open());
    await world.mine(6, [spring, lake]);
    await usable(channelId);
    await pay();
  });

  test('who asked for it, at once', async () => {
    await spring.client.closeChannel({ channelId });
    await spring.kill();
    await spring.start();
    await closes(channelId);
  });

  test('the other, at once', async () => {
    await spring.client.closeChannel({ channelId });
    await lake.kill();
    await lake.start();
    await closes(channelId);
  });

  test('both, before the transaction is out', async () => {
    const lost = rpc.loseTransactions();
    await spring.client.closeChannel({ channelId });
    await lost;
    await Promise.all([spring.kill(), lake.kill()]);
    rpc.passTransactions();
    await Promise.all([spring.start(), lake.start()]);
    await closes(channelId);
  });
});

test('a daemon is killed when it has closed a channel by force while its peer is away: both get their money', async () => {
  const { channelId } = await open();
  await world.mine(6, [spring, lake]);
  await usable(channelId);
  await pay();
  const holdings = async (daemon: DaemonProcess) => {
    const { onchain, channels } = await daemon.client.balance();
    return onchain.confirmedSat + onchain.unconfirmedSat + channels.localMsat / 1000n;
  };
  const before = [await holdings(spring), await holdings(lake)] as const;
  await lake.kill();
  const lost = rpc.loseTransactions();
  expect(await spring.client.closeChannel({ channelId, force: true })).toMatchObject({ state: 'failed' });
  await lost;
  await spring.kill();
  rpc.passTransactions();
  await spring.start();
  await world.mineUntil([spring], async () => (await stateOf(spring, channelId)) === 'spent');
  expect((await spring.client.balance()).channels.closingMsat).toBe((capacitySat - pushSat) * 1000n);
  await world.mine(140, [spring]);
  await lake.start();
  for (const daemon of [spring, lake]) {
    await world.mineUntil([spring, lake], async () => (await stateOf(daemon, channelId)) === 'closed');
  }
  const after = [await holdings(spring), await holdings(lake)] as const;
  // The fees of the commitment and of what brings its outputs home.
  for (const [i, costSat] of [before[0] - after[0], before[1] - after[1]].entries()) {
    expect(costSat, `node ${i}`).toBeGreaterThan(0n);
    expect(costSat, `node ${i}`).toBeLessThan(3_000n);
  }
});
