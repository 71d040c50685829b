import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { feeForSat, selectCoins } from './coinSelection.js';

const base = {
  fixedWeight: 4 * 10 + 2 + 4 * 43,
  changeOutputWeight: 4 * 43,
  changeInputWeight: 230,
  minimumChangeSat: 330n,
  feeratePerKw: 1000,
};
const coin = (valueSat: bigint) => ({ valueSat, inputWeight: 230 });
const request = fc.record({
  coins: fc.array(
    fc.record({
      valueSat: fc.oneof(fc.bigInt({ min: 330n, max: 3_000n }), fc.bigInt({ min: 330n, max: 10_000_000n })),
      inputWeight: fc.constantFrom(230, 272),
    }),
    { maxLength: 40 },
  ),
  targetSat: fc.oneof(fc.bigInt({ min: 330n, max: 20_000n }), fc.bigInt({ min: 330n, max: 30_000_000n })),
  feeratePerKw: fc.integer({ min: 253, max: 50_000 }),
});

describe('coin selection', () => {
  test('conserves value, pays the feerate but little more, and never makes dust', () => {
    let selected = 0;
    fc.assert(
      fc.property(request, (drawn) => {
        const full = { ...base, ...drawn };
        const selection = selectCoins(full);
        const fee = (weight: number) => feeForSat(weight, full.feeratePerKw);
        if (selection === undefined) {
          // Then not even all coins that are worth their fee are enough.
          const useful = full.coins.filter(({ valueSat, inputWeight }) => valueSat > fee(inputWeight));
          const totalSat = useful.reduce(
            (sum, { valueSat, inputWeight }) => sum + valueSat - fee(inputWeight),
            0n,
          );
          expect(totalSat).toBeLessThan(full.targetSat + fee(full.fixedWeight));
          return;
        }
        selected++;
        const { coins, feeSat, changeSat } = selection;
        expect(new Set(coins).size).toBe(coins.length);
        for (const each of coins) expect(full.coins).toContain(each);
        const inSat = coins.reduce((sum, { valueSat }) => sum + valueSat, 0n);
        expect(inSat).toBe(full.targetSat + feeSat + changeSat);
        const weight =
          full.fixedWeight +
          coins.reduce((sum, { inputWeight }) => sum + inputWeight, 0) +
          (changeSat > 0n ? full.changeOutputWeight : 0);
        expect(feeSat).toBeGreaterThanOrEqual(fee(weight));
        if (changeSat > 0n) {
          expect(changeSat).toBeGreaterThanOrEqual(full.minimumChangeSat);
          expect(feeSat).toBe(fee(weight));
        } else {
          const most = [fee(full.changeInputWeight), full.minimumChangeSat].sort((a, b) =>
            a < b ? 1 : -1,
          )[0]!;
          expect(feeSat).toBeLessThanOrEqual(fee(weight) + fee(full.changeOutputWeight) + most + 1n);
        }
      }),
      { numRuns: 1000 },
    );
    expect(selected).toBeGreaterThan(100);
  });

  test('the same request has the same answer', () => {
    fc.assert(
      fc.property(request, (drawn) => {
        expect(selectCoins({ ...base, ...drawn })).toEqual(selectCoins({ ...base, ...drawn }));
      }),
    );
  });

  test('finds coins that need no change', () => {
    const fee = feeForSat(base.fixedWeight + 2 * 230, 1000);
    const coins = [90_000n, 50_000n, 30_000n + fee, 7_000n, 20_000n].map(coin);
    const selection = selectCoins({ ...base, coins, targetSat: 50_000n });
    expect(selection?.changeSat).toBe(0n);
    expect(selection?.coins.map(({ valueSat }) => valueSat)).toEqual([30_000n + fee, 20_000n]);
    expect(selection?.feeSat).toBe(fee);
  });

  test('otherwise takes the smallest single coin that suffices', () => {
    const coins = [1_000_000n, 90_000n, 30_000n, 20_000n, 500_000n].map(coin);
    const selection = selectCoins({ ...base, coins, targetSat: 80_000n });
    expect(selection?.coins).toEqual([coin(90_000n)]);
    expect(selection?.changeSat).toBe(90_000n - 80_000n - selection!.feeSat);
  });

  test('leaves coins that cost more than they bring', () => {
    const coins = [...Array(50).fill(coin(400n)), coin(5_000n)];
    expect(selectCoins({ ...base, coins, targetSat: 6_000n, feeratePerKw: 2_000 })).toBeUndefined();
  });

  test('many equal coins do not make it slow', () => {
    const coins = Array.from({ length: 1500 }, () => coin(10_000n));
    const selection = selectCoins({ ...base, coins, targetSat: 1_234_567n });
    expect(selection?.coins.length).toBeGreaterThan(123);
  });
});
