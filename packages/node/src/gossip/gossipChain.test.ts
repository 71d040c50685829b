import { hexToBytes } from '@rivulet/core/bytes';
import { describe, expect, test } from 'vitest';
import {
  fundingTx,
  GossipNet,
  gossipOf,
  informed,
  keysOf,
  openChannels,
  spendOf,
  startSeconds,
  type TestChannel,
  updateOf,
} from './gossipNet.test.support.js';

const [x, y, z] = [keysOf('x'), keysOf('y'), keysOf('z')];

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

  test('a chain that was replaced further back than is remembered is begun anew', async () => {
    const { net, node, source } = await informed(new GossipNet(200));
    net.chain.mineEmpty(150);
    await net.settle();
    net.chain.reorganise(150);
    await net.settle();
    expect(node.service.status()).toMatchObject({ channels: 0, height: net.chain.height });
    const [channel] = openChannels(net.chain, [[x, y]]) as [TestChannel];
    await net.settle();
    net.say(source, node, ...gossipOf(channel));
    await net.settle();
    expect(node.service.status()).toMatchObject({ channels: 1, height: net.chain.height });
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
