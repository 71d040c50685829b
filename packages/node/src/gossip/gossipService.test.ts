import { hexToBytes } from '@rivulet/core/bytes';
import { toShortChannelId } from '@rivulet/core/wire';
import { describe, expect, test } from 'vitest';
import {
  announcementOf,
  fundingTx,
  GossipNet,
  gossipOf,
  keysOf,
  nodeOf,
  openChannels,
  spendOf,
  startSeconds,
  type TestChannel,
  type TestNode,
  updateOf,
} from './gossipNet.test.support.js';

const [x, y, z] = [keysOf('x'), keysOf('y'), keysOf('z')];

/** A node that knows one channel, from a stranger who has left. */
async function informed(net = new GossipNet()) {
  const [channel] = openChannels(net.chain, [[x, y]]) as [TestChannel];
  const node = await net.node('alice');
  const source = net.stranger('source');
  net.connect(node, source);
  net.say(source, node, ...gossipOf(channel));
  await net.settle();
  return { net, channel, node, source };
}

describe('learning', () => {
  test('a channel that is on chain, with the terms of both ends and the names of its nodes', async () => {
    const { node, channel } = await informed();
    expect(node.service.status()).toMatchObject({
      channels: 1,
      nodes: 2,
      pendingVerification: 0,
      premature: 0,
    });
    expect(node.graph.getChannel(channel.shortChannelId)).toMatchObject({
      capacitySat: 1_000_000n,
      policies: [{ feeBaseMsat: 1000 }, { feeBaseMsat: 1000 }],
    });
    expect(node.graph.getNode(x.nodeId)?.timestamp).toBe(startSeconds - 100);
  });

  test('works in any order of the messages', async () => {
    const net = new GossipNet();
    const [channel] = openChannels(net.chain, [[x, y]]) as [TestChannel];
    const node = await net.node('alice');
    const source = net.stranger('source');
    net.connect(node, source);
    net.say(source, node, ...gossipOf(channel).reverse());
    await net.settle();
    expect(node.graph.getChannel(channel.shortChannelId)?.policies).toMatchObject([{}, {}]);
    expect(node.graph.getNode(y.nodeId)).toBeDefined();
    expect(node.service.status().premature).toBe(0);
  });

  test('waits for six confirmations', async () => {
    const net = new GossipNet();
    const node = await net.node('alice');
    const [channel] = openChannels(net.chain, [[x, y]], 3) as [TestChannel];
    const source = net.stranger('source');
    net.connect(node, source);
    await net.settle();
    net.say(source, node, ...gossipOf(channel));
    await net.settle();
    expect(node.service.status().channels).toBe(0);
    net.chain.mineEmpty(3);
    await net.settle();
    expect(node.service.status().channels).toBe(1);
    expect(node.graph.getChannel(channel.shortChannelId)?.policies).toMatchObject([{}, {}]);
  });

  test('refuses what is not on chain: no such block, transaction or output, another script, a spent output', async () => {
    const net = new GossipNet();
    const [spent] = openChannels(net.chain, [[x, y]]) as [TestChannel];
    net.chain.mine(spendOf(spent));
    const node = await net.node('alice');
    const source = net.stranger('source');
    net.connect(node, source);
    const at = (blockHeight: number, txIndex: number, outputIndex: number) =>
      announcementOf(x, z, toShortChannelId({ blockHeight, txIndex, outputIndex }));
    const { shortChannelId } = spent;
    net.say(
      source,
      node,
      at(50, 1, 0),
      at(50, 0, 0),
      at(100_000, 0, 0),
      announcementOf(x, z, shortChannelId),
      announcementOf(x, z, shortChannelId + 1n),
      spent.announcement,
    );
    await net.settle();
    expect(node.service.status()).toMatchObject({ channels: 0, pendingVerification: 0 });
    expect(net.isConnected(node, source)).toBe(true);
  });

  test('a false announcement does not keep the true one of the same output away', async () => {
    const net = new GossipNet();
    const [channel] = openChannels(net.chain, [[x, y]]) as [TestChannel];
    const node = await net.node('alice');
    const [liar, source] = [net.stranger('liar'), net.stranger('source')];
    net.connect(node, liar);
    net.connect(node, source);
    net.say(liar, node, announcementOf(x, z, channel.shortChannelId));
    net.say(source, node, ...gossipOf(channel));
    await net.settle();
    expect(node.graph.getChannel(channel.shortChannelId)?.nodeId1).toEqual(channel.announcement.nodeId1);
  });

  test('waits for a backend that fails, and loses nothing by it', async () => {
    const net = new GossipNet();
    const [channel] = openChannels(net.chain, [[x, y]]) as [TestChannel];
    const node = await net.node('alice');
    const source = net.stranger('source');
    net.connect(node, source);
    await net.settle();
    net.chain.broken = true;
    net.say(source, node, ...gossipOf(channel));
    await net.settle();
    expect(node.service.status()).toMatchObject({ channels: 0, pendingVerification: 1 });
    net.chain.broken = false;
    await net.advance(10_000);
    expect(node.service.status()).toMatchObject({ channels: 1, pendingVerification: 0 });
  });

  test('believes all that is signed where funding is not looked up', async () => {
    const net = new GossipNet();
    const node = await net.node('alice', { checkFunding: false });
    const source = net.stranger('source');
    net.connect(node, source);
    const shortChannelId = toShortChannelId({ blockHeight: 700_000, txIndex: 7, outputIndex: 0 });
    const channel = { a: x, b: y, shortChannelId };
    net.say(source, node, announcementOf(x, y, shortChannelId), updateOf(channel, x));
    await net.settle();
    expect(node.service.status().channels).toBe(1);
  });
});

describe('an invalid signature', () => {
  const wrongs = (channel: TestChannel) => {
    const update = updateOf(channel, x);
    const node = nodeOf(x);
    return {
      channel_announcement: { ...announcementOf(x, z, channel.shortChannelId + 1n), bitcoinKey1: x.nodeId },
      channel_update: { ...update, timestamp: update.timestamp + 1 },
      node_announcement: { ...node, timestamp: node.timestamp + 1 },
    };
  };

  test.each(['channel_announcement', 'channel_update', 'node_announcement'] as const)(
    'of a %s earns a warning and the end of the connection',
    async (type) => {
      const { net, channel, node, source } = await informed();
      const liar = net.stranger('liar');
      net.connect(node, liar);
      net.say(liar, node, wrongs(channel)[type]);
      await net.settle();
      expect(node.dropped).toEqual([{ nodeId: liar.keys.nodeIdHex, why: `bad ${type}: signature` }]);
      expect(net.isConnected(node, liar)).toBe(false);
      expect(net.isConnected(node, source)).toBe(true);
      expect(node.graph.getChannel(channel.shortChannelId)?.policies[0]?.timestamp).toBe(startSeconds - 100);
    },
  );
});

describe('updates', () => {
  test('replace older ones; older and equal ones are ignored', async () => {
    const { net, channel, node, source } = await informed();
    net.say(
      source,
      node,
      updateOf(channel, x, { timestamp: startSeconds - 50, feeBaseMsat: 7 }),
      updateOf(channel, x, { timestamp: startSeconds - 60, feeBaseMsat: 8 }),
      updateOf(channel, x, { timestamp: startSeconds - 50, feeBaseMsat: 9 }),
    );
    await net.settle();
    const fees = node.graph.getChannel(channel.shortChannelId)?.policies.map((policy) => policy?.feeBaseMsat);
    expect(fees?.sort()).toEqual([1000, 7].sort());
  });

  test('threat 22: with timestamp 0, from the far future or of weeks ago are ignored', async () => {
    const { net, channel, node, source } = await informed();
    const zero = { ...updateOf(channel, x), timestamp: 0 };
    const future = updateOf(channel, x, { timestamp: startSeconds + 8 * 86_400 });
    const old = updateOf(channel, x, { timestamp: startSeconds - 1_209_601 });
    const nodeZero = { ...nodeOf(x), timestamp: 0 };
    const nodeFuture = nodeOf(x, startSeconds + 8 * 86_400);
    net.say(source, node, zero, future, old, nodeZero, nodeFuture);
    await net.settle();
    expect(
      node.graph.getChannel(channel.shortChannelId)?.policies.map((policy) => policy?.timestamp),
    ).toEqual([startSeconds - 100, startSeconds - 100]);
    expect(node.graph.getNode(x.nodeId)?.timestamp).toBe(startSeconds - 100);
    expect(net.isConnected(node, source)).toBe(true);
  });

  test('threat 21: only signed ones count against the rate of a channel', async () => {
    const { net, channel, node } = await informed();
    for (let i = 0; i < 30; i++) {
      const liar = net.stranger(`liar ${i}`);
      net.connect(node, liar);
      const update = updateOf(channel, x, { timestamp: startSeconds - 50 + i });
      net.say(liar, node, { ...update, feeBaseMsat: 5 });
      await net.settle();
      expect(net.isConnected(node, liar)).toBe(false);
    }
    const honest = net.stranger('honest');
    net.connect(node, honest);
    net.say(honest, node, updateOf(channel, x, { timestamp: startSeconds - 10, feeBaseMsat: 77 }));
    await net.settle();
    const fees = node.graph.getChannel(channel.shortChannelId)?.policies.map((policy) => policy?.feeBaseMsat);
    expect(fees).toContain(77);
  });

  test('that come too often are dropped, and taken again later', async () => {
    const { net, channel, node, source } = await informed();
    for (let i = 0; i < 30; i++)
      net.say(source, node, updateOf(channel, x, { timestamp: startSeconds - 50 + i }));
    await net.settle();
    const latest = () =>
      Math.max(
        ...(node.graph.getChannel(channel.shortChannelId)?.policies ?? []).map((one) => one?.timestamp ?? 0),
      );
    expect(latest()).toBe(startSeconds - 50 + 8);
    await net.advance(61_000);
    net.say(source, node, updateOf(channel, x, { timestamp: startSeconds }));
    await net.settle();
    expect(latest()).toBe(startSeconds);
  });
});

describe('channels of our own', () => {
  /** A node with a channel to a stranger. */
  async function own() {
    const net = new GossipNet();
    const node = await net.node('alice');
    const peer = net.stranger('bob');
    const eve = net.stranger('eve');
    net.connect(node, peer);
    net.connect(node, eve);
    const [channel] = openChannels(net.chain, [[node.keys, peer.keys]]) as [TestChannel];
    node.ownChannels.set(channel.shortChannelId, { remoteNodeId: peer.keys.nodeIdHex });
    await net.settle();
    return { net, node, peer, eve, channel };
  }

  test("a private channel's terms go from its peer to the driver, and to nobody else", async () => {
    const { net, node, peer, eve, channel } = await own();
    net.say(eve, node, {
      type: 'gossip_timestamp_filter',
      chainHash: channel.announcement.chainHash,
      firstTimestamp: 0,
      timestampRange: 0xffff_ffff,
    });
    const update = updateOf(channel, peer.keys, { dontForward: true });
    net.say(peer, node, update);
    await net.advance(60_000);
    expect(node.ownUpdates).toEqual([{ nodeId: peer.keys.nodeIdHex, update }]);
    expect(node.service.status().channels).toBe(0);
    expect(net.heard(eve, node, 'channel_update')).toEqual([]);
  });

  test('nobody else can speak for its peer, nor its peer for us', async () => {
    const { net, node, peer, eve, channel } = await own();
    net.say(eve, node, updateOf(channel, peer.keys), updateOf(channel, node.keys), channel.announcement);
    net.say(peer, node, updateOf(channel, node.keys));
    await net.settle();
    expect(node.ownUpdates).toEqual([]);
    expect(node.service.status().channels).toBe(0);
    net.say(peer, node, { ...updateOf(channel, peer.keys), feeBaseMsat: 1 });
    await net.settle();
    expect(node.dropped).toHaveLength(1);
  });

  test('what we publish is in our graph and goes to everyone at once, filter or not', async () => {
    const { net, node, peer, eve, channel } = await own();
    const { service, keys } = node;
    const update = updateOf(channel, keys);
    expect(service.publishOwn(update)).toBe(false);
    expect(service.publishOwn(nodeOf(keys))).toBe(false);
    net.chain.asked.length = 0;
    const funding = { txid: new Uint8Array(32).fill(1), capacitySat: 1_000_000n };
    expect(service.publishOwn(channel.announcement, funding)).toBe(true);
    expect(service.publishOwn(update)).toBe(true);
    expect(service.publishOwn(nodeOf(keys))).toBe(true);
    await net.settle();
    for (const other of [peer, eve]) {
      const expected = [channel.announcement, update, nodeOf(keys)];
      expect(net.heard(other, node).slice(1)).toEqual(expected);
    }
    expect(node.graph.getChannel(channel.shortChannelId)?.capacitySat).toBe(1_000_000n);
    expect(net.chain.asked).toEqual([]);
    expect(service.publishOwn(update)).toBe(false);
    expect(service.publishOwn({ ...update, timestamp: update.timestamp + 1 })).toBe(false);
  });

  test('without its funding it is looked up; the rest follows', async () => {
    const { net, node, peer, channel } = await own();
    expect(node.service.publishOwn(channel.announcement)).toBe(true);
    expect(node.service.publishOwn(updateOf(channel, node.keys))).toBe(true);
    expect(node.service.publishOwn(nodeOf(node.keys))).toBe(true);
    await net.settle();
    expect(
      net
        .heard(peer, node)
        .map(({ type }) => type)
        .slice(1),
    ).toEqual(['channel_announcement', 'channel_update', 'node_announcement']);
  });

  test("its peer's public terms count, though they came before we knew that it is announced", async () => {
    const { net, node, peer, channel } = await own();
    net.say(peer, node, updateOf(channel, peer.keys));
    await net.settle();
    node.service.publishOwn(channel.announcement, { txid: new Uint8Array(32), capacitySat: 1n });
    node.service.publishOwn(updateOf(channel, node.keys));
    await net.settle();
    expect(node.graph.getChannel(channel.shortChannelId)?.policies).toMatchObject([{}, {}]);
  });
});

describe('passing on', () => {
  const wantsAll = {
    type: 'gossip_timestamp_filter',
    chainHash: new Uint8Array(32).fill(6),
    firstTimestamp: 0,
    timestampRange: 0xffff_ffff,
  } as const;

  test('news go to who asked for them, a minute later, announcements first, and not back', async () => {
    const net = new GossipNet();
    const node = await net.node('alice');
    const [source, asks, silent] = [net.stranger('source'), net.stranger('asks'), net.stranger('silent')];
    for (const peer of [source, asks, silent]) net.connect(node, peer);
    for (const peer of [source, asks]) net.say(peer, node, wantsAll);
    await net.settle();
    const [channel] = openChannels(net.chain, [[x, y]]) as [TestChannel];
    net.say(source, node, ...gossipOf(channel));
    await net.settle();
    expect(node.service.status().channels).toBe(1);
    expect(net.heard(asks, node).slice(1)).toEqual([]);
    await net.advance(60_000);
    const heard = net.heard(asks, node).slice(1);
    expect(heard).toHaveLength(5);
    expect(heard).toEqual(expect.arrayContaining(gossipOf(channel)));
    expect(heard[0]).toEqual(channel.announcement);
    expect(net.heard(source, node).slice(1)).toEqual([]);
    expect(net.heard(silent, node).slice(1)).toEqual([]);
    await net.advance(600_000);
    expect(net.heard(asks, node)).toHaveLength(6);
    expect(node.service.usage().news).toBe(0);
  });

  test('only the latest of several updates goes out, to those whose filter it passes', async () => {
    const { net, channel, node, source } = await informed();
    await net.advance(60_000);
    const [all, later] = [net.stranger('all'), net.stranger('later')];
    for (const peer of [all, later]) net.connect(node, peer);
    net.say(all, node, { ...wantsAll, firstTimestamp: startSeconds - 60 });
    net.say(later, node, { ...wantsAll, firstTimestamp: startSeconds - 20 });
    await net.settle();
    const updates = [50, 40, 30].map((ago) => updateOf(channel, x, { timestamp: startSeconds - ago }));
    net.say(source, node, ...updates);
    await net.advance(60_000);
    expect(net.heard(all, node, 'channel_update')).toEqual(updates.slice(2));
    expect(net.heard(later, node, 'channel_update')).toEqual([]);
  });

  test('a peer that sent the same meanwhile is not told', async () => {
    const { net, channel, node, source } = await informed();
    const other = net.stranger('other');
    net.connect(node, other);
    net.say(other, node, { ...wantsAll, firstTimestamp: startSeconds - 60 });
    await net.advance(60_000);
    const update = updateOf(channel, x, { timestamp: startSeconds - 50 });
    net.say(source, node, update);
    await net.settle();
    net.say(other, node, update);
    await net.advance(60_000);
    expect(net.heard(other, node, 'channel_update')).toEqual([]);
  });

  test('a filter brings what is stored, and what comes later comes once', async () => {
    const { net, channel, node } = await informed();
    const other = net.stranger('other');
    net.connect(node, other);
    net.say(other, node, wantsAll);
    await net.advance(120_000);
    expect(net.heard(other, node).slice(1)).toHaveLength(5);
    expect(net.heard(other, node).slice(1)).toEqual(expect.arrayContaining(gossipOf(channel)));
  });
});

describe('synchronisation', () => {
  /** A node that knows many channels. */
  async function wellInformed(net: GossipNet, label: string, count: number) {
    const nodes = Array.from({ length: 30 }, (_, i) => keysOf(`n${i}`));
    const pairs = Array.from(
      { length: count },
      (_, i): [ReturnType<typeof keysOf>, ReturnType<typeof keysOf>] => [
        nodes[i % 30] as ReturnType<typeof keysOf>,
        nodes[(i * 7 + 1) % 30] as ReturnType<typeof keysOf>,
      ],
    );
    const channels = openChannels(
      net.chain,
      pairs.filter(([a, b]) => a !== b),
    );
    const node = await net.node(label);
    const source = net.stranger(`source of ${label}`);
    net.connect(node, source);
    for (const channel of channels) net.say(source, node, ...gossipOf(channel));
    await net.settle();
    net.disconnect(node.keys.nodeIdHex, source.keys.nodeIdHex);
    expect(node.service.status().channels).toBe(channels.length);
    return { node, channels };
  }

  test('two nodes learn all that either knows; a third learns it from them', async () => {
    const net = new GossipNet();
    const alice = await wellInformed(net, 'alice', 600);
    const bob = await net.node('bob');
    net.connect(bob, alice.node);
    expect(bob.service.status()).toMatchObject({ syncing: alice.node.keys.nodeIdHex, synced: false });
    await net.advance(1_000);
    expect(bob.service.status()).toEqual({
      ...alice.node.service.status(),
      synced: true,
      syncing: undefined,
      channels: alice.channels.length,
      nodes: 30,
    });
    const carol = await net.node('carol');
    net.connect(carol, bob);
    await net.advance(1_000);
    expect(carol.service.status()).toMatchObject({
      channels: alice.channels.length,
      nodes: 30,
      synced: true,
    });
    // Each id in two queries of 500, and not the gossip itself again.
    expect(net.heard(alice.node, bob, 'query_short_channel_ids')).toHaveLength(2);
    expect(net.heard(bob, carol, 'query_short_channel_ids')).toHaveLength(2);
  });

  test('after the first peers only filters are sent, and ranges are compared again now and then', async () => {
    const net = new GossipNet();
    const node = await net.node('alice');
    const peers: TestNode[] = [];
    for (let i = 0; i < 5; i++) peers.push(await net.node(`peer ${i}`));
    for (const peer of peers) net.connect(node, peer);
    await net.settle();
    const ranges = () => peers.map((peer) => net.heard(peer, node, 'query_channel_range').length);
    expect(ranges()).toEqual([1, 1, 1, 0, 0]);
    for (const peer of peers) expect(net.heard(peer, node, 'gossip_timestamp_filter')).toHaveLength(1);
    await net.advance(3_600_000);
    expect(ranges()).toEqual([1, 1, 1, 1, 0]);
    await net.advance(3_600_000);
    expect(ranges()).toEqual([1, 1, 1, 1, 1]);
    await net.advance(3_600_000);
    expect(ranges()).toEqual([2, 1, 1, 1, 1]);
  });

  test('a peer that falls silent is left for the next one', async () => {
    const net = new GossipNet();
    const alice = await wellInformed(net, 'alice', 10);
    const bob = await net.node('bob');
    const mute = net.stranger('mute', { extended: true });
    net.connect(bob, mute);
    net.connect(bob, alice.node);
    await net.settle();
    expect(bob.service.status().syncing).toBe(mute.keys.nodeIdHex);
    await net.advance(70_000);
    expect(bob.service.status()).toMatchObject({ synced: true, channels: alice.channels.length });
  });

  test('a peer that goes away in the middle is left for the next one', async () => {
    const net = new GossipNet();
    const alice = await wellInformed(net, 'alice', 10);
    const bob = await net.node('bob');
    const leaving = net.stranger('leaving', { extended: true });
    net.connect(bob, leaving);
    await net.settle();
    net.connect(bob, alice.node);
    net.disconnect(bob.keys.nodeIdHex, leaving.keys.nodeIdHex);
    await net.settle();
    expect(bob.service.status()).toMatchObject({ synced: true, channels: alice.channels.length });
  });

  test('a peer without gossip_queries is not asked, and is told to send nothing', async () => {
    const net = new GossipNet();
    const node = await net.node('alice');
    const poor = net.stranger('poor');
    net.connect(node, poor);
    await net.settle();
    expect(net.heard(poor, node)).toMatchObject([
      { type: 'gossip_timestamp_filter', firstTimestamp: 0xffff_ffff, timestampRange: 0 },
    ]);
  });

  test('an update without its channel leads to the channel', async () => {
    const net = new GossipNet();
    const bob = await net.node('bob');
    const alice = await net.node('alice');
    net.connect(bob, alice);
    await net.settle();
    const source = net.stranger('source');
    net.connect(alice, source);
    const [channel] = openChannels(net.chain, [[x, y]]) as [TestChannel];
    await net.settle();
    net.say(source, alice, ...gossipOf(channel));
    await net.settle();
    net.say(alice, bob, updateOf(channel, x));
    await net.settle();
    expect(bob.service.status()).toMatchObject({ channels: 1, nodes: 2, premature: 0 });
    expect(bob.graph.getChannel(channel.shortChannelId)?.policies).toMatchObject([{}, {}]);
  });

  test('after a restart only what is new is fetched', async () => {
    const net = new GossipNet();
    const alice = await wellInformed(net, 'alice', 50);
    const bob = await net.node('bob');
    net.connect(bob, alice.node);
    await net.settle();
    await bob.service.stop();
    net.disconnect(bob.keys.nodeIdHex, alice.node.keys.nodeIdHex);
    const source = net.stranger('source');
    net.connect(alice.node, source);
    const [channel] = alice.channels as [TestChannel];
    await net.advance(5_000);
    net.say(
      source,
      alice.node,
      updateOf(channel, channel.a, { timestamp: net.nowSeconds(), feeBaseMsat: 5 }),
    );
    await net.settle();
    const again = await net.node('bob', { store: bob.store });
    expect(again.service.status()).toMatchObject({
      channels: alice.channels.length,
      nodes: 30,
      synced: false,
    });
    net.connect(again, alice.node);
    const before = net.link(alice.node, again).sentMessages;
    await net.settle();
    const fees = again.graph
      .getChannel(channel.shortChannelId)
      ?.policies.map((policy) => policy?.feeBaseMsat);
    expect(fees).toContain(5);
    expect(net.heard(alice.node, again, 'query_short_channel_ids').at(-1)).toMatchObject({
      shortChannelIds: [channel.shortChannelId],
    });
    expect(net.link(alice.node, again).sentMessages - before).toBeLessThan(300);
  });
});

describe('the chain', () => {
  test('a spent channel is forgotten after 72 blocks, with nodes that have no other, and not told before', async () => {
    const { net, channel, node } = await informed();
    net.chain.mine(spendOf(channel));
    await net.settle();
    const other = net.stranger('other');
    net.connect(node, other);
    net.say(other, node, {
      type: 'gossip_timestamp_filter',
      chainHash: channel.announcement.chainHash,
      firstTimestamp: 0,
      timestampRange: 0xffff_ffff,
    });
    net.chain.mineEmpty(71);
    await net.settle();
    expect(node.service.status()).toMatchObject({ channels: 1, nodes: 2 });
    expect(net.heard(other, node, 'channel_announcement', 'channel_update')).toEqual([]);
    net.chain.mine();
    await net.settle();
    expect(node.service.status()).toMatchObject({ channels: 0, nodes: 0 });
    expect([node.store.channelCount, node.store.nodeCount]).toEqual([0, 0]);
  });

  test('of a spent channel only what disables it is taken', async () => {
    const { net, channel, node, source } = await informed();
    net.chain.mine(spendOf(channel));
    await net.settle();
    net.say(source, node, updateOf(channel, x, { timestamp: startSeconds - 50 }));
    net.say(source, node, updateOf(channel, y, { timestamp: startSeconds - 50, disabled: true }));
    await net.settle();
    const policies = node.graph.getChannel(channel.shortChannelId)?.policies ?? [];
    expect(policies.map((policy) => policy?.timestamp).sort()).toEqual([
      startSeconds - 100,
      startSeconds - 50,
    ]);
    expect(policies.some((policy) => policy?.disabled)).toBe(true);
  });

  test('a spend that a reorganisation takes back is none', async () => {
    const { net, channel, node } = await informed();
    net.chain.mine(spendOf(channel));
    net.chain.mine();
    await net.settle();
    net.chain.reorganise(2);
    await net.settle();
    net.chain.mineEmpty(80);
    await net.settle();
    expect(node.service.status()).toMatchObject({ channels: 1, height: net.chain.height });
  });

  test('a channel whose funding a reorganisation took away goes, unless it comes back to its place', async () => {
    const net = new GossipNet();
    const node = await net.node('alice');
    const source = net.stranger('source');
    net.connect(node, source);
    await net.settle();
    const [gone, back] = openChannels(net.chain, [
      [x, y],
      [x, z],
    ]) as [TestChannel, TestChannel];
    await net.settle();
    net.say(source, node, ...gossipOf(gone), ...gossipOf(back));
    await net.settle();
    expect(node.service.status().channels).toBe(2);
    net.chain.reorganise(6, [[fundingTx(y, z), back.tx]]);
    await net.settle();
    net.chain.mineEmpty(72);
    await net.settle();
    expect(node.graph.hasChannel(gone.shortChannelId)).toBe(false);
    expect(node.graph.hasChannel(back.shortChannelId)).toBe(true);
    expect(node.service.status()).toMatchObject({ channels: 1, height: net.chain.height });
    expect(node.store.getChannel(back.shortChannelId)?.spentHeight).toBeUndefined();
  });

  test('a restart catches up with what was spent meanwhile', async () => {
    const { net, channel, node } = await informed();
    await node.service.stop();
    net.chain.mine(spendOf(channel));
    net.chain.mineEmpty(30);
    const again = await net.node('alice', { store: node.store });
    await again.service.waitUntilChainSynced();
    expect(again.service.status()).toMatchObject({ channels: 1, height: net.chain.height });
    await again.service.stop();
    net.chain.mineEmpty(42);
    const third = await net.node('alice', { store: node.store });
    await third.service.waitUntilChainSynced();
    expect(third.service.status()).toMatchObject({ channels: 0, height: net.chain.height });
  });

  test('blocks that the node has anyway are not fetched again', async () => {
    const net = new GossipNet();
    const node = await net.node('alice', { limits: { blockDelayMs: 10_000 } });
    await net.settle();
    net.chain.asked.length = 0;
    const block = net.chain.mine();
    await net.settle();
    expect(node.service.status().height).toBe(block.height - 1);
    node.service.onBlock(block);
    await net.settle();
    expect(node.service.status().height).toBe(block.height);
    expect(net.chain.asked).not.toContain(block.height);
    const next = net.chain.mine();
    await net.advance(10_000);
    expect(node.service.status().height).toBe(next.height);
  });
});

describe('pruning', () => {
  test('a channel with a silent end goes after two weeks; one that both ends speak for stays', async () => {
    const net = new GossipNet();
    const [silent, alive] = openChannels(net.chain, [
      [x, y],
      [x, z],
    ]) as [TestChannel, TestChannel];
    const node = await net.node('alice');
    const source = net.stranger('source');
    net.connect(node, source);
    net.say(source, node, ...gossipOf(silent), ...gossipOf(alive));
    await net.settle();
    for (let day = 0; day < 15; day++) {
      await net.advance(86_400_000);
      const timestamp = net.nowSeconds();
      net.say(source, node, updateOf(silent, x, { timestamp }));
      net.say(source, node, updateOf(alive, x, { timestamp }), updateOf(alive, z, { timestamp }));
      await net.settle();
    }
    expect(node.graph.hasChannel(silent.shortChannelId)).toBe(false);
    expect(node.graph.hasChannel(alive.shortChannelId)).toBe(true);
    expect(node.graph.hasNode(hexToBytes(y.nodeIdHex))).toBe(false);
    expect(node.store.getNode(y.nodeIdHex)).toBeUndefined();
    // It does not come back while only one end speaks.
    net.say(source, node, silent.announcement, updateOf(silent, x, { timestamp: net.nowSeconds() }));
    await net.settle();
    expect(node.graph.hasChannel(silent.shortChannelId)).toBe(false);
  });

  test('what grew stale while the node was away is gone when it loads; a channel of ours stays', async () => {
    const net = new GossipNet();
    const node = await net.node('alice');
    const peer = net.stranger('bob');
    const [foreign, own] = openChannels(net.chain, [
      [x, y],
      [node.keys, peer.keys],
    ]) as [TestChannel, TestChannel];
    await net.settle();
    net.connect(node, peer);
    net.say(peer, node, ...gossipOf(foreign));
    node.service.publishOwn(own.announcement);
    await net.settle();
    expect(node.service.status().channels).toBe(2);
    await node.service.stop();
    await net.advance(15 * 86_400_000);
    const again = await net.node('alice', { store: node.store });
    expect(again.graph.hasChannel(own.shortChannelId)).toBe(true);
    expect(again.service.status().channels).toBe(1);
  });
});
