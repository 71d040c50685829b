import { describe, expect, test } from 'vitest';
import { REFRESH_AFTER_SECONDS, STALE_AFTER_SECONDS } from './gossipTime.js';
import { type PerDirection, wantedFlags } from './queryFlags.js';
import { nowSeconds } from './samples.test.support.js';
import { TimestampFilter } from './timestampFilter.js';

const shortChannelId = 1n;
const now: PerDirection = [nowSeconds, nowSeconds];

describe('what is asked about a channel', () => {
  const wanted = (
    remote: { timestamps?: PerDirection; checksums?: PerDirection },
    local?: { timestamps: PerDirection; checksums: PerDirection },
  ) => wantedFlags({ shortChannelId, ...remote }, local, nowSeconds);

  test('is all of an unknown one, and nothing of a known one, where the peer tells no timestamps', () => {
    expect(wanted({})).toBe(31);
    expect(wanted({}, { timestamps: now, checksums: [1, 1] })).toBe(0);
  });

  test('of an unknown one, is the updates that there are', () => {
    expect(wanted({ timestamps: now })).toBe(31);
    expect(wanted({ timestamps: [nowSeconds, 0] })).toBe(1 + 2 + 8 + 16);
  });

  test('is nothing where all its updates are stale', () => {
    const old = nowSeconds - STALE_AFTER_SECONDS - 1;
    expect(wanted({ timestamps: [old, old] })).toBe(0);
    expect(wanted({ timestamps: [old, 0] })).toBe(0);
  });

  test('threat 22: is nothing for timestamps 0, or ones of the far future', () => {
    expect(wanted({ timestamps: [0, 0] })).toBe(0);
    expect(wanted({ timestamps: [0xffff_ffff, 0] })).toBe(0);
    const local = { timestamps: now, checksums: [1, 1] as const };
    expect(wanted({ timestamps: [0xffff_ffff, 0], checksums: [9, 9] }, local)).toBe(0);
  });

  test('of a known one, is the updates that are newer and say something else', () => {
    const local = { timestamps: [nowSeconds - 10, nowSeconds - 10] as const, checksums: [1, 2] as const };
    expect(wanted({ timestamps: now, checksums: [1, 2] }, local)).toBe(0);
    expect(wanted({ timestamps: now, checksums: [5, 2] }, local)).toBe(2);
    expect(wanted({ timestamps: now, checksums: [5, 5] }, local)).toBe(6);
    expect(wanted({ timestamps: now }, local)).toBe(6);
    expect(wanted({ timestamps: [nowSeconds - 10, nowSeconds - 11], checksums: [5, 5] }, local)).toBe(0);
  });

  test('of a known one, is also the same again before it grows stale', () => {
    const known = nowSeconds - REFRESH_AFTER_SECONDS;
    const local = { timestamps: [known, known + 1] as const, checksums: [1, 2] as const };
    expect(wanted({ timestamps: now, checksums: [1, 2] }, local)).toBe(2);
  });

  test('of a known one, is an update that we never had, even if its checksum is 0', () => {
    expect(wanted({ timestamps: now, checksums: [0, 0] }, { timestamps: [0, 0], checksums: [0, 0] })).toBe(6);
  });
});

describe('gossip_timestamp_filter', () => {
  const filter = new TimestampFilter({ firstTimestamp: 100, timestampRange: 10 });

  test('passes its first second and all before its end', () => {
    expect([99, 100, 109, 110].map((timestamp) => filter.passes({ timestamp }))).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });

  test('passes a channel by either of its updates', () => {
    expect(filter.passesChannel([1, 105])).toBe(true);
    expect(filter.passesChannel([105, 0])).toBe(true);
    expect(filter.passesChannel([1, 200])).toBe(false);
  });

  test('threat 22: never passes a channel without an update, nor a timestamp of 0', () => {
    const all = new TimestampFilter({ firstTimestamp: 0, timestampRange: 0xffff_ffff });
    expect(all.passesChannel([0, 0])).toBe(false);
    expect(all.passesTimestamp(0)).toBe(false);
    expect(all.passesTimestamp(1)).toBe(true);
  });

  test('does not wrap around, and can pass nothing', () => {
    const late = new TimestampFilter({ firstTimestamp: 0xffff_ffff, timestampRange: 0xffff_ffff });
    expect(late.passesTimestamp(5)).toBe(false);
    expect(late.passesTimestamp(0xffff_ffff)).toBe(true);
    const none = new TimestampFilter({ firstTimestamp: 0xffff_ffff, timestampRange: 0 });
    expect(none.passesTimestamp(0xffff_ffff)).toBe(false);
  });
});
