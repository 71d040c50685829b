import { toShortChannelId } from '@rivulet/core/wire';
import { describe, expect, test } from 'vitest';
import {
  announcementOf,
  GossipNet,
  gossipOf,
  informed,
  keysOf,
  nodeOf,
  openChannels,
  spendOf,
  startSeconds,
  type TestChannel,
  updateOf,
} from './gossipNet.test.support.js';

const [x, y, z] = [keysOf('x'), keysOf('y'), keysOf('z')];

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

describe('a store', () => {
  test('that loses what it held is filled again from peers', async () => {
    const { net, channel, node } = await informed();
    const other = await net.node('bob');
    net.connect(other, node);
    await net.settle();
    expect(other.service.status()).toMatchObject({ channels: 1, synced: true });
    other.store.removeChannel(channel.shortChannelId);
    other.service.storeLost();
    await net.settle();
    expect(other.service.status()).toMatchObject({ channels: 1, nodes: 2, synced: true });
    expect(other.store.getChannel(channel.shortChannelId)?.updates).toMatchObject([{}, {}]);
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

  test('what its peer repeats whenever it connects is told once, and uses up nothing', async () => {
    const { net, node, peer, channel } = await own();
    const update = updateOf(channel, peer.keys, { dontForward: true });
    for (let i = 0; i < 30; i++) net.say(peer, node, update);
    await net.settle();
    const next = updateOf(channel, peer.keys, { dontForward: true, timestamp: startSeconds });
    net.say(peer, node, next);
    await net.settle();
    expect(node.ownUpdates.map((one) => one.update)).toEqual([update, next]);
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
