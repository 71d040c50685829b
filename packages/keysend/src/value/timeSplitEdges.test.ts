import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { block, row } from './value.test.support.js';
import { planAt, planBoundaries, type ValuePlan } from './valuePlan.js';

function planOf(timeSplits: readonly { startSeconds: number; durationSeconds: number }[]): ValuePlan {
  return {
    feed: { title: 'Show' },
    block: block(
      [row(1, 1)],
      timeSplits.map((times, i) => ({
        ...times,
        remoteStartSeconds: 0,
        remotePercentage: 100,
        target: { type: 'recipients', recipients: [row(2 + i, 1)] },
      })),
    ),
    remotes: [],
    problems: [],
  };
}

describe('where a time split ends', () => {
  test('is where it was written to end, though its start and duration do not add up in floating point', () => {
    // 1.1 + 2.2 is 3.3000000000000003
    const plan = planOf([{ startSeconds: 1.1, durationSeconds: 2.2 }]);
    expect(planAt(plan, 3.299).timeSplitIndex).toBe(0);
    expect(planAt(plan, 3.3).timeSplitIndex).toBeUndefined();
  });

  test('is the same for whoever cuts at the boundaries, in milliseconds, and for whoever asks at a position', () => {
    const ms = fc.integer({ min: 1, max: 20_000_000 });
    fc.assert(
      fc.property(ms, ms, (startMs, durationMs) => {
        const plan = planOf([{ startSeconds: startMs / 1_000, durationSeconds: durationMs / 1_000 }]);
        const endMs = startMs + durationMs;
        expect(planBoundaries(plan).map((seconds) => Math.round(seconds * 1_000))).toEqual([startMs, endMs]);
        expect(planAt(plan, (startMs - 1) / 1_000).timeSplitIndex).toBeUndefined();
        expect(planAt(plan, startMs / 1_000).timeSplitIndex).toBe(0);
        expect(planAt(plan, (endMs - 1) / 1_000).timeSplitIndex).toBe(0);
        expect(planAt(plan, endMs / 1_000).timeSplitIndex).toBeUndefined();
      }),
    );
  });
});
