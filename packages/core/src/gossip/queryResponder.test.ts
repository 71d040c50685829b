import { describe, expect, test } from 'vitest';
import {
  type GossipTimestampFilter,
  type Message,
  type QueryChannelRange,
  type QueryShortChannelIds,
  toShortChannelId,
} from '../wire/index.js';
import { QueryResponder } from './queryResponder.js';
import { chainHash, MemoryGossip, nowSeconds, otherChainHash, overTheWire } from './samples.test.support.js';

const id = (blockHeight: number, txIndex = 0) => toShortChannelId({ blockHeight, txIndex, outputIndex: 0 });
const channel = (block: number, nodes: readonly [number, number] = [1, 2]) => ({
  shortChannelId: id(block),
  timestamps: [nowSeconds, nowSeconds - 100] as const,
  nodes,
});
/** Channels in the blocks 1, 2, 3, ... */
const network = (count: number) =>
  new MemoryGossip().add(...Array.from({ length: count }, (_, i) => channel(i + 1, [i, i + 1])));

const respond = (source: MemoryGossip, isSynced = true) =>
  new QueryResponder({ chainHash, source, isSynced: () => isSynced });

const range = (change: Partial<QueryChannelRange> = {}): QueryChannelRange => ({
  type: 'query_channel_range',
  chainHash,
  firstBlocknum: 0,
  numberOfBlocks: 1000,
  ...change,
});
const ask = (
  shortChannelIds: readonly bigint[],
  change: Partial<QueryShortChannelIds> = {},
): QueryShortChannelIds => ({ type: 'query_short_channel_ids', chainHash, shortChannelIds, ...change });
const filter = (change: Partial<GossipTimestampFilter> = {}): GossipTimestampFilter => ({
  type: 'gossip_timestamp_filter',
  chainHash,
  firstTimestamp: 0,
  timestampRange: 0xffff_ffff,
  ...change,
});

/** All that it sends, at one moment. */
function pull(responder: QueryResponder<Message>, nowMs = 0): Message[] {
  const sent: Message[] = [];
  for (let step = responder.step(nowMs); step.type !== 'idle'; step = responder.step(nowMs)) {
    if (step.type === 'send') sent.push(overTheWire(step.message));
    else if (step.ms > 0) break;
  }
  return sent;
}

const types = (messages: readonly Message[]) => messages.map(({ type }) => type);

describe('query_channel_range', () => {
  test('is answered from the store, page by page', () => {
    const responder = respond(network(600));
    expect(responder.receive(range({ firstBlocknum: 10, numberOfBlocks: 500 }))).toBeUndefined();
    const [reply, ...more] = pull(responder);
    expect(more).toEqual([]);
    expect(reply).toMatchObject({ type: 'reply_channel_range', firstBlocknum: 10, numberOfBlocks: 500 });
    expect(reply).toMatchObject({ shortChannelIds: Array.from({ length: 500 }, (_, i) => id(10 + i)) });
    expect(responder.isBusy).toBe(false);
  });

  test('of another chain, or of blocks that no id can name, is answered with nothing', () => {
    for (const asked of [range({ chainHash: otherChainHash }), range({ firstBlocknum: 2 ** 24 })]) {
      const responder = respond(network(3));
      responder.receive(asked);
      expect(pull(responder)).toMatchObject([
        {
          chainHash: asked.chainHash,
          shortChannelIds: [],
          syncComplete: 1,
          firstBlocknum: asked.firstBlocknum,
        },
      ]);
    }
  });

  test('is answered once at a time; the next may come with the last reply', () => {
    const responder = respond(network(3));
    responder.receive(range());
    expect(responder.receive(range())).toEqual({ fault: 'query_outstanding', punish: 'warn_and_close' });
    expect(responder.step(0)).toMatchObject({ type: 'send', message: { syncComplete: 1 } });
    expect(responder.receive(range())).toBeUndefined();
    expect(pull(responder)).toHaveLength(1);
  });
});

describe('query_short_channel_ids', () => {
  test('is answered with all of each known channel, each node once, and an end', () => {
    const responder = respond(network(5));
    responder.receive(ask([id(1), id(2), id(77)]));
    expect(types(pull(responder))).toEqual([
      'channel_announcement',
      'channel_update',
      'channel_update',
      'node_announcement',
      'node_announcement',
      'channel_announcement',
      'channel_update',
      'channel_update',
      'node_announcement',
      'reply_short_channel_ids_end',
    ]);
  });

  test('is answered with what its flags ask for', () => {
    const kinds = [
      [1n, 'channel_announcement'],
      [2n, 'channel_update'],
      [4n, 'channel_update'],
      [8n, 'node_announcement'],
      [16n, 'node_announcement'],
      [2n ** 63n, undefined],
      [0n, undefined],
    ] as const;
    for (const [flag, type] of kinds) {
      const responder = respond(network(1));
      responder.receive(ask([id(1)], { queryFlags: [flag] }));
      const [first, ...rest] = pull(responder);
      if (type === undefined) expect(rest).toEqual([]);
      else expect(types([first as Message, ...rest])).toEqual([type, 'reply_short_channel_ids_end']);
      if (first?.type === 'channel_update') expect(first.channelFlags).toBe(flag === 2n ? 0 : 1);
    }
  });

  test('says whether we know all, and of another chain that we do not', () => {
    const end = (synced: boolean, chain: Uint8Array) => {
      const responder = respond(network(1), synced);
      responder.receive(ask([id(1)], { chainHash: chain }));
      return pull(responder).at(-1);
    };
    expect(end(true, chainHash)).toMatchObject({ type: 'reply_short_channel_ids_end', fullInformation: 1 });
    expect(end(false, chainHash)).toMatchObject({ fullInformation: 0 });
    expect(end(true, otherChainHash)).toMatchObject({ fullInformation: 0, chainHash: otherChainHash });
  });

  test('with ids that do not ascend, or flags that do not fit them, is refused', () => {
    for (const query of [
      ask([id(2), id(1)]),
      ask([id(1), id(1)]),
      ask([id(1), id(2)], { queryFlags: [1n] }),
      ask([], { queryFlags: [1n] }),
    ]) {
      const responder = respond(network(1));
      expect(responder.receive(query)).toEqual({ fault: 'query_invalid', punish: 'warn_and_close' });
      expect(responder.isBusy).toBe(false);
    }
  });

  test('threat 20: a second one is refused while the first is answered, and one step looks at a part only', () => {
    const source = network(10);
    const responder = respond(source);
    const many = Array.from({ length: 8000 }, (_, i) => id(100_000 + i));
    expect(responder.receive(overTheWire(ask(many)))).toBeUndefined();
    expect(source.read).toBe(0);
    for (let i = 0; i < 100; i++) {
      expect(responder.receive(ask(many))).toEqual({ fault: 'query_outstanding', punish: 'warn_and_close' });
    }
    expect(responder.step(0)).toEqual({ type: 'wait', ms: 0 });
    expect(source.read).toBeLessThan(300);
    expect(types(pull(responder))).toEqual(['reply_short_channel_ids_end']);
    expect(source.read).toBe(8000);
  });
});

describe('gossip_timestamp_filter', () => {
  test('sends each channel before its updates, and all channels before the nodes', () => {
    const responder = respond(network(600));
    expect(responder.filter).toBeUndefined();
    responder.receive(filter());
    const sent = types(pull(responder));
    expect(sent.slice(0, 4)).toEqual([
      'channel_announcement',
      'channel_update',
      'channel_update',
      'channel_announcement',
    ]);
    expect(sent.slice(0, 1800)).not.toContain('node_announcement');
    expect(sent.slice(1800)).toEqual(Array.from({ length: 601 }, () => 'node_announcement'));
  });

  test('sends what passes it', () => {
    const source = new MemoryGossip().add(channel(1), {
      shortChannelId: id(2),
      timestamps: [50, 0],
      nodes: [8, 9],
    });
    const responder = respond(source);
    responder.receive(filter({ firstTimestamp: nowSeconds - 50 }));
    expect(types(pull(responder))).toEqual([
      'channel_announcement',
      'channel_update',
      'node_announcement',
      'node_announcement',
    ]);
    expect(responder.filter?.passesTimestamp(nowSeconds - 51)).toBe(false);
  });

  test('of another chain changes nothing', () => {
    const responder = respond(network(2));
    responder.receive(filter({ chainHash: otherChainHash }));
    expect(responder.filter).toBeUndefined();
    expect(responder.isBusy).toBe(false);
  });

  test('threat 22: a channel without an update is not sent, whatever the filter', () => {
    const responder = respond(new MemoryGossip().add({ shortChannelId: id(1), timestamps: [0, 0] }));
    responder.receive(filter());
    expect(pull(responder)).toEqual([]);
  });

  test('tells what the backlog will still come by, so that nothing is missed or sent before its channel', () => {
    const source = network(3);
    const responder = respond(source);
    responder.receive(filter());
    expect(responder.isChannelAhead(id(1))).toBe(true);
    expect(responder.isNodeAhead('02')).toBe(true);
    for (let i = 0; i < 4; i++) responder.step(0);
    // The first channel was sent in full, and of the second its announcement.
    expect([1, 2, 3].map((block) => responder.isChannelAhead(id(block)))).toEqual([false, false, true]);
    source.take({
      ...(source.updates.get(`${id(3)}/0`) as Message & { type: 'channel_update' }),
      timestamp: 9 + nowSeconds,
    });
    const sent = pull(responder);
    expect(
      sent.some((message) => message.type === 'channel_update' && message.timestamp === nowSeconds + 9),
    ).toBe(true);
    expect(responder.isChannelAhead(id(3))).toBe(false);
    expect(responder.isNodeAhead('02')).toBe(false);
  });

  test('does not say that it will come by a channel that it looked at and left out', () => {
    const source = network(3).add({ shortChannelId: id(4), timestamps: [50, 60] });
    const responder = respond(source);
    responder.receive(filter({ firstTimestamp: 100 }));
    expect(responder.isChannelAhead(id(4))).toBe(true);
    responder.step(0);
    expect(responder.isChannelAhead(id(3))).toBe(true);
    // An update of it that comes now has to be sent as it comes.
    expect(responder.isChannelAhead(id(4))).toBe(false);
  });

  test('threat 19: any number of them from a peer that does not read costs nothing and leaves one backlog', () => {
    const source = network(20);
    const responder = respond(source);
    for (let i = 0; i < 10_000; i++) responder.receive(filter());
    expect(source.read).toBe(0);
    const sent = types(pull(responder));
    expect(sent.filter((type) => type === 'channel_announcement')).toHaveLength(20);
    expect(responder.isBusy).toBe(false);
  });

  test('threat 19: a new one drops what is left of the backlog of the last', () => {
    const responder = respond(network(20));
    responder.receive(filter());
    responder.step(0);
    responder.receive(filter({ timestampRange: 1 }));
    expect(pull(responder)).toEqual([]);
    expect(responder.filter?.passesTimestamp(nowSeconds)).toBe(false);
  });

  test('threat 19: one after each backlog that was read makes us look at a bounded number of records a second', () => {
    const source = network(500);
    const responder = respond(source);
    const flood = (nowMs: number) => {
      const before = source.read;
      for (let i = 0; i < 400; i++) {
        responder.receive(filter({ firstTimestamp: 1, timestampRange: 1 }));
        pull(responder, nowMs);
      }
      return source.read - before;
    };
    expect(flood(0)).toBeLessThan(260_000);
    expect(flood(1000)).toBeLessThan(6_000);
    expect(responder.step(1000)).toMatchObject({ type: 'wait' });
    expect((responder.step(1000) as { ms: number }).ms).toBeGreaterThan(0);
    // Later it is served again.
    responder.receive(filter());
    expect(pull(responder, 120_000).length).toBeGreaterThan(500);
  });
});

test('what was asked for goes before the backlog', () => {
  const responder = respond(network(3));
  responder.receive(filter());
  responder.step(0);
  responder.receive(ask([]));
  responder.receive(range());
  expect(types(pull(responder)).slice(0, 3)).toEqual([
    'reply_channel_range',
    'reply_short_channel_ids_end',
    'channel_update',
  ]);
});
