import type { ChannelUpdate, GossipTimestampFilter, QueryShortChannelIds } from '@rivulet/core/wire';
import { toShortChannelId } from '@rivulet/core/wire';
import { describe, expect, test } from 'vitest';
import { defaultGossipLimits as limits } from './gossipLimits.js';
import {
  announcementOf,
  chainHash,
  GossipNet,
  gossipOf,
  informed,
  keysOf,
  type Member,
  openChannels,
  startSeconds,
  type TestChannel,
  updateOf,
  wellInformed,
} from './gossipNet.test.support.js';

const [x, y, z] = [keysOf('x'), keysOf('y'), keysOf('z')];

const wantsAll: GossipTimestampFilter = {
  type: 'gossip_timestamp_filter',
  chainHash,
  firstTimestamp: 0,
  timestampRange: 0xffff_ffff,
};

/** The longest query: 64 KB of ids that nobody knows. */
const longestQuery: QueryShortChannelIds = {
  type: 'query_short_channel_ids',
  chainHash,
  shortChannelIds: Array.from({ length: 8_000 }, (_, i) => BigInt(i + 1)),
};

function strangers(net: GossipNet, count: number): Member[] {
  return Array.from({ length: count }, (_, i) => net.stranger(`stranger ${i}`));
}

/** What waits for all these peers, in bytes. */
function waiting(net: GossipNet, from: Member, peers: readonly Member[]): number {
  return peers.reduce((sum, peer) => sum + net.link(from, peer).bytes, 0);
}

describe('threat 19: filters for everything, again and again', () => {
  test('from readers that do not read cost one socket buffer each, whatever is stored', async () => {
    const net = new GossipNet();
    const { node } = await wellInformed(net, 'alice', 400);
    const slow = strangers(net, 60);
    for (const peer of slow) {
      net.connect(node, peer);
      net.setReading(peer, node, false);
    }
    let most = 0;
    net.afterTurn = () => {
      most = Math.max(most, waiting(net, node, slow));
    };
    for (let round = 0; round < 20; round++) {
      for (const peer of slow) net.say(peer, node, wantsAll, wantsAll, wantsAll);
      await net.advance(1_000);
    }
    const longest = 1_000;
    const [first] = slow as [Member];
    expect(net.link(node, first).bytes).toBeGreaterThan(100_000);
    expect(net.link(node, first).bytes).toBeLessThan(limits.maxWaitingPeerBytes + longest);
    expect(most).toBeLessThan(limits.maxWaitingBytes + slow.length * (16 * 1024 + longest));
    expect(node.service.usage().served.now).toBeLessThanOrEqual(limits.maxServedPeers);
  });

  test('from one that reads all of it are answered at a bounded rate', async () => {
    const net = new GossipNet();
    const bound = { capacity: 300_000, perSecond: 20_000 };
    const { node } = await wellInformed(net, 'alice', 300, { servedBytes: bound });
    const [greedy] = strangers(net, 1) as [Member];
    net.connect(node, greedy);
    for (let second = 0; second < 60; second++) {
      for (let i = 0; i < 5; i++) net.say(greedy, node, wantsAll);
      await net.advance(1_000);
    }
    const { sentBytes } = net.link(node, greedy);
    expect(sentBytes).toBeGreaterThan(bound.capacity);
    expect(sentBytes).toBeLessThan(bound.capacity + 61 * (bound.perSecond + 10 * 32 * 500));
  });

  test('do not keep others from being answered', async () => {
    const net = new GossipNet();
    const { node, channels } = await wellInformed(net, 'alice', 400, { maxServedPeers: 4 });
    const slow = strangers(net, 10);
    for (const peer of slow) {
      net.connect(node, peer);
      net.setReading(peer, node, false);
      net.say(peer, node, wantsAll);
    }
    await net.settle();
    const honest = await net.node('bob');
    net.connect(honest, node);
    await net.settle();
    expect(node.service.usage().served).toMatchObject({ now: 4 });
    expect(honest.service.status().synced).toBe(false);
    // Their places are given to those that wait, as they make no use of them.
    for (let i = 0; i < 4; i++) await net.advance(11_000);
    expect(honest.service.status().synced).toBe(true);
    expect(honest.service.status().channels).toBe(channels.length);
  });

  test('a slow reader goes on where it was, without a gap', async () => {
    const net = new GossipNet();
    const { node, channels } = await wellInformed(net, 'alice', 400);
    const [slow] = strangers(net, 1) as [Member];
    net.connect(node, slow);
    net.setReading(slow, node, false);
    net.say(slow, node, wantsAll);
    await net.settle();
    expect(net.link(node, slow).bytes).toBeLessThan(limits.maxWaitingPeerBytes + 1_000);
    net.setReading(slow, node, true);
    await net.settle();
    expect(net.heard(slow, node, 'channel_announcement')).toHaveLength(channels.length);
    expect(net.heard(slow, node, 'channel_update')).toHaveLength(2 * channels.length);
    expect(net.heard(slow, node, 'node_announcement')).toHaveLength(30);
  });
});

describe('threat 20: 64 KB queries over many connections', () => {
  test('hold a bounded number of ids; what is beyond is answered with nothing, and all are answered', async () => {
    const net = new GossipNet();
    const node = await net.node('alice');
    const peers = strangers(net, 60);
    let most = 0;
    let served = 0;
    for (const peer of peers) {
      net.connect(node, peer);
      net.say(peer, node, longestQuery);
    }
    net.afterTurn = () => {
      most = Math.max(most, node.service.usage().served.queriedIds);
      served = Math.max(served, node.service.usage().served.now);
    };
    await net.settle();
    expect(most).toBe(96_000);
    expect(most).toBeLessThanOrEqual(limits.maxQueriedIds);
    expect(served).toBeLessThanOrEqual(limits.maxServedPeers);
    expect(node.service.usage().served).toEqual({ now: 0, waiting: 0, queriedIds: 0 });
    for (const peer of peers) expect(net.heard(peer, node, 'reply_short_channel_ids_end')).toHaveLength(1);
  });

  test('a second one before the answer to the first ends the connection', async () => {
    const net = new GossipNet();
    const node = await net.node('alice');
    const [peer] = strangers(net, 1) as [Member];
    net.connect(node, peer);
    net.say(peer, node, longestQuery, longestQuery);
    await net.settle();
    expect(node.dropped.map(({ why }) => why)).toEqual(['bad query_short_channel_ids: query_outstanding']);
    expect(node.service.usage().served).toEqual({ now: 0, waiting: 0, queriedIds: 0 });
  });

  test('the time of the processor that answers take is bounded', async () => {
    const net = new GossipNet();
    const { node } = await wellInformed(net, 'alice', 200, { servedMs: { capacity: 50, perSecond: 10 } });
    const [peer] = strangers(net, 1) as [Member];
    net.connect(node, peer);
    const before = net.scheduler.now();
    // Whatever is looked at takes a millisecond here.
    const { summaries } = node.store;
    node.store.summaries = (first) => {
      net.scheduler.advance(1);
      return summaries.call(node.store, first);
    };
    for (let i = 0; i < 300; i++) {
      net.say(peer, node, { ...wantsAll, firstTimestamp: 0xffff_fff0 });
      await net.advance(100);
    }
    const seconds = (net.scheduler.now() - before) / 1_000;
    const spent = net.scheduler.now() - before - 300 * 100;
    expect(spent).toBeGreaterThan(50);
    expect(spent).toBeLessThan(50 + 12 * seconds);
  });
});

describe('threat 21: updates whose channel is not known', () => {
  test('are held up to a bound, of each peer and of all, and push out no honest one', async () => {
    const net = new GossipNet();
    const node = await net.node('alice');
    const honest = net.stranger('honest');
    const [channel] = openChannels(net.chain, [[x, y]]) as [TestChannel];
    await net.settle();
    net.connect(node, honest);
    net.say(honest, node, updateOf(channel, x), updateOf(channel, y));
    await net.settle();
    const template = updateOf(channel, x);
    const floods = strangers(net, 40);
    for (const [n, peer] of floods.entries()) {
      net.connect(node, peer);
      const updates: ChannelUpdate[] = [];
      for (let i = 0; i < 1_500; i++) {
        updates.push({ ...template, shortChannelId: BigInt(n * 10_000 + i + 1) << 30n });
      }
      net.say(peer, node, ...updates);
      await net.settle();
      expect(node.service.usage().prematureBytes).toBeLessThanOrEqual(
        Math.min(4, (n + 1) / 4 + 0.01) * 1024 * 1024,
      );
    }
    expect(node.service.usage().prematureBytes).toBeGreaterThan(3_500_000);
    net.say(honest, node, channel.announcement);
    await net.settle();
    expect(node.graph.getChannel(channel.shortChannelId)?.policies).toMatchObject([{}, {}]);
    for (const peer of floods) net.disconnect(node.keys.nodeIdHex, peer.keys.nodeIdHex);
    expect(node.service.usage().prematureBytes).toBe(0);
  });
});

describe('floods of what looks valid', () => {
  /** Signed by all who must, but on no chain. */
  function forged(count: number, blockHeight: number) {
    return Array.from({ length: count }, (_, i) =>
      announcementOf(x, z, toShortChannelId({ blockHeight, txIndex: i + 5, outputIndex: 0 })),
    );
  }

  test('announcements of outputs that never were are looked up some fifty times, then not even verified', async () => {
    const { net, node } = await informed();
    const liar = net.stranger('liar');
    net.connect(node, liar);
    net.chain.asked.length = 0;
    net.say(liar, node, ...forged(150, 40));
    await net.settle();
    const lookups = net.chain.asked.length;
    expect(node.service.status()).toMatchObject({ channels: 1, pendingVerification: 0 });
    const before = net.turns;
    net.say(liar, node, ...forged(150, 41));
    await net.settle();
    expect(net.chain.asked.length).toBe(lookups);
    expect(net.turns - before).toBe(1);
  });

  test('do not delay what honest peers announce', async () => {
    const net = new GossipNet();
    const [channel] = openChannels(net.chain, [[x, y]]) as [TestChannel];
    const node = await net.node('alice', { limits: { maxFalseAnnouncements: 10_000 } });
    const [liar, honest] = [net.stranger('liar'), net.stranger('honest')];
    net.connect(node, liar);
    net.connect(node, honest);
    await net.settle();
    net.say(liar, node, ...forged(300, 40));
    net.say(honest, node, ...gossipOf(channel));
    net.turns = 0;
    let learnedAt = 0;
    net.afterTurn = () => {
      if (learnedAt === 0 && node.graph.channelCount === 1) learnedAt = net.turns;
    };
    await net.settle();
    expect(learnedAt).toBeGreaterThan(0);
    expect(learnedAt).toBeLessThan(8);
    expect(net.turns).toBeGreaterThan((300 * 4) / limits.signaturesPerSlice / 2);
  });

  test('take a bounded part of memory, and drop what has no room', async () => {
    const { net, channel, node } = await informed(new GossipNet());
    const floods = strangers(net, 6);
    const update = updateOf(channel, x);
    let most = 0;
    net.afterTurn = () => {
      most = Math.max(most, node.service.usage().queuedBytes);
    };
    for (const [n, peer] of floods.entries()) {
      net.connect(node, peer);
      // Each could be a genuine update of the channel.
      const updates = Array.from({ length: 10_000 }, (_, i) => ({
        ...update,
        timestamp: startSeconds - i - n,
      }));
      net.say(peer, node, ...updates);
    }
    await net.settle();
    expect(most).toBeGreaterThan(limits.maxQueuedBytes - 2_000);
    expect(most).toBeLessThanOrEqual(limits.maxQueuedBytes);
    expect(node.service.status().dropped).toBeGreaterThan(10_000);
    expect(node.service.status().pendingVerification).toBe(0);
  });

  test('signatures are checked in small slices, and of an unasked peer at a bounded rate', async () => {
    const net = new GossipNet();
    const channels = openChannels(
      net.chain,
      Array.from({ length: 60 }, () => [x, y] as [typeof x, typeof y]),
    );
    const node = await net.node('alice', {
      limits: { signaturesPerSlice: 10, signaturesPerPeer: { capacity: 100, perSecond: 20 } },
    });
    const peer = net.stranger('peer');
    net.connect(node, peer);
    net.say(peer, node, ...channels.map(({ announcement }) => announcement));
    await net.settle();
    // 25 announcements and one, for which there was nothing left.
    expect(node.service.status()).toMatchObject({ channels: 26, pendingVerification: 34 });
    expect(net.turns).toBeGreaterThanOrEqual(8);
    for (let second = 0; second < 12; second++) await net.advance(1_000);
    expect(node.service.status()).toMatchObject({ channels: 60, pendingVerification: 0 });
  });

  test('messages that are longer than any honest one are ignored', async () => {
    const { net, channel, node, source } = await informed();
    const extension = new Uint8Array(60_000);
    net.say(source, node, { ...updateOf(channel, x, { timestamp: startSeconds - 5 }), extension });
    net.say(source, node, { ...announcementOf(x, z, channel.shortChannelId + 65_536n), extension });
    await net.settle();
    expect(node.service.status()).toMatchObject({ channels: 1, premature: 0 });
    expect(net.isConnected(node, source)).toBe(true);
  });

  test('answers that nobody asked for are dropped unseen', async () => {
    const { net, node, source } = await informed();
    const shortChannelIds = Array.from({ length: 8_000 }, (_, i) => BigInt(i + 1) << 40n);
    for (let i = 0; i < 50; i++) {
      net.say(source, node, {
        type: 'reply_channel_range',
        chainHash,
        firstBlocknum: 0,
        numberOfBlocks: 1_000,
        syncComplete: 0,
        shortChannelIds,
      });
    }
    await net.settle();
    expect(net.heard(source, node, 'query_short_channel_ids')).toEqual([]);
    expect(node.service.usage()).toMatchObject({ queued: 0, queuedBytes: 0 });
  });

  test('many updates of one channel leave nothing behind but the last', async () => {
    const { net, channel, node, source } = await informed();
    for (let round = 0; round < 20; round++) {
      const timestamp = startSeconds - 90 + round;
      net.say(source, node, ...Array.from({ length: 100 }, () => updateOf(channel, x, { timestamp })));
      await net.settle();
    }
    expect(node.service.usage()).toMatchObject({ queued: 0, premature: 0, young: 0, fundingChecks: 0 });
    expect(node.service.usage().news).toBeLessThanOrEqual(5);
    expect(node.store.channelCount).toBe(1);
  });
});
