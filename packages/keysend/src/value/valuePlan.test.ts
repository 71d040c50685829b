import { describe, expect, test } from 'vitest';
import { activeBlock } from './activeValue.js';
import { block, row } from './value.test.support.js';
import type { ValueTimeSplit } from './valueBlock.js';
import { planAt, planBoundaries, type ValuePlan } from './valuePlan.js';
import { readValuePlan, writeValuePlan } from './valuePlanJson.js';

const remote = (startSeconds: number, durationSeconds: number, remoteStartSeconds = 0): ValueTimeSplit => ({
  startSeconds,
  durationSeconds,
  remoteStartSeconds,
  remotePercentage: 90,
  target: { type: 'remoteItem', remoteItem: { feedGuid: 'f', itemGuid: `at ${startSeconds}` } },
});
const local = (startSeconds: number, durationSeconds: number): ValueTimeSplit => ({
  ...remote(startSeconds, durationSeconds),
  target: { type: 'recipients', recipients: [row(7, 1)] },
});
const plan = (timeSplits: readonly ValueTimeSplit[], remotes: ValuePlan['remotes']): ValuePlan => ({
  feed: {},
  block: block([row(1, 1)], timeSplits),
  remotes,
  problems: [],
});

describe('who is paid at a position', () => {
  test('an item overrides its channel', () => {
    const channel = block([row(1, 1)]);
    const item = block([row(2, 1)]);
    expect(activeBlock({ channel, item, positionSeconds: 0 })?.block).toBe(item);
    expect(activeBlock({ channel, positionSeconds: 0 })?.block).toBe(channel);
    expect(activeBlock({ positionSeconds: 0 })).toBeUndefined();
  });

  test('a time split includes its start and not its end', () => {
    const it = plan([remote(60, 30, 100)], [{ status: 'loaded', recipients: [row(5, 1)] }]);
    expect(planAt(it, 59.9).timeSplitIndex).toBeUndefined();
    expect(planAt(it, 60)).toMatchObject({
      timeSplitIndex: 0,
      remote: { recipients: [row(5, 1)] },
      remotePercentage: 90,
      remoteItem: { feedGuid: 'f' },
      remoteSeconds: 100,
    });
    expect(planAt(it, 75).remoteSeconds).toBe(115);
    expect(planAt(it, 90)).toEqual({ block: it.block, remotePercentage: 0 });
  });

  test('of time splits that overlap the one that began last applies', () => {
    const it = plan([local(63, 388), local(367, 246), local(367, 10), remote(0, 5)], []);
    const at = (seconds: number) => planAt(it, seconds).timeSplitIndex;
    expect([0, 62, 63, 366, 367, 376, 377, 451, 612, 613].map(at)).toEqual([
      3,
      undefined,
      0,
      0,
      2,
      2,
      1,
      1,
      1,
      undefined,
    ]);
  });

  test('recipients written in a time split get all of the rest', () => {
    expect(planAt(plan([local(10, 5)], [undefined]), 12)).toMatchObject({
      remote: { recipients: [row(7, 1)] },
      remotePercentage: 100,
      timeSplitIndex: 0,
    });
  });

  test('a remote item that could not be loaded leaves its part to the block, and is named', () => {
    const it = plan([remote(10, 5)], [{ status: 'missing', problem: 'not found' }]);
    expect(planAt(it, 12)).toEqual({
      block: it.block,
      remotePercentage: 0,
      remoteItem: { feedGuid: 'f', itemGuid: 'at 10' },
      remoteSeconds: 2,
      timeSplitIndex: 0,
    });
  });

  test('a position that is none counts as the beginning', () => {
    expect(planAt(plan([local(0, 5)], []), Number.NaN).timeSplitIndex).toBe(0);
    expect(planAt(plan([local(0, 5)], []), -3).timeSplitIndex).toBe(0);
  });

  test('between two boundaries nothing changes', () => {
    const it = plan([local(0, 5), local(63, 388), local(367, 246)], []);
    expect(planBoundaries(it)).toEqual([5, 63, 367, 451, 613]);
    expect(planBoundaries(plan([], []))).toEqual([]);
  });

  test('a plan is plain data', () => {
    const it = plan([local(0, 5), remote(7, 5)], [undefined, { status: 'missing', problem: 'gone' }]);
    expect(planAt(structuredClone(it), 8)).toEqual(planAt(it, 8));
  });

  test('a plan survives being text, and damaged text is refused', () => {
    const it: ValuePlan = {
      ...plan(
        [local(0, 5), remote(7, 5)],
        [undefined, { status: 'loaded', recipients: [row(8, 1n << 63n)] }],
      ),
      item: { guid: 'g', durationSeconds: 61.5 },
    };
    expect(readValuePlan(writeValuePlan(it))).toEqual(it);
    for (const text of ['', '{}', writeValuePlan(it).replace('"split":"1"', '"split":"-1"')]) {
      expect(() => readValuePlan(text)).toThrow(expect.objectContaining({ code: 'store_invalid' }));
    }
  });
});
