import { describe, expect, test } from 'vitest';
import { verifyChannelUpdate } from './channelUpdates.js';
import { GossipRateLimit } from './gossipRateLimit.js';
import { node1, node2, sampleUpdate } from './samples.test.support.js';
import { TokenBucket } from './tokenBucket.js';

const genuine = verifyChannelUpdate(sampleUpdate(), node1.nodeId);
const forged = verifyChannelUpdate(sampleUpdate(), node2.nodeId);

describe('the limit of updates', () => {
  const limit = () => new GossipRateLimit({ burst: 3, intervalSeconds: 60, maxKeys: 4 });
  const admit = (of: GossipRateLimit, key: string, nowMs: number, verdict = genuine) =>
    of.admit({ verdict, key, nowMs });

  test('lets a burst through, then one in each interval', () => {
    const rate = limit();
    expect([0, 1, 2, 3].map((nowMs) => admit(rate, 'a', nowMs))).toEqual([true, true, true, false]);
    expect(admit(rate, 'a', 59_999)).toBe(false);
    expect(admit(rate, 'a', 60_010)).toBe(true);
    expect(admit(rate, 'a', 60_011)).toBe(false);
    expect(admit(rate, 'b', 60_011)).toBe(true);
  });

  test('threat 21: a message with a wrong signature is not taken and does not use up the share of its node', () => {
    const rate = limit();
    for (let i = 0; i < 1000; i++) expect(admit(rate, 'a', 0, forged)).toBe(false);
    expect(rate.size).toBe(0);
    expect([0, 0, 0, 0].map((nowMs) => admit(rate, 'a', nowMs))).toEqual([true, true, true, false]);
  });

  test('threat 21: remembers a bounded number of keys, and forgets the one that was quiet for longest', () => {
    const rate = limit();
    for (const key of ['a', 'b', 'c', 'd']) for (let i = 0; i < 3; i++) admit(rate, key, 0);
    // Refused, but not quiet.
    expect(admit(rate, 'a', 1)).toBe(false);
    for (let i = 0; i < 3; i++) admit(rate, 'e', 1);
    expect(rate.size).toBe(4);
    expect(admit(rate, 'a', 2)).toBe(false);
    expect(admit(rate, 'b', 2)).toBe(true);
    for (let i = 0; i < 1000; i++) admit(rate, `key ${i}`, 3);
    expect(rate.size).toBe(4);
  });

  test('forgets a key whose share is full again', () => {
    const rate = limit();
    admit(rate, 'a', 0);
    admit(rate, 'b', 100_000);
    expect(rate.size).toBe(1);
  });
});

describe('a token bucket', () => {
  test('says how long to wait, for what was taken too much as well', () => {
    const bucket = new TokenBucket({ capacity: 10, perSecond: 5 });
    expect(bucket.waitMs(0)).toBe(0);
    bucket.spend(30);
    expect(bucket.waitMs(0)).toBe(4200);
    expect(bucket.waitMs(4000)).toBe(200);
    expect(bucket.waitMs(4200)).toBe(0);
    expect(bucket.isFull(4200)).toBe(false);
    expect(bucket.isFull(60_000)).toBe(true);
  });

  test('gives nothing for a clock that goes back', () => {
    const bucket = new TokenBucket({ capacity: 1, perSecond: 1 });
    bucket.waitMs(5000);
    bucket.spend(1);
    expect(bucket.waitMs(1000)).toBe(1000);
    expect(bucket.waitMs(1500)).toBe(500);
  });
});
