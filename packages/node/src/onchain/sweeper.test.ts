import { RegtestChain } from '@rivulet/chain';
import type { ChannelType } from '@rivulet/core/tx';
import { describe, expect, test } from 'vitest';
import { CloseRig } from './testing/closeRig.js';

const fundingSat = 1_000_000n;
const channelTypes: ChannelType[] = ['static_remotekey', 'anchors'];

function regtest(): RegtestChain {
  return new RegtestChain({ now: () => 1_700_000_000_000, feeratePerKw: 500 });
}

async function rigOf(
  channelType: ChannelType,
  options: Partial<ConstructorParameters<typeof CloseRig>[1]> = {},
): Promise<CloseRig> {
  const rig = new CloseRig(regtest(), { channelType, fundingSat, ...options });
  await rig.start();
  return rig;
}

describe.each(channelTypes)('a close of a channel without payments (%s)', (channelType) => {
  test('brings both balances home, ours after its delay and theirs at once', async () => {
    const rig = await rigOf(channelType);
    const commitment = rig.pair.commitmentOf('alice');
    rig.chain.broadcast(commitment);
    await rig.mine();
    const { height } = rig.chain;
    expect(rig.alice.sweeper.status(commitment.inputs[0]!.outpoint.txid)?.spend).toMatchObject({
      kind: 'local_commitment',
      latest: true,
    });
    await rig.mine();
    expect(rig.bob.wallet.receivedSat).toBeGreaterThan(499_000n);
    expect(rig.alice.wallet.receivedSat).toBe(0n);

    // Bob asked for 10 blocks: the sweep is in the block that gives the output its tenth confirmation after.
    await rig.mineTo(height + 9);
    expect(rig.alice.wallet.receivedSat).toBe(0n);
    await rig.mine();
    expect(rig.alice.wallet.receivedSat).toBeGreaterThan(490_000n);

    await rig.mine(6);
    for (const node of [rig.alice, rig.bob]) {
      expect(node.events.map(({ type }) => type)).toEqual(['resolved']);
      expect(node.broadcast.every(({ result }) => result === 'accepted')).toBe(true);
      expect(node.errors).toEqual([]);
    }
  });
});

const preimage = (fill: number) => new Uint8Array(32).fill(fill);

/** Alice offers two HTLCs and Bob two; one each way is fulfilled by its receiver, who tells only the chain. */
async function rigWithHtlcs(channelType: ChannelType): Promise<{ rig: CloseRig; expiry: number }> {
  const rig = await rigOf(channelType);
  const expiry = rig.chain.height + 40;
  rig.pair.add('alice', { amountMsat: 50_000_000n, preimage: preimage(1), cltvExpiry: expiry });
  rig.pair.add('alice', { amountMsat: 60_000_000n, preimage: preimage(2), cltvExpiry: expiry + 3 });
  rig.pair.add('bob', { amountMsat: 70_000_000n, preimage: preimage(3), cltvExpiry: expiry });
  rig.pair.add('bob', { amountMsat: 80_000_000n, preimage: preimage(4), cltvExpiry: expiry + 3 });
  rig.pair.settle('bob', 0n, { type: 'fulfill', preimage: preimage(1) });
  rig.pair.settle('alice', 0n, { type: 'fulfill', preimage: preimage(3) });
  return { rig, expiry };
}

/** What a party's sweeps brought and its fees cost, by what its fee coins lost. */
function gainsOf({ wallet }: CloseRig['alice'], feeBalanceSat: bigint): bigint {
  return wallet.receivedSat + wallet.feeBalanceSat - feeBalanceSat;
}

describe.each(channelTypes)('a close with HTLCs in both directions (%s)', (channelType) => {
  test.each(['alice', 'bob'] as const)('brings home what belongs to each when %s closes', async (closer) => {
    const { rig, expiry } = await rigWithHtlcs(channelType);
    const before = { alice: rig.alice.wallet.feeBalanceSat, bob: rig.bob.wallet.feeBalanceSat };
    rig.chain.broadcast(rig.pair.commitmentOf(closer));
    await rig.mine(2);
    const told = (node: CloseRig['alice']) => node.events.filter(({ type }) => type === 'preimage');
    expect(told(rig.alice)).toMatchObject([
      { htlc: { id: 0n, direction: 'offered' }, preimage: preimage(1) },
    ]);
    expect(told(rig.bob)).toMatchObject([{ htlc: { id: 0n, direction: 'offered' }, preimage: preimage(3) }]);

    await rig.mineTo(expiry + 30);
    for (const node of [rig.alice, rig.bob]) {
      expect(node.events.map(({ type }) => type)).toEqual(['preimage', 'htlcFailed', 'resolved']);
      expect(node.events[1]).toMatchObject({ htlc: { id: 1n }, reason: 'timed_out' });
      expect(node.broadcast.every(({ result }) => result === 'accepted')).toBe(true);
    }
    // Alice, who pays the commitment's fee: 390,000 left, 60,000 timed out and 70,000 received.
    const gains = { alice: gainsOf(rig.alice, before.alice), bob: gainsOf(rig.bob, before.bob) };
    expect(gains.alice).toBeGreaterThan(390_000n + 60_000n + 70_000n - 8_000n);
    expect(gains.alice).toBeLessThan(520_000n);
    expect(gains.bob).toBeGreaterThan(350_000n + 50_000n + 80_000n - 5_000n);
    expect(gains.bob).toBeLessThan(480_000n);
  });

  test('tells everything again when the turn of a block is lost', async () => {
    const { rig, expiry } = await rigWithHtlcs(channelType);
    for (const node of [rig.alice, rig.bob]) node.losesTurns = true;
    rig.chain.broadcast(rig.pair.commitmentOf('alice'));
    await rig.mineTo(expiry + 30);
    for (const node of [rig.alice, rig.bob]) {
      expect(node.events.map(({ type }) => type)).toEqual(['preimage', 'htlcFailed', 'resolved']);
      expect(node.errors).toEqual([]);
    }
  });

  test('claims an HTLC whose preimage comes after the close, and after a restart', async () => {
    const { rig, expiry } = await rigWithHtlcs(channelType);
    rig.chain.broadcast(rig.pair.commitmentOf('alice'));
    await rig.mine(3);
    await rig.bob.restart();
    rig.pair.settle('bob', 1n, { type: 'fulfill', preimage: preimage(2) });
    await rig.bob.update();
    await rig.mine();
    expect(rig.alice.events.filter(({ type }) => type === 'preimage')).toMatchObject([
      { htlc: { id: 0n } },
      { htlc: { id: 1n }, preimage: preimage(2) },
    ]);
    await rig.mineTo(expiry + 30);
    expect(rig.alice.events.map(({ type }) => type)).toEqual(['preimage', 'preimage', 'resolved']);
  });
});

describe.each(channelTypes)('a payment whose preimage is known (%s)', (channelType) => {
  test.each([
    ['threat 13: with the commitment of the peer on chain', 'bob'],
    ['threat 14: with our own commitment on chain', 'alice'],
  ] as const)('is never reported as failed, %s', async (_, closer) => {
    const { rig, expiry } = await rigWithHtlcs(channelType);
    await rig.bob.follower.stop();
    // Bob told Alice the preimages of both, and claims neither.
    rig.pair.settle('bob', 1n, { type: 'fulfill', preimage: preimage(2) });
    while (rig.pair.deliver('bob'));
    rig.chain.broadcast(rig.pair.commitmentOf(closer));
    const mine = async (blocks: number) => {
      rig.chain.mine({ blocks });
      await rig.alice.follower.waitUntilSynced();
    };
    await mine(1);
    await rig.alice.restart();
    for (let height = rig.chain.height; height < expiry + 30; height++) await mine(1);
    expect(rig.alice.events.map(({ type }) => type)).toEqual(['resolved']);
  });

  test('but that has no output there is not failed; without a preimage it is, once that is final', async () => {
    const rig = await rigOf(channelType);
    const htlc = (fill: number) => ({
      amountMsat: 300_000n,
      preimage: preimage(fill),
      cltvExpiry: rig.chain.height + 50,
    });
    rig.pair.add('alice', htlc(1));
    rig.pair.add('alice', htlc(2));
    rig.pair.settle('bob', 0n, { type: 'fulfill', preimage: preimage(1) });
    while (rig.pair.deliver('bob'));
    rig.chain.broadcast(rig.pair.commitmentOf('bob'));
    await rig.mine(5);
    expect(rig.alice.events).toEqual([]);
    await rig.mine(1);
    expect(rig.alice.events).toMatchObject([
      { type: 'htlcFailed', htlc: { id: 1n }, reason: 'not_in_commitment' },
    ]);
  });
});

describe.each(channelTypes)('reorganisations (%s)', (channelType) => {
  test('follow the commitment off the chain and back onto it', async () => {
    const { rig, expiry } = await rigWithHtlcs(channelType);
    const before = { alice: rig.alice.wallet.feeBalanceSat, bob: rig.bob.wallet.feeBalanceSat };
    const commitment = rig.pair.commitmentOf('alice');
    rig.chain.broadcast(commitment);
    await rig.mine(3);
    rig.chain.reorganise({ depth: 4, transactions: 'none' });
    await rig.mine(0);
    await Promise.all([rig.alice.follower.waitUntilSynced(), rig.bob.follower.waitUntilSynced()]);
    for (const node of [rig.alice, rig.bob]) {
      expect(node.events.map(({ type }) => type)).toEqual(['preimage', 'spendUndone']);
      expect(node.spend).toBeUndefined();
    }

    await rig.mine(1);
    const { channelId } = rig.pair.alice.channel.params;
    expect(rig.alice.sweeper.isTracked(channelId)).toBe(true);
    await rig.mineTo(expiry + 30);
    for (const node of [rig.alice, rig.bob]) {
      expect(node.events.map(({ type }) => type)).toEqual([
        'preimage',
        'spendUndone',
        'preimage',
        'htlcFailed',
        'resolved',
      ]);
    }
    expect(gainsOf(rig.alice, before.alice)).toBeGreaterThan(520_000n - 8_000n);
    expect(gainsOf(rig.bob, before.bob)).toBeGreaterThan(480_000n - 5_000n);
  });

  test('that take a sweep back do not fail or resolve anything too early, and it is swept again', async () => {
    const rig = await rigOf(channelType, { policy: { finalDepth: 4, watchDepth: 4 } });
    rig.chain.broadcast(rig.pair.commitmentOf('alice'));
    await rig.mine(4);
    expect(rig.bob.wallet.receivedSat).toBeGreaterThan(0n);
    // The commitment stays, the sweep of the block after it goes.
    rig.chain.reorganise({ depth: 3, transactions: 'none' });
    await rig.mine(1);
    expect(rig.bob.wallet.receivedSat).toBeGreaterThan(499_000n);
    expect(rig.bob.events).toEqual([]);
    await rig.mine(3);
    expect(rig.bob.events.map(({ type }) => type)).toEqual(['resolved']);
  });
});

test('a channel is watched as long as BOLT 5 says, while its payments fail at a reasonable depth', async () => {
  const rig = await rigOf('anchors', { policy: { watchDepth: 100 } });
  const cltvExpiry = rig.chain.height + 5;
  rig.pair.add('alice', { amountMsat: 50_000_000n, preimage: preimage(1), cltvExpiry });
  rig.chain.broadcast(rig.pair.commitmentOf('bob'));
  await rig.mine(30);
  expect(rig.alice.events.map(({ type }) => type)).toEqual(['htlcFailed']);
  // Longer than payments wait, and not forgotten: all that the close had is undone, and done again.
  rig.chain.reorganise({ depth: 30, transactions: 'none' });
  await rig.mine(0);
  await Promise.all([rig.alice.follower.waitUntilSynced(), rig.bob.follower.waitUntilSynced()]);
  expect(rig.alice.events.at(-1)?.type).toBe('spendUndone');
  await rig.mine(99);
  expect(rig.alice.events.map(({ type }) => type)).toEqual(['htlcFailed', 'spendUndone', 'htlcFailed']);
  await rig.mine(10);
  expect(rig.alice.events.at(-1)?.type).toBe('resolved');
});

describe('fees', () => {
  test('threat 8: a sweep that waits is replaced at a higher feerate and never at a lower one', async () => {
    const rig = await rigOf('static_remotekey');
    rig.chain.broadcast(rig.pair.commitmentOf('alice'));
    await rig.mine();
    const wait = async (feeratePerKw: number) => {
      rig.chain.feeratePerKw = feeratePerKw;
      rig.chain.mine({ transactions: 'none' });
      await rig.bob.follower.waitUntilSynced();
      return rig.bob.broadcast.at(-1)!;
    };
    const feeOf = ({ tx }: { tx: { outputs: readonly { valueSat: bigint }[] } }) =>
      500_000n - tx.outputs[0]!.valueSat;
    const first = feeOf(rig.bob.broadcast.at(-1)!);
    const same = await wait(510);
    expect(feeOf(same)).toBe(first);
    const higher = await wait(5_000);
    expect(higher.result).toBe('accepted');
    expect(feeOf(higher)).toBeGreaterThanOrEqual(first * 9n);
    const lower = await wait(300);
    expect(lower.tx).toEqual(higher.tx);
    await rig.mine();
    expect(rig.bob.wallet.receivedSat).toBe(500_000n - feeOf(higher));
  });

  test('a sweep refused for its fee pays more at the next block', async () => {
    const rig = await rigOf('static_remotekey');
    rig.chain.broadcast(rig.pair.commitmentOf('alice'));
    await rig.mine();
    // After a restart nothing is known of the sweep that waits, which has another locktime.
    rig.chain.mine({ transactions: 'none' });
    await rig.bob.restart();
    rig.chain.mine({ transactions: 'none' });
    await rig.bob.follower.waitUntilSynced();
    const results = rig.bob.broadcast.map(({ result }) => result);
    expect(results).toContain('insufficient_fee');
    expect(results.at(-1)).toBe('accepted');
  });

  test('HTLC transactions of anchor channels wait for a wallet that can pay, and say so', async () => {
    const { rig, expiry } = await rigWithHtlcs('anchors');
    rig.alice.wallet.poor = true;
    rig.chain.broadcast(rig.pair.commitmentOf('alice'));
    await rig.mine(2);
    expect(rig.alice.log.filter(({ msg }) => msg.includes('put confirmed funds'))).not.toEqual([]);
    rig.alice.wallet.poor = false;
    await rig.mineTo(expiry + 30);
    expect(rig.alice.events.map(({ type }) => type)).toEqual(['preimage', 'htlcFailed', 'resolved']);
  });

  test('an output that cannot pay for its spending is given up in the end, and no sooner', async () => {
    const rig = await rigOf('static_remotekey', {
      aliceMsat: fundingSat * 1000n - 400_000n,
      policy: { giveUpAfterBlocks: 20 },
    });
    rig.chain.broadcast(rig.pair.commitmentOf('alice'));
    await rig.mine(20);
    expect(rig.bob.events).toEqual([]);
    await rig.mine(1);
    expect(rig.bob.events.map(({ type }) => type)).toEqual(['resolved']);
    expect(rig.bob.broadcast).toEqual([]);
  });

  test('outputs of several channels that nobody else can take share one transaction', async () => {
    const rig = await rigOf('anchors');
    const second = new CloseRig(rig.chain, { channelType: 'static_remotekey', fundingSat });
    await rig.mine(0);
    await rig.alice.follower.waitUntilSynced();
    const by = second.pair.commitmentOf('bob');
    for (const tx of [rig.pair.commitmentOf('bob'), by]) rig.chain.broadcast(tx);
    rig.chain.mine();
    rig.alice.sweeper.track({ ...second.pair.alice, by, height: rig.chain.height });
    await rig.mine(0);
    await rig.alice.follower.waitUntilSynced();
    const { tx } = rig.alice.broadcast.at(-1)!;
    expect(tx.inputs).toHaveLength(2);
    await rig.mine();
    expect(rig.alice.wallet.receivedSat).toBe(tx.outputs[0]!.valueSat);
  });
});

describe('what cannot be claimed', () => {
  test('a fault over one closed channel does not keep the chain back, and a restart follows it anew', async () => {
    const rig = await rigOf('anchors');
    const { channel } = rig.pair.bob;
    // What the channel is examined with fails, as a fault of ours would.
    Object.defineProperty(channel.params, 'format', {
      configurable: true,
      get: () => {
        throw new TypeError('a fault (a test)');
      },
    });
    const commitment = rig.pair.commitmentOf('alice');
    rig.chain.broadcast(commitment);
    await rig.mine(2);
    expect(rig.bob.errors).toEqual([]);
    expect(rig.bob.sweeper.isTracked(channel.params.channelId)).toBe(false);
    Object.defineProperty(channel.params, 'format', { value: rig.pair.alice.channel.params.format });
    await rig.bob.restart();
    await rig.mine(8);
    expect(rig.bob.wallet.receivedSat).toBeGreaterThan(499_000n);
  });

  test('a transaction that nobody should be able to make is reported as a loss', async () => {
    const rig = await rigOf('anchors');
    const { channel } = rig.pair.alice;
    const tx = { ...rig.pair.commitmentOf('alice'), lockTime: 0 };
    const spend = rig.alice.sweeper.track({ ...rig.pair.alice, channel, by: tx, height: rig.chain.height });
    expect(spend).toEqual({ kind: 'unknown' });
    expect(rig.alice.log.at(-1)).toMatchObject({ level: 'error', spend: 'unknown' });
  });

  test('a failing backend is reported and tried again, never thrown', async () => {
    const rig = await rigOf('static_remotekey');
    rig.bob.broken = true;
    rig.chain.broadcast(rig.pair.commitmentOf('alice'));
    await rig.mine(2);
    expect(rig.bob.wallet.receivedSat).toBe(0n);
    expect(rig.bob.log.some(({ level }) => level === 'warn')).toBe(true);
    rig.bob.broken = false;
    await rig.mine(2);
    expect(rig.bob.wallet.receivedSat).toBeGreaterThan(0n);
    expect(rig.bob.errors).toEqual([]);
  });
});

test('an undoing of blocks that could not be stored leaves all as it was', async () => {
  const rig = await rigOf('anchors');
  rig.chain.broadcast(rig.pair.commitmentOf('alice'));
  await rig.mine(2);
  const { height } = rig.chain;
  const { sweeper } = rig.bob;
  const { channelId } = rig.pair.bob.channel.params;
  const before = sweeper.status(channelId);
  expect(before?.claims.map(({ spentHeight }) => spentHeight)).toEqual([height]);
  sweeper.onUndo({ height });
  expect(sweeper.status(channelId)?.claims[0]?.spentHeight).toBeUndefined();
  sweeper.rollBack(height);
  expect(sweeper.status(channelId)).toEqual(before);
  // The first is stored, the second is not.
  sweeper.onUndo({ height });
  const between = sweeper.status(channelId);
  expect(sweeper.onUndo({ height: height - 1 })).toMatchObject([{ type: 'spendUndone' }]);
  expect(sweeper.isTracked(channelId)).toBe(false);
  sweeper.rollBack(height - 1);
  expect(sweeper.status(channelId)).toEqual(between);
  // What was undone for good does not come back with a later failure.
  sweeper.onBlock({ height, transactions: [] });
  sweeper.rollBack(height - 1);
  sweeper.onBlock({ height, transactions: [] });
  sweeper.onBlock({ height: height + 1, transactions: [] });
  sweeper.rollBack(height);
  expect(sweeper.status(channelId)).toEqual(between);
});
