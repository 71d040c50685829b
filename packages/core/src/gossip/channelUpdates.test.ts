import { describe, expect, test } from 'vitest';
import {
  checkChannelUpdate,
  createChannelUpdate,
  isDisabled,
  isForwardable,
  isNewerUpdate,
  routingFault,
  updateDirection,
  updateOrder,
  updateSigner,
  verifyChannelUpdate,
} from './channelUpdates.js';
import { GossipError } from './gossipError.js';
import {
  isChannelStale,
  isStale,
  needsRefresh,
  nextTimestamp,
  REFRESH_AFTER_SECONDS,
  STALE_AFTER_SECONDS,
} from './gossipTime.js';
import {
  chainHash,
  node1,
  node2,
  nowSeconds,
  otherChainHash,
  overTheWire,
  sampleChannel,
  sampleUpdate,
  updateFields,
} from './samples.test.support.js';

const check = (update: ReturnType<typeof sampleUpdate>) =>
  checkChannelUpdate(update, { chainHash, nowSeconds });

describe('channel_update', () => {
  test('is valid with the signature of the node whose direction it is, and of no other', () => {
    const announcement = sampleChannel();
    for (const direction of [0, 1] as const) {
      const update = overTheWire(sampleUpdate({ direction }));
      expect(updateDirection(update)).toBe(direction);
      const signer = updateSigner(announcement, update);
      expect(signer).toEqual([node1, node2][direction]?.nodeId);
      expect(verifyChannelUpdate(update, signer)).toEqual({ valid: true });
      const other = [node2, node1][direction]?.nodeId as Uint8Array;
      expect(verifyChannelUpdate(update, other)).toEqual({
        valid: false,
        fault: 'signature',
        punish: 'warn_and_close',
      });
    }
  });

  test('is refused when one field was changed', () => {
    const update = sampleUpdate();
    for (const change of [
      { feeBaseMsat: 1 },
      { channelFlags: 2 },
      { timestamp: 1 },
      { extension: new Uint8Array(1) },
    ]) {
      expect(verifyChannelUpdate({ ...update, ...change }, node1.nodeId)).toMatchObject({
        fault: 'signature',
      });
    }
  });

  test('sets its flags as BOLT 7 says', () => {
    expect(sampleUpdate()).toMatchObject({ messageFlags: 1, channelFlags: 0 });
    const flagged = sampleUpdate({ direction: 1, disabled: true, dontForward: true });
    expect(flagged).toMatchObject({ messageFlags: 3, channelFlags: 3 });
    expect(isDisabled(flagged)).toBe(true);
    expect(isForwardable(flagged)).toBe(false);
    expect(isDisabled(sampleUpdate())).toBe(false);
    expect(isForwardable(sampleUpdate())).toBe(true);
  });

  test('is not made with timestamp 0 or with a minimum above the maximum', () => {
    for (const change of [{ timestamp: 0 }, { htlcMinimumMsat: 2n, htlcMaximumMsat: 1n }]) {
      expect(() => createChannelUpdate({ ...updateFields, ...change }, node1.sign)).toThrow(GossipError);
    }
  });

  test('of another chain is ignored', () => {
    expect(checkChannelUpdate(sampleUpdate(), { chainHash: otherChainHash, nowSeconds })).toMatchObject({
      fault: 'chain_unknown',
      punish: 'ignore',
    });
  });

  test('threat 22: with timestamp 0 is ignored before its signature is looked at', () => {
    expect(check({ ...sampleUpdate(), timestamp: 0 })).toEqual({
      valid: false,
      fault: 'timestamp_zero',
      punish: 'ignore',
    });
  });

  test('threat 22: from the far future, or older than two weeks, is ignored; a clock may differ by a day', () => {
    const at = (timestamp: number) => check(sampleUpdate({ timestamp }));
    expect(at(nowSeconds + 86_400)).toEqual({ valid: true });
    expect(at(nowSeconds + 86_401)).toMatchObject({ fault: 'timestamp_future', punish: 'ignore' });
    expect(at(0xffff_ffff)).toMatchObject({ fault: 'timestamp_future', punish: 'ignore' });
    expect(at(nowSeconds - STALE_AFTER_SECONDS)).toEqual({ valid: true });
    expect(at(nowSeconds - STALE_AFTER_SECONDS - 1)).toMatchObject({
      fault: 'timestamp_stale',
      punish: 'ignore',
    });
  });

  test('tells why nothing can be routed over it, though it is genuine', () => {
    expect(routingFault(sampleUpdate({ disabled: true }))).toBe('disabled');
    const empty = { ...sampleUpdate(), htlcMinimumMsat: 5n, htlcMaximumMsat: 4n };
    expect(routingFault(empty)).toBe('htlc_range_empty');
    expect(routingFault(sampleUpdate({ htlcMaximumMsat: 1_000_001n }), 1000n)).toBe(
      'htlc_maximum_over_capacity',
    );
    expect(routingFault(sampleUpdate({ htlcMaximumMsat: 1_000_000n }), 1000n)).toBeUndefined();
    expect(routingFault(sampleUpdate({ htlcMaximumMsat: 2n ** 64n - 1n }))).toBeUndefined();
  });
});

describe('the order of updates', () => {
  const known = sampleUpdate();

  test('a greater timestamp replaces, a lower one does not', () => {
    expect(updateOrder(undefined, known)).toBe('newer');
    expect(updateOrder(known, sampleUpdate({ timestamp: nowSeconds + 1 }))).toBe('newer');
    expect(updateOrder(known, sampleUpdate({ timestamp: nowSeconds - 1, feeBaseMsat: 9 }))).toBe('older');
    expect(isNewerUpdate(known, sampleUpdate({ timestamp: nowSeconds + 1 }))).toBe(true);
    expect(isNewerUpdate(known, known)).toBe(false);
  });

  test('the same second with other terms is a conflict; with another signature alone it is a duplicate', () => {
    expect(updateOrder(known, sampleUpdate({ feeBaseMsat: 9 }))).toBe('conflict');
    expect(updateOrder(known, { ...known, signature: new Uint8Array(64).fill(1) })).toBe('duplicate');
  });
});

describe('the age of gossip', () => {
  test('is stale after two weeks', () => {
    expect(isStale(nowSeconds - STALE_AFTER_SECONDS, nowSeconds)).toBe(false);
    expect(isStale(nowSeconds - STALE_AFTER_SECONDS - 1, nowSeconds)).toBe(true);
  });

  test('of a channel is that of its older direction; one never heard of counts from the announcement', () => {
    const old = nowSeconds - STALE_AFTER_SECONDS - 1;
    const stale = (timestamps: [number, number], knownSinceSeconds: number) =>
      isChannelStale({ timestamps, knownSinceSeconds, nowSeconds });
    expect(stale([nowSeconds, nowSeconds], old)).toBe(false);
    expect(stale([nowSeconds, old], nowSeconds)).toBe(true);
    expect(stale([old, nowSeconds], nowSeconds)).toBe(true);
    expect(stale([nowSeconds, 0], nowSeconds)).toBe(false);
    expect(stale([nowSeconds, 0], old)).toBe(true);
  });

  test('our own is refreshed well before others prune it', () => {
    expect(needsRefresh(nowSeconds, nowSeconds + REFRESH_AFTER_SECONDS - 1)).toBe(false);
    expect(needsRefresh(nowSeconds, nowSeconds + REFRESH_AFTER_SECONDS)).toBe(true);
    expect(isStale(nowSeconds, nowSeconds + REFRESH_AFTER_SECONDS)).toBe(false);
  });

  test('our next timestamp is now, but always above the last and above 0', () => {
    expect(nextTimestamp(undefined, 1000.7)).toBe(1000);
    expect(nextTimestamp(999, 1000)).toBe(1000);
    expect(nextTimestamp(1000, 1000)).toBe(1001);
    expect(nextTimestamp(5000, 1000)).toBe(5001);
    expect(nextTimestamp(undefined, 0)).toBe(1);
  });
});
