import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  affordableFeerate,
  claimFeerate,
  type FeeQuestion,
  minimumFeeratePerKw,
  nextFeerate,
  raisedFeerate,
  replacementFeeSat,
  targetBlocks,
  usableEstimate,
} from './claimFees.js';

const maxFeeratePerKw = 250_000;
const question = (changes: Partial<FeeQuestion> = {}): FeeQuestion => ({
  estimate: 2_500,
  valueSat: 1_000_000n,
  weight: 800,
  floor: 0,
  maxFeeratePerKw,
  ...changes,
});

const anyQuestion: fc.Arbitrary<FeeQuestion> = fc.record({
  estimate: fc.integer({ min: 1, max: 400_000 }),
  blocksLeft: fc.option(fc.integer({ min: -20, max: 2_100 }), { nil: undefined }),
  valueSat: fc.bigInt({ min: 1n, max: 10_000_000_000n }),
  weight: fc.integer({ min: 300, max: 390_000 }),
  paidSat: fc.bigInt({ min: 0n, max: 100_000n }),
  floor: fc.integer({ min: 0, max: 300_000 }),
  maxFeeratePerKw: fc.constant(maxFeeratePerKw),
});

test('what a backend says of fees counts where it is a number to reckon with', () => {
  const estimates = [undefined, Number.NaN, Number.POSITIVE_INFINITY, 0, -5, 800.2, 2 ** 60];
  expect(estimates.map((one) => usableEstimate(one, 7))).toEqual([7, 7, 7, 7, 7, 801, 2 ** 60]);
});

describe('the feerate of a claim', () => {
  test('is the estimate while there is time, and rises by itself as the deadline comes near', () => {
    const at = (blocksLeft?: number) => claimFeerate(question({ blocksLeft, floor: 253 }));
    expect([at(), at(1_000), at(144), at(18)]).toEqual([2_500, 2_500, 2_500, 2_500]);
    const rising = [17, 12, 9, 6, 3, 2, 1].map(at);
    expect(rising).toEqual([...rising].sort((a, b) => a - b));
    expect(new Set(rising).size).toBe(rising.length);
    expect(at(9)).toBeGreaterThan(7_000);
    expect(at(9)).toBeLessThan(20_000);
    expect(at(1)).toBe(maxFeeratePerKw);
  });

  test('goes half the way at a first attempt, however late it comes, for nobody may be competing', () => {
    const first = (blocksLeft: number) => claimFeerate(question({ blocksLeft }));
    const half = Math.ceil(Math.sqrt(2_500 * maxFeeratePerKw));
    expect([first(3), first(1), first(-5)]).toEqual([half, half, half]);
    expect(claimFeerate(question({ blocksLeft: -5, floor: half }))).toBe(maxFeeratePerKw);
  });

  test('is at most half of what is at stake with time to spare, and nearly all of it in the end', () => {
    const small = { valueSat: 4_000n, estimate: 20_000 };
    expect(claimFeerate(question(small))).toBe(2_500);
    expect(claimFeerate(question({ ...small, blocksLeft: 1 }))).toBe(4_750);
    expect(affordableFeerate(question({ ...small, paidSat: 800n }))).toBe(3_500);
  });

  test('never falls and never exceeds what is worth paying (threat 8)', () => {
    fc.assert(
      fc.property(anyQuestion, (asked) => {
        const feerate = claimFeerate(asked);
        expect(Number.isSafeInteger(feerate)).toBe(true);
        expect(feerate).toBeGreaterThanOrEqual(Math.max(asked.floor, minimumFeeratePerKw));
        const most = Math.max(affordableFeerate(asked), asked.floor, minimumFeeratePerKw);
        expect(feerate).toBeLessThanOrEqual(most);
        const feeSat = (BigInt(feerate) * BigInt(asked.weight)) / 1000n;
        const bound = asked.floor > feerate - 1 || feerate === minimumFeeratePerKw;
        if (!bound) expect(feeSat).toBeLessThanOrEqual(asked.valueSat + (asked.paidSat ?? 0n));
      }),
    );
  });

  test('rises with the estimate, with the value and with the nearness of the deadline, each alone', () => {
    const more = fc.record({
      estimate: fc.integer({ min: 0, max: 100_000 }),
      valueSat: fc.bigInt({ min: 0n, max: 1_000_000_000n }),
      blocks: fc.integer({ min: 0, max: 500 }),
    });
    fc.assert(
      fc.property(anyQuestion, more, (asked, by) => {
        const feerate = claimFeerate(asked);
        const { blocksLeft } = asked;
        expect(claimFeerate({ ...asked, estimate: asked.estimate + by.estimate })).toBeGreaterThanOrEqual(
          feerate,
        );
        expect(claimFeerate({ ...asked, valueSat: asked.valueSat + by.valueSat })).toBeGreaterThanOrEqual(
          feerate,
        );
        if (blocksLeft !== undefined) {
          const nearer = claimFeerate({ ...asked, blocksLeft: blocksLeft - by.blocks });
          expect(nearer).toBeGreaterThanOrEqual(feerate);
        }
      }),
    );
  });
});

describe('a replacement', () => {
  test('has a feerate that is higher by a quarter or by the relay minimum, or the same as before', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 253, max: 300_000 }),
        fc.integer({ min: 1, max: 300_000 }),
        (last, wanted) => {
          const next = nextFeerate(last, wanted);
          if (next !== last)
            expect(next).toBeGreaterThanOrEqual(Math.max(last * 1.25, last + minimumFeeratePerKw));
          expect(next).toBeGreaterThanOrEqual(last);
          expect(raisedFeerate(last)).toBeGreaterThan(last);
        },
      ),
    );
  });

  test('pays for its own relay on top of what it replaces', () => {
    expect(replacementFeeSat(5_000n, 801)).toBe(5_201n);
  });
});

test('the fewer blocks are left, the sooner a claim is to confirm', () => {
  const targets = { contested: 2, uncontested: 12 };
  expect([undefined, 1_000, 24, 23, 12, 11, 1, -5].map((left) => targetBlocks(left, targets))).toEqual([
    12, 12, 12, 6, 6, 2, 2, 2,
  ]);
});
