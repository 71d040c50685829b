import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { appendStretch, cutAt, lengthMs, takeMs } from './stretches.js';

const stretch = fc
  .tuple(fc.nat(1_000), fc.integer({ min: 1, max: 500 }))
  .map(([fromMs, ms]) => ({ fromMs, toMs: fromMs + ms }));

describe('stretches', () => {
  test('that follow on are one, and others are not', () => {
    const first = appendStretch([], { fromMs: 0, toMs: 10 });
    expect(appendStretch(first, { fromMs: 10, toMs: 15 })).toEqual([{ fromMs: 0, toMs: 15 }]);
    expect(appendStretch(first, { fromMs: 5, toMs: 15 })).toHaveLength(2);
    expect(appendStretch(first, { fromMs: 10, toMs: 10 })).toEqual(first);
  });

  test('are taken from in order, and nothing is lost', () => {
    const property = fc.property(fc.array(stretch), fc.nat(3_000), (stretches, ms) => {
      const { taken, rest } = takeMs(stretches, ms);
      expect(lengthMs(taken)).toBe(Math.min(ms, lengthMs(stretches)));
      expect(lengthMs(taken) + lengthMs(rest)).toBe(lengthMs(stretches));
      const together = [...taken, ...rest].reduce(appendStretch, [] as ReturnType<typeof appendStretch>);
      expect(together).toEqual(stretches.reduce(appendStretch, [] as ReturnType<typeof appendStretch>));
    });
    fc.assert(property);
  });

  test('are cut at every boundary within them, and nowhere else', () => {
    expect(cutAt([{ fromMs: 0, toMs: 10 }], [0, 3, 7, 10, 12])).toEqual([
      { fromMs: 0, toMs: 3 },
      { fromMs: 3, toMs: 7 },
      { fromMs: 7, toMs: 10 },
    ]);
    expect(cutAt([{ fromMs: 4, toMs: 6 }], [3, 7])).toEqual([{ fromMs: 4, toMs: 6 }]);
  });
});
