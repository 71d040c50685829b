import { describe, expect, test } from 'vitest';
import { planFaults } from './faultPlan.js';

const plan = (seed: number, minutes = 60) => planFaults({ seed, minutes, nodes: 3, wires: 3 });

describe('a plan of faults', () => {
  test('is the same for the same seed, and another for another', () => {
    expect(plan(5)).toEqual(plan(5));
    expect(plan(5)).not.toEqual(plan(6));
  });

  test('is in order, within its time, and has every kind in an hour', () => {
    const planned = plan(9);
    const times = planned.map(({ atMs }) => atMs);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(times.at(-1)).toBeLessThan(3_600_000);
    expect(new Set(planned.map(({ fault }) => fault.kind)).size).toBe(16);
    const storage = planned.flatMap(({ fault }) => (fault.kind === 'storage' ? [fault.fault] : []));
    expect(new Set(storage.map((fault) => `${fault.kind} ${'when' in fault ? fault.when : ''}`)).size).toBe(
      9,
    );
  });

  test('is neither idle nor a storm', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { length } = plan(seed, 10);
      expect(length).toBeGreaterThan(200);
      expect(length).toBeLessThan(480);
    }
  });
});
