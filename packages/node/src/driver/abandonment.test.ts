import { embeddedBackend } from '@rivulet/chain';
import { bytesToHex } from '@rivulet/core/bytes';
import type { Channel } from '@rivulet/core/channel';
import type { Transaction } from '@rivulet/core/tx';
import { txid, txidToHex } from '@rivulet/core/tx';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Pair, startNode, until } from './pair.test.support.js';
import { createService } from './service.js';

let pair: Pair;
let api: ReturnType<typeof createService>;

const serve = () => createService({ node: pair.alice.node, alias: 'alice', version: '0', onStop: () => {} });

beforeEach(async () => {
  pair = await Pair.start();
  api = serve();
});
afterEach(() => pair.stop());

const inMempool = (txidHex: string) => pair.chain.mempool.get(txidHex) !== undefined;
const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'nothing was refused',
    (error: { code?: string }) => error.code,
  );
const depth = 6;

/** A channel whose funding transaction no block takes. */
async function unfunded(): Promise<{
  channel: Channel;
  channelId: string;
  fundingHex: string;
  funding: Transaction;
}> {
  const channel = await pair.open();
  const fundingHex = txidToHex(channel.params.fundingOutpoint.txid);
  const funding = pair.chain.mempool.get(fundingHex)!.tx;
  pair.chain.mine({ transactions: 'none' });
  await pair.caughtUp();
  return { channel, channelId: bytesToHex(channel.params.channelId), fundingHex, funding };
}

async function restart(): Promise<void> {
  await pair.restart('alice');
  api = serve();
}

/** The same, with the txids of all that is broadcast from the start on. */
async function restartRecording(): Promise<ReadonlySet<string>> {
  const sent = new Set<string>();
  const real = embeddedBackend(pair.chain);
  const note = (tx: Transaction) => sent.add(txidToHex(txid(tx)));
  const { store } = pair.alice;
  await pair.alice.node.stop();
  pair.alice = await startNode(pair.chain, {
    seed: 1,
    store,
    backend: {
      ...real,
      broadcast: (tx) => {
        note(tx);
        return real.broadcast(tx);
      },
      broadcastPackage: (transactions) => {
        transactions.forEach(note);
        return real.broadcastPackage(transactions);
      },
    },
  });
  api = serve();
  return sent;
}

/** Miners have the funding transaction, whatever the mempool says. */
function mineFunding(funding: Transaction): void {
  pair.chain.mempool.clear();
  pair.chain.broadcast(funding);
  pair.chain.mine();
}

const coinsOf = async () => (await api.balance({})).onchain;

describe('a channel whose funding transaction does not confirm', () => {
  test.each(['in one go', 'over restarts'])('is abandoned, and its coins are back, %s', async (how) => {
    const before = await coinsOf();
    const { channelId, fundingHex } = await unfunded();
    const made = await api.abandonChannel({ channelId });
    expect(made).toMatchObject({ channelId, accepted: true });
    expect([inMempool(made.txidHex), inMempool(fundingHex)]).toEqual([true, false]);
    const { channels } = await api.channels({});
    expect(channels[0]?.note).toMatch(/abandoned.*0 of 6 confirmations/);
    expect((await api.balance({})).channels.localMsat).toBe(0n);
    expect(await codeOf(api.abandonChannel({ channelId }))).toBe('already_abandoned');
    for (let block = 0; block < depth; block++) {
      expect(pair.alice.node.channels).toHaveLength(1);
      if (how === 'over restarts') {
        await restart();
        expect(inMempool(fundingHex)).toBe(false);
      }
      await pair.mine(1);
    }
    await until(() => pair.alice.node.channels.length === 0, 'the channel is forgotten');
    expect((await coinsOf()).confirmedSat).toBeGreaterThan(before.confirmedSat - 2n * made.feeSat);
    expect(pair.alice.store.memory.listValues('abandoned/')).toEqual([]);
    expect(pair.alice.store.memory.listValues('channel-funding/')).toEqual([]);
    await restart();
    expect(pair.alice.node.channels).toEqual([]);
    expect(inMempool(fundingHex)).toBe(false);
  });

  test.each([
    ['that was not closed', false],
    ['that was closed by force', true],
  ])('is not published while its coins are taken back, nor what spends it, %s', async (_, force) => {
    const { channelId, fundingHex } = await unfunded();
    if (force) {
      await api.closeChannel({ channelId, force: true });
      await until(() => pair.closing, 'the commitment is published');
    }
    const made = await api.abandonChannel({ channelId, feeratePerKw: 20_000 });
    expect(made.accepted).toBe(true);
    pair.chain.mempool.clear();
    const sent = await restartRecording();
    // A commitment of an anchor channel pays less than this: it would need a child.
    pair.chain.feeratePerKw = 10_000;
    pair.chain.mine({ transactions: 'none', blocks: 2 });
    await pair.caughtUp();
    pair.chain.reorganise({ depth: 1, blocks: 2, transactions: 'none' });
    await pair.caughtUp();
    await until(() => sent.has(made.txidHex), 'the cancellation is sent again');
    await pair.alice.node.stop();
    expect([...sent]).toEqual([made.txidHex]);
    await restart();
    await pair.mine(depth);
    await until(() => pair.alice.node.channels.length === 0, 'the channel is forgotten');
    expect(inMempool(fundingHex)).toBe(false);
  });

  test('is told to its peer when it is forgotten, and forgotten there after 2016 blocks', async () => {
    const { channelId } = await unfunded();
    await api.abandonChannel({ channelId });
    await pair.mine(depth - 1);
    expect(pair.bob.node.channels[0]?.phase.name).toBe('awaiting_ready');
    await pair.mine(1);
    await until(() => pair.bob.node.channels[0]?.phase.name === 'failed', 'the peer is told');
    await pair.mine(2_016);
    await until(() => pair.bob.node.channels.length === 0, 'the peer has forgotten it');
  });

  test.each(['at once', 'after a restart', 'failed before'])(
    'is closed on chain when it is mined after all, %s',
    async (how) => {
      const { channelId, funding, fundingHex } = await unfunded();
      if (how === 'failed before') await api.closeChannel({ channelId, force: true });
      const made = await api.abandonChannel({ channelId, feeratePerKw: 20_000 });
      expect(made.accepted).toBe(true);
      if (how === 'after a restart') await restart();
      mineFunding(funding);
      await pair.caughtUp();
      await until(() => pair.alice.node.channels[0]?.phase.name === 'failed', 'the channel fails');
      await until(() => pair.closing, 'our commitment is published');
      expect(inMempool(made.txidHex)).toBe(false);
      for (let block = 0; block < 160; block++) await pair.mine(1);
      await until(() => pair.alice.node.channels[0]?.phase.name === 'closed', 'all of it is collected');
      expect(pair.alice.store.memory.listValues('abandoned/')).toEqual([]);
      const coins = await coinsOf();
      // What was pushed to the peer is the peer's now.
      expect(coins.confirmedSat).toBeGreaterThan(50_0000_0000n - 300_000n - 70_000n);
      const listed = (await api.transactions({})).transactions.find((one) => one.txidHex === fundingHex);
      expect(listed?.state).toBe('confirmed');
    },
  );

  test('survives a reorganisation that takes the cancellation out of the chain', async () => {
    const { channelId, fundingHex } = await unfunded();
    const { txidHex } = await api.abandonChannel({ channelId });
    await pair.mine(depth - 1);
    pair.chain.reorganise({ depth: depth - 1, blocks: depth, transactions: 'none' });
    await pair.caughtUp();
    expect(pair.alice.node.channels).toHaveLength(1);
    await until(() => inMempool(txidHex), 'the cancellation waits again');
    expect(inMempool(fundingHex)).toBe(false);
    await pair.mine(depth);
    await until(() => pair.alice.node.channels.length === 0, 'the channel is forgotten');
  });

  test('survives a reorganisation from the cancellation to the funding transaction', async () => {
    const { channelId, funding } = await unfunded();
    await api.abandonChannel({ channelId });
    await pair.mine(depth - 1);
    pair.chain.reorganise({ depth: depth - 1, blocks: depth, transactions: 'none' });
    await pair.caughtUp();
    mineFunding(funding);
    await pair.caughtUp();
    await until(() => pair.alice.node.channels[0]?.phase.name === 'failed', 'the channel fails');
    await until(() => pair.closing, 'our commitment is published');
    await pair.mine(1);
    expect(pair.alice.node.channels[0]?.phase.name).toBe('spent');
  });

  test('survives a reorganisation from the funding transaction to the cancellation', async () => {
    const { channelId, funding, fundingHex } = await unfunded();
    const made = await api.abandonChannel({ channelId });
    const cancellation = pair.chain.mempool.get(made.txidHex)!.tx;
    mineFunding(funding);
    await pair.caughtUp();
    await until(() => pair.closing, 'our commitment is published');
    pair.chain.reorganise({ depth: 1, blocks: 2, transactions: 'none' });
    await pair.caughtUp();
    // Whichever of the two is mined: something of ours is on its way.
    await until(() => inMempool(fundingHex) || inMempool(made.txidHex), 'one of the two waits');
    pair.chain.mempool.clear();
    pair.chain.broadcast(cancellation);
    pair.chain.mine();
    await pair.caughtUp();
    await pair.mine(depth - 1);
    await until(() => pair.alice.node.channels.length === 0, 'the channel is forgotten');
    expect((await coinsOf()).confirmedSat).toBeGreaterThan(49_9990_0000n);
  });
});

describe('a channel is not abandoned', () => {
  test('that a block has, or that the peer has opened', async () => {
    const channel = await pair.open();
    await pair.mine(1);
    const channelId = bytesToHex(channel.params.channelId);
    expect(await codeOf(api.abandonChannel({ channelId }))).toBe('funding_confirmed');
    const bob = createService({ node: pair.bob.node, alias: 'bob', version: '0', onStop: () => {} });
    expect(await codeOf(bob.abandonChannel({ channelId }))).toBe('not_opener');
    expect(await codeOf(api.abandonChannel({ channelId: '00'.repeat(32) }))).toBe('unknown_channel');
    expect(pair.alice.store.memory.listValues('abandoned/')).toEqual([]);
  });

  test('that was ready for payments before a reorganisation took its funding out again', async () => {
    const channel = await pair.open();
    await pair.mine(6);
    await pair.usable();
    const channelId = bytesToHex(channel.params.channelId);
    pair.chain.reorganise({ depth: 6, blocks: 7, transactions: 'none' });
    await pair.caughtUp();
    expect(pair.alice.node.channels[0]?.readiness.fundingConfirmed).toBeUndefined();
    expect(await codeOf(api.abandonChannel({ channelId }))).toBe('channel_in_use');
    await pair.mine(6);
    await pair.usable();
    await pair.pay(pair.alice, pair.bob).outcome;
    pair.chain.reorganise({ depth: 6, blocks: 7, transactions: 'none' });
    await pair.caughtUp();
    await api.closeChannel({ channelId, force: true });
    expect(await codeOf(api.abandonChannel({ channelId }))).toBe('channel_in_use');
  });

  test('when the wallet cannot do it: nothing is changed then', async () => {
    const { channelId, fundingHex } = await unfunded();
    expect(await codeOf(api.abandonChannel({ channelId, feeratePerKw: 2_000_000 }))).toMatch(/^fee/);
    expect(inMempool(fundingHex)).toBe(true);
    expect((await api.channels({})).channels[0]?.note).toMatch(/waits for/);
    expect(pair.alice.store.memory.listValues('abandoned/')).toEqual([]);
    await pair.mine(6);
    await pair.usable();
  });
});
