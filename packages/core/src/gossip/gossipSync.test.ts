import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Message, type ReplyChannelRange, toShortChannelId } from '../wire/index.js';
import { GossipError } from './gossipError.js';
import { CHANNELS_PER_QUERY, GossipSync, MAX_RANGE_CHANNELS, MAX_RANGE_REPLIES } from './gossipSync.js';
import { STALE_AFTER_SECONDS } from './gossipTime.js';
import { QUERY_ALL, wantedFlags } from './queryFlags.js';
import { QueryResponder } from './queryResponder.js';
import {
  chainHash,
  MemoryGossip,
  nowSeconds,
  otherChainHash,
  overTheWire,
  type UnsignedChannel,
} from './samples.test.support.js';

const id = (blockHeight: number, txIndex = 0) => toShortChannelId({ blockHeight, txIndex, outputIndex: 0 });
const wholeChain = { firstBlocknum: 0, numberOfBlocks: 0xffff_ffff };

const syncFor = (local: MemoryGossip, extended: boolean) =>
  new GossipSync({
    chainHash,
    extended,
    wanted: (remote) => wantedFlags(remote, local.entry(remote.shortChannelId), nowSeconds),
  });

/** Wants all it hears of. */
const greedy = () => new GossipSync({ chainHash, extended: true, wanted: () => QUERY_ALL });

/** Lets `local` ask `remote` for all that it lacks; gives the queries that were sent. */
function synchronise(local: MemoryGossip, remote: MemoryGossip, extended: boolean): Message[] {
  const sync = syncFor(local, extended);
  const responder = new QueryResponder({ chainHash, source: remote, isSynced: () => true });
  const queries: Message[] = [];
  let step = sync.start(wholeChain);
  while (!step.done) {
    expect(step.fault).toBeUndefined();
    expect(step.send.length).toBeLessThanOrEqual(1);
    for (const message of step.send) {
      const query = overTheWire(message);
      queries.push(query);
      if (query.type !== 'query_channel_range' && query.type !== 'query_short_channel_ids')
        throw new Error(query.type);
      expect(responder.receive(query)).toBeUndefined();
    }
    const answer = responder.step(0);
    expect(answer.type).not.toBe('idle');
    step = { send: [], done: false };
    if (answer.type !== 'send') continue;
    const message = overTheWire(answer.message);
    if (message.type === 'reply_channel_range' || message.type === 'reply_short_channel_ids_end') {
      step = sync.receive(message);
    } else {
      local.take(message);
    }
  }
  expect(step.fault).toBeUndefined();
  expect(sync.isBusy).toBe(false);
  expect(sync.waiting).toBe(0);
  return queries;
}

const reply = (change: Partial<ReplyChannelRange> = {}): ReplyChannelRange => ({
  type: 'reply_channel_range',
  chainHash,
  firstBlocknum: 100,
  numberOfBlocks: 100,
  syncComplete: 1,
  shortChannelIds: [],
  ...change,
});
const end = (fullInformation = 1, chain = chainHash) =>
  ({ type: 'reply_short_channel_ids_end', chainHash: chain, fullInformation }) as const;

/** A synchronisation of the blocks 100 to 199 that has just begun. */
function started(sync = greedy()): GossipSync {
  sync.start({ firstBlocknum: 100, numberOfBlocks: 100 });
  return sync;
}

describe('two nodes', () => {
  const timestamp = fc.constantFrom(
    0,
    nowSeconds - STALE_AFTER_SECONDS - 5,
    nowSeconds - 300,
    nowSeconds - 20,
    nowSeconds,
  );
  const pair = <T>(arbitrary: fc.Arbitrary<T>) => fc.tuple(arbitrary, arbitrary);
  const channels = fc.uniqueArray(
    fc.record({
      shortChannelId: fc.tuple(fc.nat(30), fc.nat(3)).map(([block, index]) => id(block, index)),
      timestamps: pair(timestamp),
      fees: pair(fc.nat(2)),
      nodes: pair(fc.nat(9)),
    }),
    { selector: (channel) => channel.shortChannelId, maxLength: 60 },
  );

  test('with any channels: each gets exactly what it lacks and the other has', () => {
    fc.assert(
      fc.property(channels, channels, (ours, theirs) => {
        const local = new MemoryGossip().add(...ours);
        const remote = new MemoryGossip().add(...theirs);
        const before = new Map([...local.channels.keys()].map((known) => [known, local.entry(known)]));
        synchronise(local, remote, true);
        for (const known of remote.channels.keys()) {
          const theirEntry = remote.entry(known);
          const fresh = (theirEntry?.timestamps ?? []).map(
            (at) => at > 0 && at >= nowSeconds - STALE_AFTER_SECONDS,
          );
          // A channel that nobody speaks of any more is not worth its place.
          expect(local.channels.has(known)).toBe(before.has(known) || fresh.includes(true));
          for (const direction of [0, 1] as const) {
            const had = before.get(known)?.timestamps[direction] ?? 0;
            const theirs = theirEntry?.timestamps[direction] ?? 0;
            const same =
              had !== 0 && before.get(known)?.checksums[direction] === theirEntry?.checksums[direction];
            const updated =
              fresh[direction] === true && theirs > had && (!same || had < nowSeconds - 604_800);
            expect(local.entry(known)?.timestamps[direction] ?? 0).toBe(updated ? theirs : had);
          }
        }
        // The second time there is nothing left to ask for.
        expect(synchronise(local, remote, true)).toHaveLength(1);
      }),
      { numRuns: 60 },
    );
  });

  test('where one does not know extended queries: each unknown channel is fetched in full', () => {
    fc.assert(
      fc.property(channels, channels, (ours, theirs) => {
        const local = new MemoryGossip().add(...ours);
        const remote = new MemoryGossip().add(...theirs);
        const queries = synchronise(local, remote, false);
        expect(JSON.stringify(queries, (_, value) => (typeof value === 'bigint' ? 0 : value))).not.toMatch(
          /queryFlags|queryOption/,
        );
        for (const known of remote.channels.keys()) expect(local.channels.has(known)).toBe(true);
        expect(synchronise(local, remote, false)).toHaveLength(1);
      }),
      { numRuns: 30 },
    );
  });

  test('with thousands of channels, many in one block: all arrive, some at a time', () => {
    const many: UnsignedChannel[] = Array.from({ length: 7000 }, (_, i) => ({
      shortChannelId: i < 4500 ? id(77, i) : id(i),
      timestamps: [nowSeconds, nowSeconds - 1],
      nodes: [i % 50, 50 + (i % 70)],
    }));
    const local = new MemoryGossip().add(...many.slice(100, 200));
    const remote = new MemoryGossip().add(...many);
    const queries = synchronise(local, remote, true);
    expect([...local.channels.keys()].toSorted()).toEqual([...remote.channels.keys()].toSorted());
    expect(local.updates.size).toBe(remote.updates.size);
    expect(local.nodes.size).toBe(remote.nodes.size);
    expect(queries).toHaveLength(1 + Math.ceil(6900 / CHANNELS_PER_QUERY));
  });
});

describe('a synchronisation', () => {
  test('asks for a range, then for its channels, and is done with the end of the last answer', () => {
    const sync = greedy();
    expect(sync.start({ firstBlocknum: 100, numberOfBlocks: 100 })).toEqual({
      send: [
        { type: 'query_channel_range', chainHash, firstBlocknum: 100, numberOfBlocks: 100, queryOption: 3n },
      ],
      done: false,
    });
    expect(sync.isBusy).toBe(true);
    const first = reply({ numberOfBlocks: 50, syncComplete: 0, shortChannelIds: [id(120)] });
    expect(sync.receive(first)).toEqual({ send: [], done: false });
    const last = reply({ firstBlocknum: 150, numberOfBlocks: 50, shortChannelIds: [id(150)] });
    expect(sync.receive(last)).toEqual({
      send: [
        {
          type: 'query_short_channel_ids',
          chainHash,
          shortChannelIds: [id(120), id(150)],
          queryFlags: [31n, 31n],
        },
      ],
      done: false,
    });
    expect(sync.receive(end())).toEqual({ send: [], done: true });
    expect(sync.isComplete).toBe(true);
    expect(sync.isBusy).toBe(false);
  });

  test('is done at once where nothing is wanted', () => {
    expect(started().receive(reply())).toEqual({ send: [], done: true });
  });

  test('knows when the peer does not claim full information', () => {
    const sync = started();
    sync.receive(reply({ shortChannelIds: [id(120)] }));
    expect(sync.receive(end(0))).toMatchObject({ done: true });
    expect(sync.isComplete).toBe(false);
  });

  test('ends neither with the end of the range alone nor with sync_complete alone', () => {
    const split = started();
    expect(split.receive(reply({ syncComplete: 0, shortChannelIds: [id(199)] }))).toEqual({
      send: [],
      done: false,
    });
    const more = reply({ firstBlocknum: 199, numberOfBlocks: 1, shortChannelIds: [id(199, 1)] });
    expect(split.receive(more).send).toMatchObject([{ shortChannelIds: [id(199), id(199, 1)] }]);
    // As if sync_complete were set in each reply.
    const always = started();
    expect(always.receive(reply({ numberOfBlocks: 50 }))).toEqual({ send: [], done: false });
    expect(always.receive(reply({ firstBlocknum: 150 }))).toEqual({ send: [], done: true });
  });

  test('takes replies that reach out of the range or overlap, and of them what was asked for, once', () => {
    const sync = started();
    sync.receive(
      reply({ firstBlocknum: 0, numberOfBlocks: 150, syncComplete: 0, shortChannelIds: [id(99), id(140)] }),
    );
    const last = reply({
      firstBlocknum: 100,
      numberOfBlocks: 1000,
      shortChannelIds: [id(140), id(199), id(200)],
    });
    expect(sync.receive(last).send).toMatchObject([{ shortChannelIds: [id(140), id(199)] }]);
  });

  test('can ask for a single channel between, but never for two things at once', () => {
    const sync = greedy();
    expect(sync.request(id(5), 1).send).toMatchObject([{ shortChannelIds: [id(5)], queryFlags: [1n] }]);
    expect(sync.request(id(9), 1).send).toEqual([]);
    expect(sync.request(id(7), 2).send).toEqual([]);
    expect(sync.request(id(9), 4).send).toEqual([]);
    expect(sync.receive(end()).send).toMatchObject([
      { shortChannelIds: [id(7), id(9)], queryFlags: [2n, 5n] },
    ]);
    expect(sync.receive(end())).toEqual({ send: [], done: true });
  });

  test('cannot be started twice at once, or over no blocks', () => {
    const sync = started();
    expect(() => sync.start(wholeChain)).toThrow(GossipError);
    expect(() => greedy().start({ firstBlocknum: 1, numberOfBlocks: 0 })).toThrow(GossipError);
    sync.receive(reply());
    expect(sync.start(wholeChain).send).toHaveLength(1);
  });
});

describe('a peer that answers wrongly', () => {
  const over = (fault: string, punish = 'warn_and_close') => ({
    send: [],
    done: true,
    fault: { fault, punish },
  });

  test('is refused, and nothing of it is kept', () => {
    const wrong: [Partial<ReplyChannelRange>, string][] = [
      [{ chainHash: otherChainHash }, 'chain_unknown'],
      [{ shortChannelIds: [id(120), id(120)] }, 'reply_invalid'],
      [{ shortChannelIds: [id(130), id(120)] }, 'reply_invalid'],
      [{ shortChannelIds: [id(120)], timestamps: [] }, 'reply_invalid'],
      [{ checksums: [{ checksumNodeId1: 1, checksumNodeId2: 1 }] }, 'reply_invalid'],
      [{ firstBlocknum: 101 }, 'reply_out_of_range'],
      [{ firstBlocknum: 0, numberOfBlocks: 100 }, 'reply_out_of_range'],
    ];
    for (const [change, fault] of wrong) {
      const sync = started();
      expect(sync.receive(reply(change)), fault).toEqual(over(fault));
      expect(sync.isBusy).toBe(false);
      expect(sync.waiting).toBe(0);
    }
  });

  test('cannot go back, nor go on past the range', () => {
    for (const firstBlocknum of [119, 200]) {
      const sync = started();
      sync.receive(reply({ numberOfBlocks: 20, syncComplete: 0 }));
      sync.receive(reply({ firstBlocknum: 120, numberOfBlocks: 20, syncComplete: 0 }));
      expect(sync.receive(reply({ firstBlocknum }))).toEqual(over('reply_out_of_range'));
    }
  });

  test('is ignored where nothing was asked', () => {
    const expected = { send: [], done: false, fault: { fault: 'reply_unexpected', punish: 'ignore' } };
    expect(greedy().receive(reply())).toEqual(expected);
    expect(greedy().receive(end())).toEqual(expected);
    const sync = started();
    expect(sync.receive(end())).toEqual(expected);
    expect(sync.isBusy).toBe(true);
  });

  test('or of another chain ends the query for channels', () => {
    const sync = started();
    sync.receive(reply({ shortChannelIds: [id(120)] }));
    expect(sync.receive(end(1, otherChainHash))).toEqual(over('chain_unknown'));
  });

  test('is left alone when it is silent; what it told before is used', () => {
    expect(started().timeout()).toEqual(over('peer_silent', 'ignore'));
    const partly = started();
    partly.receive(reply({ syncComplete: 0, shortChannelIds: [id(120)] }));
    expect(partly.timeout().send).toMatchObject([{ shortChannelIds: [id(120)] }]);
    expect(partly.isComplete).toBe(false);
    expect(partly.timeout()).toEqual(over('peer_silent', 'ignore'));
    expect(greedy().timeout()).toEqual({ send: [], done: false });
  });

  test('cannot keep a range going without end: one block, or none, at a time', () => {
    for (const advance of [0, 1]) {
      const sync = greedy();
      sync.start(wholeChain);
      let replies = 0;
      let step = { done: false } as ReturnType<GossipSync['receive']>;
      while (!step.done && replies < 5000) {
        const firstBlocknum = replies++ * advance;
        step = sync.receive(reply({ firstBlocknum, numberOfBlocks: 1, syncComplete: 0 }));
      }
      expect(replies).toBe(MAX_RANGE_REPLIES + 1);
      expect(step).toEqual(over('reply_endless'));
    }
  });

  test('cannot fill our memory with channels that it makes up', () => {
    const sync = greedy();
    sync.start(wholeChain);
    let told = 0;
    let most = 0;
    for (let block = 0; ; block++) {
      const shortChannelIds = Array.from({ length: 8000 }, (_, index) => id(block, index));
      told += 8000;
      const step = sync.receive(
        reply({ firstBlocknum: block, numberOfBlocks: 1, syncComplete: 0, shortChannelIds }),
      );
      most = Math.max(most, sync.waiting);
      if (!step.done) continue;
      expect(step).toEqual(over('reply_endless'));
      break;
    }
    expect(told).toBeLessThan(MAX_RANGE_CHANNELS + 8001);
    expect(most).toBeLessThanOrEqual(MAX_RANGE_CHANNELS);
    expect(sync.waiting).toBe(0);
  });

  test('cannot make us collect single channels without bound', () => {
    const sync = greedy();
    for (let i = 0; i < MAX_RANGE_CHANNELS + 10; i++) sync.request(BigInt(i), 1);
    expect(sync.waiting).toBe(MAX_RANGE_CHANNELS);
  });

  test('never makes us loop, send two queries at once or keep anything when it is over', () => {
    const block = fc.oneof(fc.integer({ min: 90, max: 210 }), fc.nat(0xffff_ffff));
    const answer = fc.oneof(
      fc
        .record({
          firstBlocknum: block,
          numberOfBlocks: block,
          syncComplete: fc.nat(2),
          shortChannelIds: fc
            .array(
              fc.oneof(
                fc.integer({ min: 90, max: 210 }).map((at) => id(at)),
                fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
              ),
              {
                maxLength: 5,
              },
            )
            .chain((ids) =>
              fc.constantFrom(
                ids,
                ids.toSorted((a, b) => (a < b ? -1 : 1)),
              ),
            ),
          chainHash: fc.constantFrom(chainHash, chainHash, chainHash, otherChainHash),
        })
        .map((change) => reply(change)),
      fc.constant(end()),
      fc.constant('timeout' as const),
    );
    fc.assert(
      fc.property(fc.array(answer, { maxLength: 40 }), (answers) => {
        const sync = started();
        let open = 1;
        for (const one of answers) {
          const before = sync.isBusy;
          const step = one === 'timeout' ? sync.timeout() : sync.receive(overTheWire(one));
          expect(step.send.length).toBeLessThanOrEqual(1);
          open = step.send.length > 0 ? 1 : step.done ? 0 : open;
          expect(sync.isBusy).toBe(open === 1);
          if (step.done) expect(before).toBe(true);
          if (step.done) expect(sync.waiting).toBe(0);
        }
      }),
      { numRuns: 300 },
    );
  });
});
