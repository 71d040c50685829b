import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memoryStore } from '../store/memoryStore.js';
import {
  type Budget,
  budgetState,
  getBudget,
  listBudgets,
  release,
  removeBudget,
  reserve,
  setBudget,
  settle,
} from './budgets.js';

const atMs = Date.UTC(2026, 10, 21, 23, 30);

function withBudgets(...budgets: readonly Budget[]) {
  const store = memoryStore();
  store.transaction((tx) => {
    for (const budget of budgets) setBudget(tx, budget);
  });
  const take = (id: string, amountMsat: bigint, more: Partial<Parameters<typeof reserve>[1]> = {}) =>
    store.transaction((tx) =>
      reserve(tx, { id, names: budgets.map(({ name }) => name), amountMsat, atMs, ...more }),
    );
  return { store, take };
}

describe('budgets', () => {
  test('begin anew each day and month, where the day begins', () => {
    const { store, take } = withBudgets(
      { name: 'day', amountMsat: 100n, period: 'day' },
      { name: 'east', amountMsat: 1_000n, period: 'day', offsetMinutes: 60 },
      { name: 'month', amountMsat: 250n, period: 'month' },
    );
    take('a', 100n);
    expect(() => take('b', 1n)).toThrow('the budget day has 0 sat left for 2026-11-21');
    expect(budgetState(store, { name: 'east', atMs }).periodKey).toBe('2026-11-22');
    take('b', 100n, { atMs: atMs + 3_600_000 });
    expect(budgetState(store, { name: 'east', atMs })).toMatchObject({ reservedMsat: 200n });
    expect(() => take('c', 60n, { atMs: atMs + 86_400_000 * 2 })).toThrow(/budget month has 0.05 sat left/);
    take('c', 60n, { atMs: Date.UTC(2026, 11, 1) });
  });

  test('reserve in all of them or in none', () => {
    const { store, take } = withBudgets(
      { name: 'large', amountMsat: 1_000n, period: 'total' },
      { name: 'small', amountMsat: 10n, period: 'total' },
    );
    expect(() => take('a', 11n)).toThrow(/budget small has 0.01 sat left, and/);
    expect(budgetState(store, { name: 'large', atMs }).reservedMsat).toBe(0n);
    expect(() => take('a', 1n, { names: ['large', 'none'] })).toThrow(/no budget "none"/);
  });

  test('of an episode are one for each', () => {
    const { take } = withBudgets({ name: 'each', amountMsat: 10n, period: 'episode' });
    take('a', 10n, { scope: 'one' });
    take('b', 10n, { scope: 'two' });
    expect(() => take('c', 1n, { scope: 'two' })).toThrow(/left for two/);
    expect(() => take('c', 1n)).toThrow(/say which/);
  });

  test('take the same reservation once, settle what it cost, and give the rest back', () => {
    const { store, take } = withBudgets({ name: 'b', amountMsat: 100n, period: 'total' });
    take('a', 60n);
    take('a', 60n);
    expect(() => take('a', 59n)).toThrow(/something else/);
    expect(store.transaction((tx) => settle(tx, { id: 'a', costMsat: 45n }))).toBe(true);
    expect(store.transaction((tx) => settle(tx, { id: 'a', costMsat: 45n }))).toBe(false);
    expect(budgetState(store, { name: 'b', atMs })).toMatchObject({
      usedMsat: 45n,
      reservedMsat: 0n,
      remainingMsat: 55n,
    });
    take('c', 55n);
    store.transaction((tx) => release(tx, { id: 'c' }));
    expect(budgetState(store, { name: 'b', atMs }).remainingMsat).toBe(55n);
  });

  test('can be changed, listed and removed, and are checked', () => {
    const { store, take } = withBudgets({ name: 'b/1', amountMsat: 100n, period: 'total' });
    take('a', 60n);
    store.transaction((tx) => setBudget(tx, { name: 'b/1', amountMsat: 10n, period: 'total' }));
    expect(budgetState(store, { name: 'b/1', atMs })).toMatchObject({ reservedMsat: 60n, remainingMsat: 0n });
    expect(listBudgets(store)).toEqual([{ name: 'b/1', amountMsat: 10n, period: 'total' }]);
    store.transaction((tx) => removeBudget(tx, 'b/1'));
    expect(getBudget(store, 'b/1')).toBeUndefined();
    store.transaction((tx) => settle(tx, { id: 'a', costMsat: 1n }));
    const set = (budget: Partial<Budget>) =>
      store.transaction((tx) =>
        setBudget(tx, { name: 'x', amountMsat: 1n, period: 'day', ...budget } as Budget),
      );
    expect(() => set({ name: '' })).toThrow(/1 to 64/);
    expect(() => set({ amountMsat: -1n })).toThrow(/negative/);
    expect(() => set({ offsetMinutes: 1_000 })).toThrow(/time zone/);
  });

  test('are never exceeded and never negative, whatever is reserved, settled and given back, and in which order', () => {
    const step = fc.record({
      id: fc.nat(6),
      does: fc.constantFrom('reserve' as const, 'settle' as const, 'release' as const),
      amountMsat: fc.bigInt(0n, 60n),
      partly: fc.nat(100),
      dies: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { store } = withBudgets(
          { name: 'a', amountMsat: 100n, period: 'total' },
          { name: 'b', amountMsat: 150n, period: 'total' },
        );
        const held = new Map<string, bigint>();
        let spent = 0n;
        for (const { id: n, does, amountMsat, partly, dies } of steps) {
          const id = `id-${n}`;
          const cost = ((held.get(id) ?? 0n) * BigInt(partly)) / 100n;
          try {
            store.transaction((tx) => {
              if (does === 'reserve') reserve(tx, { id, names: ['a', 'b'], amountMsat, atMs });
              else if (does === 'settle') settle(tx, { id, costMsat: cost });
              else release(tx, { id });
              if (dies) throw new Error('crash');
            });
          } catch {
            continue;
          }
          if (does === 'reserve') held.set(id, amountMsat);
          else {
            if (does === 'settle') spent += cost;
            held.delete(id);
          }
        }
        const reserved = [...held.values()].reduce((sum, each) => sum + each, 0n);
        expect(spent + reserved).toBeLessThanOrEqual(100n);
        for (const [name, amount] of [
          ['a', 100n],
          ['b', 150n],
        ] as const) {
          expect(budgetState(store, { name, atMs })).toMatchObject({
            usedMsat: spent,
            reservedMsat: reserved,
            remainingMsat: amount - spent - reserved,
          });
        }
      }),
      { numRuns: 300 },
    );
  });
});
