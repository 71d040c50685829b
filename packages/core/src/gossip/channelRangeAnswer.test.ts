import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  encodeMessage,
  fromShortChannelId,
  type QueryChannelRange,
  toShortChannelId,
} from '../wire/index.js';
import { answerChannelRange, CHANNELS_PER_REPLY } from './channelRangeAnswer.js';
import type { RangeEntry } from './queryFlags.js';
import { chainHash, overTheWire } from './samples.test.support.js';

const query = (firstBlocknum: number, numberOfBlocks: number, queryOption?: bigint): QueryChannelRange => ({
  type: 'query_channel_range',
  chainHash,
  firstBlocknum,
  numberOfBlocks,
  ...(queryOption !== undefined && { queryOption }),
});

const entry = (blockHeight: number, txIndex = 0): RangeEntry => ({
  shortChannelId: toShortChannelId({ blockHeight, txIndex, outputIndex: 0 }),
  timestamps: [blockHeight, txIndex],
  checksums: [7, txIndex],
});

/** So many channels in each of these blocks. */
const blocks = (counts: Readonly<Record<number, number>>) =>
  Object.entries(counts).flatMap(([block, count]) =>
    Array.from({ length: count }, (_, index) => entry(Number(block), index)),
  );

const answer = (asked: QueryChannelRange, channels: readonly RangeEntry[]) =>
  [...answerChannelRange({ query: asked, channels })].map(overTheWire);

/** The rules of BOLT 7 for the receiver of query_channel_range, over all replies. */
function expectToCover(asked: QueryChannelRange, channels: readonly RangeEntry[]): void {
  const replies = answer(asked, channels);
  const end = asked.firstBlocknum + asked.numberOfBlocks;
  expect(replies[0]?.firstBlocknum).toBe(asked.firstBlocknum);
  replies.forEach((reply, at) => {
    const replyEnd = reply.firstBlocknum + reply.numberOfBlocks;
    const next = replies[at + 1];
    expect(encodeMessage(reply).length).toBeLessThan(49_000);
    expect(reply.numberOfBlocks).toBeGreaterThan(0);
    expect(reply.syncComplete).toBe(next === undefined ? 1 : 0);
    for (const id of reply.shortChannelIds) {
      const { blockHeight } = fromShortChannelId(id);
      expect(blockHeight >= reply.firstBlocknum && blockHeight < replyEnd).toBe(true);
    }
    if (next === undefined) expect(replyEnd).toBe(end);
    // The next goes on where this one ended, or within its last block.
    else expect([replyEnd, replyEnd - 1]).toContain(next.firstBlocknum);
  });
  const inRange = channels.filter(({ shortChannelId }) => {
    const { blockHeight } = fromShortChannelId(shortChannelId);
    return blockHeight >= asked.firstBlocknum && blockHeight < end;
  });
  expect(replies.flatMap((reply) => reply.shortChannelIds)).toEqual(inRange.map((one) => one.shortChannelId));
}

describe('the answer to query_channel_range', () => {
  test('is one reply over the whole range where there is no channel', () => {
    expect(answer(query(100, 50), [])).toEqual([
      {
        type: 'reply_channel_range',
        chainHash,
        firstBlocknum: 100,
        numberOfBlocks: 50,
        syncComplete: 1,
        shortChannelIds: [],
      },
    ]);
  });

  test('leaves out what is outside of the range', () => {
    const [reply] = answer(query(100, 50), blocks({ 99: 1, 100: 2, 149: 1, 150: 1 }));
    expect(reply?.shortChannelIds).toEqual(
      [entry(100), entry(100, 1), entry(149)].map((one) => one.shortChannelId),
    );
  });

  test('has timestamps and checksums where they are asked for', () => {
    const channels = blocks({ 100: 2 });
    expect(answer(query(0, 200, 0n), channels)[0]).not.toHaveProperty('timestamps');
    expect(answer(query(0, 200, 1n), channels)[0]).not.toHaveProperty('checksums');
    expect(answer(query(0, 200, 3n), channels)[0]).toMatchObject({
      timestamps: [
        { timestampNodeId1: 100, timestampNodeId2: 0 },
        { timestampNodeId1: 100, timestampNodeId2: 1 },
      ],
      checksums: [
        { checksumNodeId1: 7, checksumNodeId2: 0 },
        { checksumNodeId1: 7, checksumNodeId2: 1 },
      ],
    });
  });

  test('is cut between blocks, so that replies do not overlap', () => {
    const replies = answer(query(0, 1000, 3n), blocks({ 10: 1500, 20: 1000, 30: 10 }));
    expect(
      replies.map((reply) => [reply.firstBlocknum, reply.numberOfBlocks, reply.shortChannelIds.length]),
    ).toEqual([
      [0, 11, 1500],
      [11, 989, 1010],
    ]);
  });

  test('splits a block that alone fills a reply', () => {
    const replies = answer(query(0, 31, 3n), blocks({ 30: 2 * CHANNELS_PER_REPLY + 5 }));
    expect(
      replies.map((reply) => [reply.firstBlocknum, reply.numberOfBlocks, reply.shortChannelIds.length]),
    ).toEqual([
      [0, 31, CHANNELS_PER_REPLY],
      [30, 1, CHANNELS_PER_REPLY],
      [30, 1, 5],
    ]);
    expect(replies.map(({ syncComplete }) => syncComplete)).toEqual([0, 0, 1]);
  });

  test('covers the range by the rules, whatever is in it', () => {
    const counts = fc.dictionary(
      fc.nat(40).map(String),
      fc.oneof(fc.nat(20), fc.constantFrom(1999, 2000, 2001, 4001)),
      { maxKeys: 6 },
    );
    fc.assert(
      fc.property(counts, fc.nat(40), fc.integer({ min: 1, max: 60 }), (perBlock, first, count) => {
        expectToCover(query(first, count, 3n), blocks(perBlock));
      }),
      { numRuns: 40 },
    );
  });

  test('holds for the highest numbers that a query can have', () => {
    expectToCover(query(0, 0xffff_ffff, 3n), blocks({ 0: 3, 16777215: 5 }));
    expectToCover(query(0xffff_ffff, 0xffff_ffff), blocks({ 16777215: 5 }));
    expect(answer(query(5, 0), blocks({ 5: 1 }))[0]).toMatchObject({ firstBlocknum: 5, numberOfBlocks: 1 });
  });

  test('threat 20: is made as it is taken: nothing is read ahead of a reply', () => {
    let read = 0;
    function* channels() {
      for (let block = 0; block < 100_000; block++) {
        read++;
        yield entry(block);
      }
    }
    const replies = answerChannelRange({ query: query(0, 100_000), channels: channels() });
    expect(read).toBe(0);
    replies.next();
    expect(read).toBe(CHANNELS_PER_REPLY + 1);
  });
});
