import { compareBytes } from '@rivulet/core/bytes';
import {
  checkChannelUpdate,
  isDisabled,
  isForwardable,
  updateDirection,
  verifyChannelAnnouncement,
  verifyChannelUpdate,
  verifyNodeAnnouncement,
} from '@rivulet/core/gossip';
import { type ChannelUpdate, hasFeature, toShortChannelId } from '@rivulet/core/wire';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  chainHash,
  fundingHeight,
  GossipingNode,
  GossipingPair,
  profile,
} from './announcing.test.support.js';
import { defaultChannelPolicy } from './channelPolicies.js';
import { disableAfterMs, flapBudget } from './linkWatch.js';

const realId = toShortChannelId({ blockHeight: fundingHeight, txIndex: 3, outputIndex: 1 });
const dayMinutes = 24 * 60;

function typesOf(node: GossipingNode): string[] {
  return node.published.map(({ type }) => type);
}

function heardUpdates(node: GossipingNode): ChannelUpdate[] {
  return node.heard.filter((message) => message.type === 'channel_update');
}

function expectValid(pair: GossipingPair, update: ChannelUpdate, by: GossipingNode): void {
  const nowSeconds = pair.clock.now() / 1000;
  expect(checkChannelUpdate(update, { chainHash, nowSeconds })).toMatchObject({ valid: true });
  expect(verifyChannelUpdate(update, by.identity.nodeId)).toMatchObject({ valid: true });
}

function change(node: GossipingNode, policy: Parameters<typeof node.policies.set>[1]['change']): void {
  const { key } = node;
  node.turns.enqueue({
    run: (turn) => {
      node.policies.set(turn, { key, change: policy });
      node.announcing.policyChanged(turn, key);
    },
  });
  node.turns.runNow();
}

describe('a channel that is announced', () => {
  test('is told by both in the same channel_announcement, each with its terms and itself', () => {
    const pair = GossipingPair.ready({ announce: true });
    for (const node of pair.nodes) {
      expect(typesOf(node)).toEqual(['channel_announcement', 'channel_update', 'node_announcement']);
    }
    const [announcement, theirs] = pair.nodes.map(({ published }) => published[0]!);
    expect(announcement).toEqual(theirs);
    if (announcement?.type !== 'channel_announcement') throw new Error('another message');
    expect(verifyChannelAnnouncement(announcement, { chainHash })).toMatchObject({ valid: true });
    expect(announcement.shortChannelId).toBe(realId);
    const directions = pair.nodes.map((node) => {
      const [update] = node.updates as [ChannelUpdate];
      expectValid(pair, update, node);
      expect(update).toMatchObject({
        shortChannelId: realId,
        feeBaseMsat: 1_000,
        feeProportionalMillionths: 100,
        cltvExpiryDelta: 80,
        // What the peer takes at least; nine tenths of the channel.
        htlcMinimumMsat: 2_000n,
        htlcMaximumMsat: 900_000_000n,
      });
      expect([isForwardable(update), isDisabled(update)]).toEqual([true, false]);
      return updateDirection(update);
    });
    const first = compareBytes(pair.alice.identity.nodeId, pair.bob.identity.nodeId) < 0 ? 0 : 1;
    expect(directions).toEqual([first, 1 - first]);
    const [node] = pair.alice.nodeAnnouncements;
    expect(verifyNodeAnnouncement(node!)).toMatchObject({ valid: true });
    expect(hasFeature(node!.features, 'keysend')).toBe(true);
    expect(node!.addresses).toEqual(profile.addresses);
  });

  test('is told to the peer alone before it has six confirmations', () => {
    const pair = GossipingPair.ready({ announce: true, confirmations: 5 });
    expect(pair.alice.published).toEqual([]);
    const [early] = heardUpdates(pair.bob);
    expectValid(pair, early!, pair.alice);
    expect(isForwardable(early!)).toBe(false);
    expect(early!.shortChannelId).toBe(pair.bob.channel.readiness.localAlias);
    pair.block();
    expect(typesOf(pair.alice)).toEqual(['channel_announcement', 'channel_update', 'node_announcement']);
    expect(heardUpdates(pair.bob).at(-1)).toEqual(pair.alice.updates[0]);
    expect(pair.alice.updates[0]!.timestamp).toBeGreaterThan(early!.timestamp);
  });

  test('is told anew where its terms change, later each time even within a second', () => {
    const pair = GossipingPair.ready({ announce: true });
    const { alice } = pair;
    for (const feeBaseMsat of [5, 6, 7]) change(alice, { feeBaseMsat });
    expect(alice.updates.map(({ feeBaseMsat }) => feeBaseMsat)).toEqual([1_000, 5, 6, 7]);
    const times = alice.updates.map(({ timestamp }) => timestamp);
    expect(times).toEqual([0, 1, 2, 3].map((later) => times[0]! + later));
    pair.flush();
    expect(heardUpdates(pair.bob).at(-1)).toEqual(alice.updates.at(-1));
    // The same once more is nothing new.
    change(alice, { feeBaseMsat: 7 });
    expect(alice.updates).toHaveLength(4);
  });

  test('is told again, with itself, before anybody prunes it, whatever the clock does', () => {
    const pair = GossipingPair.ready({ announce: true });
    const { alice, clock } = pair;
    clock.wallMs -= 3_600_000;
    change(alice, { feeBaseMsat: 5 });
    expect(alice.updates[1]!.timestamp).toBe(alice.updates[0]!.timestamp + 1);
    pair.wait(15 * dayMinutes);
    const times = alice.updates.map(({ timestamp }) => timestamp);
    expect(times).toHaveLength(4);
    for (let i = 1; i < times.length; i++) expect(times[i]! - times[i - 1]!).toBeGreaterThan(0);
    for (let i = 1; i < times.length; i++) expect(times[i]! - times[i - 1]!).toBeLessThan(13 * 86_400);
    expect(alice.nodeAnnouncements).toHaveLength(3);
    expectValid(pair, alice.updates.at(-1)!, alice);
  });

  test('whose close begins is disabled at once and for good, and forgotten when it is over', () => {
    const pair = GossipingPair.ready({ announce: true });
    const { alice, bob } = pair;
    alice.command({ type: 'close', script: Uint8Array.of(0, 20, ...new Uint8Array(20).fill(1)) });
    pair.flush();
    expect(alice.channel.phase.name).toBe('closing');
    for (const node of pair.nodes) expect(node.updates.map(isDisabled)).toEqual([false, true]);
    pair.disconnect();
    pair.connect();
    pair.wait(30);
    expect(alice.updates).toHaveLength(2);
    const [tx] = alice.channel.closingTransactions;
    alice.command({ type: 'fundingSpent', by: tx! });
    alice.command({ type: 'resolved' });
    expect(alice.store.memory.listValues('channel-update/')).toEqual([]);
    pair.wait(10 * dayMinutes);
    expect(alice.updates).toHaveLength(2);
    expect(alice.nodeAnnouncements).toHaveLength(1);
    expect(bob.updates).toHaveLength(2);
  });

  test('is not told by a turn that was not stored', () => {
    const pair = GossipingPair.ready({ announce: true, confirmations: 5 });
    const { alice } = pair;
    alice.store.full = 'after';
    pair.block();
    expect(alice.published).toEqual([]);
    alice.store.full = 'no';
    // As the driver does with peers whose messages were in a turn that is lost.
    pair.disconnect();
    pair.connect();
    expect(typesOf(alice)).toEqual(['channel_announcement', 'channel_update', 'node_announcement']);
  });
});

describe('after a restart', () => {
  function restarted(pair: GossipingPair, shown = profile): GossipingNode {
    const { store, announcing } = pair.alice;
    announcing.stop();
    const node = new GossipingNode(pair.clock, { seed: 1, store, shown });
    node.load();
    return node;
  }

  test('the same is told again, byte for byte', () => {
    const pair = GossipingPair.ready({ announce: true });
    const node = restarted(pair);
    expect(node.published).toEqual(pair.alice.published);
    pair.clock.scheduler.advance(300_000);
    node.turns.runNow();
    expect(node.published).toEqual(pair.alice.published);
  });

  test('a node that shows itself otherwise says so', () => {
    const pair = GossipingPair.ready({ announce: true });
    const node = restarted(pair, { ...profile, alias: 'brook', acceptsKeysend: false });
    const [before] = pair.alice.nodeAnnouncements;
    const [after] = node.nodeAnnouncements;
    expect(after!.timestamp).toBeGreaterThan(before!.timestamp);
    expect(hasFeature(after!.features, 'keysend')).toBe(false);
    expect(node.updates).toEqual(pair.alice.updates);
  });
});

describe('a private channel', () => {
  test.each([true, false])(
    'is told to its peer alone, by the name that the peer gave it: alias only %s',
    (scidAlias) => {
      const pair = GossipingPair.ready({ announce: false, scidAlias });
      const { alice, bob } = pair;
      expect([alice.published, bob.published]).toEqual([[], []]);
      for (const [from, to] of [
        [alice, bob],
        [bob, alice],
      ] as const) {
        const [update, more] = heardUpdates(to);
        expectValid(pair, update!, from);
        expect(update!.shortChannelId).toBe(to.channel.readiness.localAlias);
        expect(isForwardable(update!)).toBe(false);
        expect(more).toBeUndefined();
      }
    },
  );

  test('is told again at each connection, and not disabled while its peer is away', () => {
    const pair = GossipingPair.ready({ announce: false });
    pair.disconnect();
    pair.wait(60);
    pair.connect();
    const updates = heardUpdates(pair.bob);
    expect(updates).toHaveLength(2);
    expect(updates[1]).toEqual(updates[0]);
  });

  test('whose terms change while the peer is away is told when it is back', () => {
    const pair = GossipingPair.ready({ announce: false });
    pair.disconnect();
    change(pair.alice, { feeBaseMsat: 5 });
    pair.connect();
    expect(heardUpdates(pair.bob).map(({ feeBaseMsat }) => feeBaseMsat)).toEqual([1_000, 5]);
    expect(pair.alice.published).toEqual([]);
  });
});

describe('a peer that is away', () => {
  test('has its announced channel disabled after ten minutes, enabled a while after its return', () => {
    const pair = GossipingPair.ready({ announce: true });
    const { alice } = pair;
    pair.disconnect();
    pair.wait(disableAfterMs / 60_000);
    expect(alice.updates).toHaveLength(1);
    pair.wait(1);
    expect(alice.updates.map(isDisabled)).toEqual([false, true]);
    expectValid(pair, alice.updates[1]!, alice);
    pair.wait(120);
    expect(alice.updates).toHaveLength(2);
    pair.connect();
    expect(alice.updates).toHaveLength(2);
    pair.wait(3);
    expect(alice.updates.map(isDisabled)).toEqual([false, true, false]);
  });

  test('and comes and goes faster than that changes nothing, whatever was told last', () => {
    const pair = GossipingPair.ready({ announce: true });
    const { alice } = pair;
    for (const told of [false, true]) {
      for (let round = 0; round < 10; round++) {
        pair.disconnect();
        pair.wait(1);
        pair.connect();
        pair.wait(1);
      }
      expect(isDisabled(alice.updates.at(-1)!)).toBe(told);
      pair.disconnect();
      pair.wait(12);
    }
    expect(alice.updates).toHaveLength(2);
  });

  test('and comes and goes for long, has the network told only so often, and the truth in the end', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 25 }), { minLength: 20, maxLength: 150, size: 'max' }),
        (spans) => {
          const pair = GossipingPair.ready({ announce: true });
          const { alice } = pair;
          let connected = true;
          for (const minutes of spans) {
            if (connected) pair.disconnect();
            else pair.connect();
            connected = !connected;
            pair.wait(minutes);
          }
          const seconds = spans.reduce((sum, minutes) => sum + minutes, 0) * 60;
          const most = flapBudget.capacity + seconds * flapBudget.perSecond;
          expect(alice.updates.length - 1).toBeLessThanOrEqual(most);
          pair.wait(150);
          expect(isDisabled(alice.updates.at(-1)!)).toBe(!connected);
        },
      ),
      { numRuns: 10 },
    );
  });
});

test('no update is made before both sides are ready', () => {
  const pair = new GossipingPair({ announce: true });
  pair.wait(5);
  change(pair.alice, { feeBaseMsat: 5 });
  pair.flush();
  expect([pair.alice.published, pair.bob.heard]).toEqual([[], []]);
  expect(pair.alice.policies.settingsOf(pair.alice.key)).toEqual({ ...defaultChannelPolicy, feeBaseMsat: 5 });
});
