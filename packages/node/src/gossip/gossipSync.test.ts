import { describe, expect, test } from 'vitest';
import {
  GossipNet,
  gossipOf,
  informed,
  keysOf,
  openChannels,
  startSeconds,
  type TestChannel,
  type TestNode,
  updateOf,
  wellInformed,
} from './gossipNet.test.support.js';

const [x, y, _z] = [keysOf('x'), keysOf('y'), keysOf('z')];

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
