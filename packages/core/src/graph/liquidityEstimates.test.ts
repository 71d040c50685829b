import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LiquidityEstimatesError } from './liquidityCodec.js';
import { LiquidityEstimates, type LiquidityOptions } from './liquidityEstimates.js';
import type { LiquidityObservation } from './route.js';

const hour = 3_600_000;
const nowMs = 1_700_000_000_000;
const capacityMsat = 1_000_000_000n;

function observed(
  observations: readonly Partial<LiquidityObservation>[],
  options?: LiquidityOptions,
): LiquidityEstimates {
  const estimates = new LiquidityEstimates(options);
  for (const each of observations) {
    const observation = {
      shortChannelId: 5n,
      direction: 0,
      amountMsat: 1n,
      outcome: 'carried',
      ...each,
    } as const;
    estimates.observe(observation, { nowMs, capacityMsat });
  }
  return estimates;
}

function chance(
  estimates: LiquidityEstimates,
  { amountMsat, direction = 0, atMs = nowMs }: { amountMsat: bigint; direction?: 0 | 1; atMs?: number },
): number {
  return estimates.probability({ shortChannelId: 5n, direction, amountMsat, capacityMsat, nowMs: atMs });
}

describe('LiquidityEstimates', () => {
  test('thinks less of greater amounts where it knows nothing', () => {
    const ignorant = observed([]);
    const chances = [1n, 1_000_000n, 100_000_000n, 500_000_000n, 900_000_000n, capacityMsat].map(
      (amountMsat) => chance(ignorant, { amountMsat }),
    );
    expect(chances).toEqual([...chances].sort((a, b) => b - a));
    expect(chances[0]).toBeGreaterThan(0.95);
    // Most channels are nearly empty or nearly full: between a fifth and four fifths it hardly matters how much.
    expect(chance(ignorant, { amountMsat: 200_000_000n })).toBeLessThan(0.7);
    expect(chance(ignorant, { amountMsat: 800_000_000n })).toBeGreaterThan(0.3);
    expect(chances.at(-1)).toBeGreaterThan(0);
  });

  test('learns from what was carried and what was refused', () => {
    const learned = observed([
      { amountMsat: 300_000_000n, outcome: 'carried' },
      { amountMsat: 600_000_000n, outcome: 'refused' },
    ]);
    expect(chance(learned, { amountMsat: 300_000_000n })).toBeGreaterThan(0.95);
    expect(chance(learned, { amountMsat: 600_000_000n })).toBeLessThan(0.01);
    const between = chance(learned, { amountMsat: 450_000_000n });
    expect(between).toBeGreaterThan(0.3);
    expect(between).toBeLessThan(0.7);
    expect(learned.bounds(5n, { direction: 0, nowMs })).toEqual({
      lowerMsat: 300_000_000n,
      upperMsat: 599_999_999n,
    });
  });

  test('knows of one direction what it knows of the other', () => {
    const learned = observed([
      { amountMsat: 300_000_000n, outcome: 'carried' },
      { amountMsat: 600_000_000n, outcome: 'refused' },
    ]);
    expect(learned.bounds(5n, { direction: 1, nowMs })).toEqual({
      lowerMsat: 400_000_001n,
      upperMsat: 700_000_000n,
    });
    expect(chance(learned, { amountMsat: 400_000_000n, direction: 1 })).toBeGreaterThan(0.95);
    expect(chance(learned, { amountMsat: 701_000_000n, direction: 1 })).toBeLessThan(0.01);
  });

  test('moves with what was settled', () => {
    const learned = observed([{ amountMsat: 600_000_000n, outcome: 'settled' }]);
    expect(learned.bounds(5n, { direction: 0, nowMs })).toEqual({ lowerMsat: 0n, upperMsat: 400_000_000n });
    expect(learned.bounds(5n, { direction: 1, nowMs })).toEqual({
      lowerMsat: 600_000_000n,
      upperMsat: capacityMsat,
    });
  });

  test('believes the later of two that contradict each other', () => {
    const drained = observed([
      { amountMsat: 600_000_000n },
      { amountMsat: 500_000_000n, outcome: 'refused' },
    ]);
    expect(drained.bounds(5n, { direction: 0, nowMs })).toEqual({ lowerMsat: 0n, upperMsat: 499_999_999n });
    const filled = observed([{ amountMsat: 500_000_000n, outcome: 'refused' }, { amountMsat: 600_000_000n }]);
    expect(filled.bounds(5n, { direction: 0, nowMs })).toEqual({
      lowerMsat: 600_000_000n,
      upperMsat: capacityMsat,
    });
  });

  test('forgets by half in each half-life, towards ignorance', () => {
    const learned = observed(
      [
        { amountMsat: 400_000_000n, outcome: 'carried' },
        { amountMsat: 600_000_001n, outcome: 'refused' },
      ],
      { halfLifeMs: 2 * hour },
    );
    expect(learned.bounds(5n, { direction: 0, nowMs: nowMs + 2 * hour })).toEqual({
      lowerMsat: 200_000_000n,
      upperMsat: 800_000_000n,
    });
    const amountMsat = 700_000_000n;
    const chances = [0, 2, 4, 8, 100].map((hours) =>
      chance(learned, { amountMsat, atMs: nowMs + hours * hour }),
    );
    expect(chances).toEqual([...chances].sort((a, b) => a - b));
    expect(chances.at(-1)).toBeCloseTo(chance(observed([]), { amountMsat }), 3);
    // A clock that goes back makes nothing of it.
    expect(chance(learned, { amountMsat, atMs: nowMs - hour })).toBe(chances[0]);
  });

  test('counts what our own HTLCs hold', () => {
    const estimates = observed([]);
    const question = { shortChannelId: 6n, direction: 0, capacityMsat, nowMs } as const;
    const alone = estimates.probability({ ...question, amountMsat: 10_000_000n });
    const second = estimates.probability({
      ...question,
      amountMsat: 10_000_000n,
      inFlightMsat: 100_000_000n,
    });
    const both = estimates.probability({ ...question, amountMsat: 110_000_000n });
    expect(second).toBeLessThan(1);
    expect(second).toBeGreaterThan(both);
    expect(alone).toBeGreaterThan(both);
    estimates.observe(
      { shortChannelId: 6n, direction: 0, amountMsat: 10_000_000n, outcome: 'refused' },
      { nowMs, capacityMsat, inFlightMsat: 100_000_000n },
    );
    expect(estimates.bounds(6n, { direction: 0, nowMs })?.upperMsat).toBe(109_999_999n);
  });

  test('thinks less of a young channel', () => {
    const question = { shortChannelId: 6n, direction: 0, capacityMsat, nowMs, amountMsat: 1000n } as const;
    const estimates = observed([]);
    expect(estimates.probability({ ...question, ageBlocks: 0 })).toBeLessThan(
      estimates.probability({ ...question, ageBlocks: 50_000 }),
    );
  });

  test('learns of a channel whose capacity nobody knows, in its direction', () => {
    const estimates = new LiquidityEstimates();
    const question = { shortChannelId: 9n, direction: 1, nowMs } as const;
    const before = estimates.probability({ ...question, amountMsat: 1_000_000n });
    const seen = { shortChannelId: 9n, direction: 1, amountMsat: 1_000_000n } as const;
    estimates.observe({ ...seen, outcome: 'refused' }, { nowMs });
    expect(estimates.probability({ ...question, amountMsat: 1_000_000n })).toBeLessThan(0.01);
    expect(estimates.probability({ ...question, direction: 0, amountMsat: 1_000_000n })).toBe(before);
    estimates.observe({ ...seen, outcome: 'carried' }, { nowMs });
    expect(estimates.probability({ ...question, amountMsat: 1_000_000n })).toBeGreaterThan(before);
  });

  test('remembers so many channels, and forgets the one seen longest ago', () => {
    const estimates = new LiquidityEstimates({ mostChannels: 3 });
    const see = (id: bigint, atMs: number) =>
      estimates.observe(
        { shortChannelId: id, direction: 0, amountMsat: 5n, outcome: 'carried' },
        { nowMs: nowMs + atMs, capacityMsat },
      );
    [1n, 2n, 3n].forEach((id, i) => {
      see(id, i);
    });
    see(1n, 10);
    see(4n, 11);
    const known = [1n, 2n, 3n, 4n].map((id) => estimates.bounds(id, { direction: 0, nowMs }) !== undefined);
    expect(known).toEqual([true, false, true, true]);
    expect(estimates.count).toBe(3);
    estimates.forget(3n);
    expect(estimates.bounds(3n, { direction: 0, nowMs })).toBeUndefined();
    expect(estimates.bounds(4n, { direction: 0, nowMs })).toBeDefined();
  });

  test('stays within its bounds, whatever is seen, and comes back from its bytes', () => {
    const seen = fc.record({
      shortChannelId: fc.bigInt({ min: 0n, max: 9n }),
      direction: fc.constantFrom(0 as const, 1 as const),
      amountMsat: fc.bigInt({ min: 0n, max: 1_200n }),
      outcome: fc.constantFrom('carried' as const, 'settled' as const, 'refused' as const),
    });
    const where = fc.record({
      afterMs: fc.nat(50 * hour),
      capacityMsat: fc.option(fc.constantFrom(1_000n, 1_100n), { nil: undefined }),
      inFlightMsat: fc.bigInt({ min: 0n, max: 500n }),
    });
    fc.assert(
      fc.property(fc.array(fc.tuple(seen, where), { maxLength: 40, size: 'max' }), (list) => {
        const estimates = new LiquidityEstimates({ mostChannels: 6 });
        let atMs = nowMs;
        for (const [observation, { afterMs, ...context }] of list) {
          atMs += afterMs;
          estimates.observe(observation, { ...context, nowMs: atMs } as Parameters<
            typeof estimates.observe
          >[1]);
          const { shortChannelId } = observation;
          for (const direction of [0, 1] as const) {
            const bounds = estimates.bounds(shortChannelId, { direction, nowMs: atMs });
            expect(bounds?.lowerMsat).toBeGreaterThanOrEqual(0n);
            if (bounds?.upperMsat !== undefined)
              expect(bounds.upperMsat).toBeGreaterThanOrEqual(bounds.lowerMsat);
            const probability = estimates.probability({
              ...observation,
              direction,
              nowMs: atMs,
              capacityMsat: 1_000n,
            });
            expect(probability).toBeGreaterThan(0);
            expect(probability).toBeLessThanOrEqual(1);
          }
        }
        expect(estimates.count).toBeLessThanOrEqual(6);
        const back = LiquidityEstimates.decode(estimates.encode(), { mostChannels: 6 });
        expect(back.count).toBe(estimates.count);
        for (let id = 0n; id < 10n; id++) {
          const question = { direction: 0, nowMs: atMs } as const;
          const [was, is] = [estimates.bounds(id, question), back.bounds(id, question)];
          expect(is === undefined).toBe(was === undefined);
          // Written in whole msat.
          if (was !== undefined && is !== undefined)
            expect(was.lowerMsat - is.lowerMsat).toBeLessThanOrEqual(1n);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('tells a later version and damage from its own bytes', () => {
    const bytes = observed([{}]).encode();
    const codeOf = (input: Uint8Array): unknown => {
      try {
        return LiquidityEstimates.decode(input).count;
      } catch (error) {
        return error instanceof LiquidityEstimatesError ? error.code : error;
      }
    };
    expect(codeOf(bytes)).toBe(1);
    expect(codeOf(new Uint8Array(0))).toBe('liquidity_invalid');
    expect(codeOf(bytes.with(0, 2))).toBe('liquidity_version_unknown');
    expect(codeOf(bytes.slice(0, -1))).toBe('liquidity_invalid');
    expect(codeOf(bytes.with(9, 2))).toBe('liquidity_invalid');
    expect(codeOf(bytes.with(10, 255))).toBe('liquidity_invalid');
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 49, maxLength: 98 }), (noise) => {
        const result = codeOf(Uint8Array.from([1, ...noise]));
        expect(typeof result === 'number' || result === 'liquidity_invalid').toBe(true);
      }),
    );
  });

  test('decodes no more channels than it may remember, and none twice', () => {
    const estimates = new LiquidityEstimates();
    for (let id = 0n; id < 20n; id++) {
      estimates.observe(
        { shortChannelId: id, direction: 0, amountMsat: 5n, outcome: 'carried' },
        { nowMs: nowMs + Number(id), capacityMsat },
      );
    }
    const bytes = estimates.encode();
    const few = LiquidityEstimates.decode(bytes, { mostChannels: 4 });
    expect(few.count).toBe(4);
    expect(few.bounds(19n, { direction: 0, nowMs })).toBeDefined();
    const doubled = Uint8Array.from([...bytes, ...bytes.slice(1)]);
    expect(LiquidityEstimates.decode(doubled).count).toBe(20);
  });
});
