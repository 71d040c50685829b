import { RegtestChain } from '@rivulet/chain';
import { describe, expect, test } from 'vitest';
import { CloseRig } from './testing/closeRig.js';
import { preimageOf, takeOffers } from './testing/takeOffers.js';

/** Bob publishes a commitment that is newer than all that Alice knows; an HTLC of hers is in it, and she knows that one. */
async function closedWithUnknown(): Promise<{ rig: CloseRig; expiry: number }> {
  const chain = new RegtestChain({ now: () => 1_700_000_000_000, feeratePerKw: 500 });
  const rig = new CloseRig(chain, { channelType: 'anchors', fundingSat: 2_000_000n });
  await rig.start();
  const { pair } = rig;
  const expiry = chain.height + 30;
  pair.add('alice', { amountMsat: 50_000_000n, preimage: preimageOf(0), cltvExpiry: expiry });
  const lost = { ...pair.alice.channel, dataLost: true };
  for (let id = 1; id < 4; id++) {
    pair.add('alice', { amountMsat: 20_000_000n, preimage: preimageOf(id), cltvExpiry: expiry });
  }
  await rig.bob.follower.stop();
  pair.alice.channel = lost;
  chain.broadcast(pair.commitmentOf('bob'));
  await mineForAlice(rig, 2);
  return { rig, expiry };
}

async function mineForAlice({ chain, alice }: CloseRig, blocks: number): Promise<void> {
  for (let i = 0; i < blocks; i++) {
    chain.mine();
    await alice.follower.waitUntilSynced();
  }
}

describe('an HTLC on a commitment of the peer that we do not know, for our data was lost', () => {
  test.each([false, true])(
    'is fulfilled by the preimage with which the peer takes an output (we restart then: %s)',
    async (restarts) => {
      const { rig, expiry } = await closedWithUnknown();
      const { alice, chain } = rig;
      expect(alice.sweeper.status(rig.pair.alice.channel.params.channelId)?.spend).toMatchObject({
        kind: 'remote_commitment',
        latest: false,
      });
      // Late, and long after our balance came home.
      await mineForAlice(rig, expiry + 20 - chain.height);
      expect(alice.events).toEqual([]);
      chain.broadcast(takeOffers(rig, { closer: 'bob', ids: [0, 1], feeratePerKw: 5_000 }));
      await mineForAlice(rig, 1);
      if (restarts) {
        alice.events.length = 0;
        await alice.restart();
      }
      expect(alice.events).toMatchObject([
        { type: 'preimage', htlc: { direction: 'offered', id: 0n }, preimage: preimageOf(0) },
        { type: 'resolved' },
      ]);
    },
  );

  test('is waited for until its expiry is long past, and is never reported as failed', async () => {
    const { rig, expiry } = await closedWithUnknown();
    const { alice, chain } = rig;
    await mineForAlice(rig, expiry + 143 - chain.height);
    expect(alice.events).toEqual([]);
    await mineForAlice(rig, 2);
    expect(alice.events.map(({ type }) => type)).toEqual(['resolved']);
  });
});
