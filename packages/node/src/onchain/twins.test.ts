import { RegtestChain } from '@rivulet/chain';
import type { Channel } from '@rivulet/core/channel';
import type { ChannelType, Transaction } from '@rivulet/core/tx';
import { describe, expect, test } from 'vitest';
import { CloseRig } from './testing/closeRig.js';

const channelTypes: ChannelType[] = ['static_remotekey', 'anchors'];
const preimage = (fill: number) => new Uint8Array(32).fill(fill);
const failure = { type: 'fail', reason: new Uint8Array(10) } as const;

async function rigOf(channelType: ChannelType): Promise<CloseRig> {
  const chain = new RegtestChain({ now: () => 1_700_000_000_000, feeratePerKw: 500 });
  const rig = new CloseRig(chain, { channelType, fundingSat: 1_000_000n });
  await rig.start();
  return rig;
}

/** The same hash and amount each time; the expiry too unless another is asked for. */
function add({ pair, chain }: CloseRig, { blocks = 30 }: { blocks?: number } = {}): bigint {
  const cltvExpiry = chain.height + blocks;
  return pair.add('alice', { amountMsat: 50_000_000n, preimage: preimage(1), cltvExpiry });
}

/** Of each HTLC of ours what became of it, in its order. */
function endsOf({ alice }: CloseRig): [bigint, string][] {
  return alice.events
    .flatMap((event): [bigint, string][] => ('htlc' in event ? [[event.htlc.id, event.type]] : []))
    .sort(([a], [b]) => Number(a - b));
}

async function mineForAlice({ chain, alice }: CloseRig, blocks: number): Promise<void> {
  for (let i = 0; i < blocks; i++) {
    chain.mine();
    await alice.follower.waitUntilSynced();
  }
}

/** Bob publishes a commitment while his node is off: his latest, or an older one of his. */
async function publish(rig: CloseRig, old?: Channel): Promise<Transaction> {
  const commitment = rig.pair.commitmentOf('bob', old);
  await rig.bob.follower.stop();
  rig.chain.broadcast(commitment);
  await mineForAlice(rig, 1);
  return commitment;
}

describe.each(channelTypes)(
  'threat 16: a revoked commitment has fewer of several alike (%s)',
  (channelType) => {
    test('than are pending: each of them comes back, once, and none waits for ever', async () => {
      const rig = await rigOf(channelType);
      add(rig);
      const old = rig.pair.bob.channel;
      add(rig);
      add(rig);
      await publish(rig, old);
      expect(rig.alice.sweeper.status(rig.pair.alice.channel.params.channelId)?.spend.kind).toBe(
        'revoked_commitment',
      );
      await mineForAlice(rig, 12);
      expect(endsOf(rig)).toEqual([
        [0n, 'htlcFailed'],
        [1n, 'htlcFailed'],
        [2n, 'htlcFailed'],
      ]);
      expect(rig.alice.events.at(-1)?.type).toBe('resolved');
    });

    test('than are pending, one of which is over already: the others come back all the same', async () => {
      const rig = await rigOf(channelType);
      const { pair } = rig;
      add(rig);
      const old = pair.bob.channel;
      pair.settle('bob', 0n, failure);
      pair.commit();
      add(rig);
      add(rig);
      await publish(rig, old);
      await rig.alice.restart();
      await mineForAlice(rig, 12);
      expect(endsOf(rig)).toEqual([
        [1n, 'htlcFailed'],
        [2n, 'htlcFailed'],
      ]);
    });

    test('with other expiries: the one that is there is told from those that are not', async () => {
      const rig = await rigOf(channelType);
      add(rig, { blocks: 30 });
      add(rig, { blocks: 31 });
      const old = rig.pair.bob.channel;
      add(rig, { blocks: 32 });
      await publish(rig, old);
      const { claims } = rig.alice.sweeper.status(rig.pair.alice.channel.params.channelId)!;
      expect(claims.filter(({ purpose }) => purpose === 'revoked_htlc')).toHaveLength(2);
      await mineForAlice(rig, 12);
      expect(endsOf(rig).map(([id]) => id)).toEqual([0n, 1n, 2n]);
      // All of them were taken by us.
      expect(rig.alice.wallet.receivedSat).toBeGreaterThan(1_000_000n - 10_000n);
    });
  },
);

describe.each(channelTypes)('threat 16: of two alike on a commitment that is valid (%s)', (channelType) => {
  test('the one that is fulfilled is not the one that comes back', async () => {
    const rig = await rigOf(channelType);
    const { pair } = rig;
    add(rig);
    add(rig);
    pair.settle('bob', 1n, { type: 'fulfill', preimage: preimage(1) });
    while (pair.deliver('bob'));
    // Both are there still, and one of them is known to be paid.
    await publish(rig);
    await mineForAlice(rig, 45);
    expect(endsOf(rig)).toEqual([[0n, 'htlcFailed']]);
  });

  test('that we received each is claimed for itself, with the signature that is its own', async () => {
    const rig = await rigOf(channelType);
    const { pair, chain } = rig;
    const cltvExpiry = chain.height + 60;
    const ids = [0, 0, 1].map((blocks) =>
      pair.add('bob', { amountMsat: 50_000_000n, preimage: preimage(1), cltvExpiry: cltvExpiry + blocks }),
    );
    for (const id of ids) pair.settle('alice', id, { type: 'fulfill', preimage: preimage(1) });
    await rig.bob.follower.stop();
    chain.broadcast(pair.commitmentOf('alice'));
    await mineForAlice(rig, 3);
    const { claims } = rig.alice.sweeper.status(pair.alice.channel.params.channelId)!;
    const taken = claims.filter(({ purpose }) => purpose === 'htlc_success');
    expect(taken.map(({ spentHeight }) => spentHeight !== undefined)).toEqual([true, true, true]);
    expect(new Set(taken.map(({ outpoint }) => outpoint.index)).size).toBe(3);
    expect(rig.alice.log.filter(({ level }) => level === 'error')).toEqual([]);
  });
});
