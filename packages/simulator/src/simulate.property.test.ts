import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hostilityKinds } from './hostility.js';
import type { SimulationOptions } from './options.js';
import { simulate } from './simulate.js';

/** Small networks of all kinds: dense and sparse, quick and slow, kind and hostile. */
const networks: fc.Arbitrary<SimulationOptions> = fc.record({
  seed: fc.nat(),
  nodes: fc.integer({ min: 10, max: 24 }),
  channels: fc.integer({ min: 24, max: 50 }),
  payments: fc.integer({ min: 20, max: 50 }),
  paymentsPerSecond: fc.constantFrom(1, 10, 100),
  mostAmountSat: fc.constantFrom(300, 20_000, 2_000_000),
  loss: fc.constantFrom(0, 0, 0.01),
  turnMs: fc.constantFrom(1, 20),
  maxAcceptedHtlcs: fc.constantFrom(2, 483),
  curve: fc.constantFrom('toy' as const, 'toy' as const, 'real' as const),
});

describe('networks of real nodes, whatever happens in them', { timeout: 180_000 }, () => {
  test('honest nodes over links and memories that fail: all ends, and nobody loses anything', () => {
    fc.assert(
      fc.property(networks, fc.integer({ min: 0, max: 12 }), (options, crashes) => {
        const { violations, paidByOthers, closedChannels } = simulate({ ...options, crashes });
        expect(violations).toEqual([]);
        expect(paidByOthers).toBe(0);
        expect(closedChannels).toBe(0);
      }),
      { numRuns: 10 },
    );
  });

  test('hostile hops of every kind: no honest node loses, and every payment ends once', () => {
    fc.assert(
      fc.property(
        networks,
        fc.shuffledSubarray([...hostilityKinds], { minLength: 1 }),
        fc.integer({ min: 1, max: 8 }),
        (options, hostilities, hostile) => {
          const { violations } = simulate({ ...options, hostilities, hostile, hostileRate: 0.7 });
          expect(violations).toEqual([]);
        },
      ),
      { numRuns: 12 },
    );
  });

  test('hostile hops, lost connections and crashes together', () => {
    fc.assert(
      fc.property(
        networks,
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 15 }),
        (options, hostile, crashes) => {
          const { violations } = simulate({
            ...options,
            hostile,
            crashes,
            hostilities: rotated(options.seed),
          });
          expect(violations).toEqual([]);
        },
      ),
      { numRuns: 10 },
    );
  });
});

/** All kinds, beginning with another one for each seed. */
function rotated(seed: SimulationOptions['seed']) {
  const by = Number(seed) % hostilityKinds.length;
  return [...hostilityKinds.slice(by), ...hostilityKinds.slice(0, by)];
}
