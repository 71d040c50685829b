import { networks } from '@rivulet/chain';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { channelAnnouncementOf, isAnnounced, shortChannelIdOf } from '@rivulet/core/channel';
import {
  isForwardable,
  verifyChannelAnnouncement,
  verifyChannelUpdate,
  verifyNodeAnnouncement,
} from '@rivulet/core/gossip';
import { type ChannelAnnouncement, decodeMessage } from '@rivulet/core/wire';
import { afterEach, expect, test } from 'vitest';
import { Pair, type TestNode, until } from './pair.test.support.js';

const { chainHash } = networks.regtest;

let pair: Pair | undefined;

afterEach(async () => {
  await pair?.stop();
  pair = undefined;
});

/** Two nodes with a channel that is public and open, with three confirmations. */
async function publicPair(): Promise<Pair> {
  const started = await Pair.start();
  pair = started;
  const peer = await started.connect();
  await started.alice.node.openChannel({
    peer,
    capacitySat: 1_000_000n,
    pushMsat: 300_000_000n,
    announce: true,
  });
  await started.mine(3);
  await started.usable();
  return started;
}

function announcementOf({ node }: TestNode): ChannelAnnouncement | undefined {
  const [channel] = node.channels;
  const identity = { nodeId: hexToBytes(node.nodeId), chainHash };
  return channel === undefined ? undefined : channelAnnouncementOf(channel, identity);
}

async function announced({ alice, bob }: Pair): Promise<ChannelAnnouncement> {
  await until(
    () => [alice, bob].every(({ node }) => node.channels.some(isAnnounced)),
    'both sides have all signatures',
  );
  const announcement = announcementOf(alice);
  expect(announcement).toEqual(announcementOf(bob));
  return announcement as ChannelAnnouncement;
}

/** Valid, of the channel's present place, with the terms of both nodes and the nodes themselves. */
function expectTold({ alice, bob }: Pair, announcement: ChannelAnnouncement): void {
  expect(verifyChannelAnnouncement(announcement, { chainHash })).toMatchObject({ valid: true });
  for (const { node, store } of [alice, bob]) {
    const [channel] = node.channels;
    expect(announcement.shortChannelId).toBe(shortChannelIdOf(channel!));
    const [stored] = store.memory.listValues('channel-update/');
    const update = decodeMessage(stored!.value);
    if (update.type !== 'channel_update') throw new Error('another message is stored');
    expect(verifyChannelUpdate(update, hexToBytes(node.nodeId))).toMatchObject({ valid: true });
    expect([update.shortChannelId, isForwardable(update)]).toEqual([announcement.shortChannelId, true]);
    const self = decodeMessage(store.memory.getValue('node-announcement')!);
    if (self.type !== 'node_announcement') throw new Error('another message is stored');
    expect(verifyNodeAnnouncement(self)).toMatchObject({ valid: true });
    expect(bytesToHex(self.nodeId)).toBe(node.nodeId);
  }
}

test('two nodes announce a channel, each with the same valid message, and pay over it', async () => {
  const running = await publicPair();
  await running.mine(2);
  expect([running.alice, running.bob].map(announcementOf)).toEqual([undefined, undefined]);
  expect(running.alice.store.memory.getValue('node-announcement')).toBeUndefined();
  await running.mine(1);
  expectTold(running, await announced(running));
  await running.pay(running.alice, running.bob);
  await until(() => running.bob.node.channels[0]!.localMsat === 301_000_000n, 'the payment is over');
});

test('a channel that is private is never announced', async () => {
  pair = await Pair.withChannel();
  await pair.mine(6);
  for (const { node, store } of [pair.alice, pair.bob]) {
    expect(node.channels[0]!.announcement).toBeUndefined();
    expect(store.memory.getValue('node-announcement')).toBeUndefined();
    const update = decodeMessage(store.memory.listValues('channel-update/')[0]!.value);
    expect(update.type === 'channel_update' && isForwardable(update)).toBe(false);
  }
});

test('what the depth finds without a connection is announced with the next one', async () => {
  const running = await publicPair();
  running.alice.node.peers.drop(running.bob.node.nodeId, 'a test');
  const offline = ({ node }: TestNode) => node.channels[0]!.link === 'offline';
  await until(() => offline(running.alice) && offline(running.bob), 'the link is gone');
  await running.mine(6);
  expect([running.alice, running.bob].map(announcementOf)).toEqual([undefined, undefined]);
  await running.connect();
  expectTold(running, await announced(running));
});

test.each(['alice', 'bob'] as const)('an announcement outlives a restart of %s', async (who) => {
  const running = await publicPair();
  await running.mine(3);
  const before = await announced(running);
  await running.restart(who);
  expect(announcementOf(running[who])).toEqual(before);
  await running.connect();
  await running.usable();
  expectTold(running, before);
});

test('a restart between the blocks and the signatures loses nothing', async () => {
  const running = await publicPair();
  await running.restart('bob');
  await running.mine(4);
  await running.restart('alice');
  expect([running.alice, running.bob].map(announcementOf)).toEqual([undefined, undefined]);
  await running.connect();
  expectTold(running, await announced(running));
});

test('a reorganisation has the channel announced at its new place', async () => {
  const running = await publicPair();
  await running.mine(3);
  const before = await announced(running);
  // The first of the new blocks is without the funding transaction.
  running.chain.reorganise({ depth: 6, blocks: 1, transactions: 'none' });
  await running.mine(8);
  const moved = (node: TestNode) => {
    const announcement = announcementOf(node);
    return announcement !== undefined && announcement.shortChannelId !== before.shortChannelId;
  };
  await until(() => moved(running.alice) && moved(running.bob), 'the new place is announced');
  expectTold(running, await announced(running));
});
