import { expect, test } from 'vitest';
import type { Route } from '../../graph/index.js';
import { slowestHop } from './slowHop.js';

const hop = (n: number) => ({
  nodeId: new Uint8Array(33).fill(n),
  shortChannelId: BigInt(n),
  direction: 0 as const,
  amountMsat: 1n,
  cltvDelta: 1,
});
const route: Route = { hops: [hop(1), hop(2), hop(3)], amountMsat: 1n, feeMsat: 0n, probability: 1 };
const slowest = (holdTimesMs: number[]) => slowestHop(route, { holdTimesMs, thresholdMs: 5_000 });

test('the delay of a hop is what it held less what the one behind it held', () => {
  expect(slowest([20_300, 20_200, 100])).toEqual({ nodeId: new Uint8Array(33).fill(2), heldMs: 20_100 });
  expect(slowest([9_000, 8_900, 8_800])).toEqual({ nodeId: new Uint8Array(33).fill(3), heldMs: 8_800 });
  expect(slowest([9_000, 100, 0])?.nodeId[0]).toBe(1);
});

test('nobody is slow below the threshold, or without proof', () => {
  expect(slowest([3_000, 2_000, 1_000])).toBeUndefined();
  expect(slowest([])).toBeUndefined();
  // The second may have waited for the third, which proves nothing.
  expect(slowest([30_000, 29_000])).toBeUndefined();
});

test('a hop that says less than the one behind it has no delay of its own', () => {
  expect(slowest([0, 30_000, 1_000])?.nodeId[0]).toBe(2);
});
