import { RegtestChain } from '@rivulet/chain';
import type { Party } from '@rivulet/core/monitor/testing';
import { describe, expect, test } from 'vitest';
import type { SweepPolicy } from './sweepPorts.js';
import { CloseRig } from './testing/closeRig.js';
import { preimageOf, takeOffers } from './testing/takeOffers.js';

/** Alice offered HTLCs of these amounts; `closer` has published, and all of them expire. Fees stay where they are. */
async function expired(
  closer: Party,
  {
    amountsSat,
    feeratePerKw = 2_500,
    policy = {},
  }: { amountsSat: readonly bigint[]; feeratePerKw?: number; policy?: Partial<SweepPolicy> },
): Promise<{ rig: CloseRig; expiry: number }> {
  const chain = new RegtestChain({ now: () => 1_700_000_000_000, feeratePerKw });
  const rig = new CloseRig(chain, { channelType: 'anchors', fundingSat: 2_000_000n, policy });
  await rig.start();
  const expiry = chain.height + 20;
  for (const [id, amountSat] of amountsSat.entries()) {
    rig.pair.add('alice', { amountMsat: amountSat * 1000n, preimage: preimageOf(id), cltvExpiry: expiry });
  }
  await rig.bob.follower.stop();
  chain.broadcast(rig.pair.commitmentOf(closer));
  await mineForAlice(rig, expiry - chain.height);
  return { rig, expiry };
}

async function mineForAlice({ chain, alice }: CloseRig, blocks: number): Promise<void> {
  for (let i = 0; i < blocks; i++) {
    chain.mine();
    await alice.follower.waitUntilSynced();
  }
}

const told = ({ alice }: CloseRig) =>
  alice.events.map((event) => ('reason' in event ? `${event.type} ${event.reason}` : event.type));

describe('an HTLC output that no fee is low enough for', () => {
  test('ends its payment as failed when its expiry is deep, and its channel a day later', async () => {
    const { rig } = await expired('bob', { amountsSat: [369n, 50_000n] });
    await mineForAlice(rig, 4);
    expect(told(rig)).toEqual([]);
    await mineForAlice(rig, 3);
    expect(told(rig).sort()).toEqual(['htlcFailed timed_out', 'htlcFailed uneconomic']);
    const { newScripts } = rig.alice.wallet;
    await mineForAlice(rig, 130);
    expect(rig.alice.events).toHaveLength(2);
    await mineForAlice(rig, 8);
    expect(told(rig).at(-1)).toBe('resolved');
    // What cannot be built takes no address with each block.
    expect(rig.alice.wallet.newScripts).toBeLessThanOrEqual(newScripts + 1);
  });

  test('and that the peer takes late all the same is told with its preimage', async () => {
    const { rig } = await expired('bob', { amountsSat: [369n] });
    await mineForAlice(rig, 7);
    expect(told(rig)).toEqual(['htlcFailed uneconomic']);
    rig.chain.broadcast(takeOffers(rig, { closer: 'bob', ids: [0], feeratePerKw: 2_500 }));
    await mineForAlice(rig, 1);
    expect(told(rig)).toEqual(['htlcFailed uneconomic', 'preimage']);
  });

  test('is not failed while the peer’s claim with the preimage is known', async () => {
    const { rig } = await expired('bob', { amountsSat: [369n] });
    rig.chain.broadcast(takeOffers(rig, { closer: 'bob', ids: [0], feeratePerKw: 2_500 }));
    await mineForAlice(rig, 20);
    expect(told(rig)).toEqual(['preimage', 'resolved']);
  });
});

describe('an HTLC output that is not worth what the chain asks for now', () => {
  test('is claimed for what it can pay when it has waited for a day', async () => {
    const { rig } = await expired('alice', { amountsSat: [400n] });
    await mineForAlice(rig, 140);
    expect(told(rig)).toEqual([]);
    await mineForAlice(rig, 12);
    expect(told(rig)).toEqual(['htlcFailed timed_out']);
    await mineForAlice(rig, 30);
    const { claims } = rig.alice.sweeper.status(rig.pair.alice.channel.params.channelId) ?? { claims: [] };
    expect(claims.filter(({ purpose }) => purpose === 'htlc_timeout')).toEqual([
      expect.objectContaining({ spentHeight: expect.any(Number) }),
    ]);
  });

  test('has an end where nobody mines that', async () => {
    const { rig } = await expired('alice', { amountsSat: [400n], policy: { giveUpAfterBlocks: 200 } });
    rig.alice.wallet.poor = true;
    await mineForAlice(rig, 198);
    expect(told(rig)).toEqual([]);
    await mineForAlice(rig, 5);
    expect(told(rig)).toEqual(['htlcFailed uneconomic', 'resolved']);
  });
});

describe('many small HTLC outputs, whose fees the wallet pays', () => {
  test('leave coins for what is worth more, whether it matures with them or later', async () => {
    const small = Array.from({ length: 12 }, () => 600n);
    const { rig } = await expired('alice', { amountsSat: [...small, 100_000n] });
    const { alice, pair } = rig;
    expect(alice.wallet.reservedCoins).toBeLessThanOrEqual(2);
    await mineForAlice(rig, 1);
    const { claims } = alice.sweeper.status(pair.alice.channel.params.channelId)!;
    const large = claims.find(({ valueSat, purpose }) => purpose === 'htlc_timeout' && valueSat === 100_000n);
    expect(large?.spentHeight).toBe(rig.chain.height);
    await mineForAlice(rig, 14);
    const offers = alice.sweeper
      .status(pair.alice.channel.params.channelId)!
      .claims.filter(({ purpose }) => purpose === 'htlc_timeout');
    expect(offers.every(({ spentHeight }) => spentHeight !== undefined)).toBe(true);
  });
});
