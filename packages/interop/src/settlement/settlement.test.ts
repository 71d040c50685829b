import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initCrypto } from '@rivulet/core/crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runSituation } from './runSituation.js';
import { sample } from './sampling.js';
import { commitments, nameOf, reorgDepth, type Situation } from './situation.js';
import { allSituations, exclusionOf } from './table.js';

/** The node takes as final what is six blocks deep: deeper is looked at by `npm run settlement` alone. */
const deepest = 5;
const first: Situation = {
  close: 'local',
  commitment: 'anchors',
  htlcs: 'both',
  path: 'ends',
  preimage: 'before_close',
  resolution: 'in_time',
  reorg: 'none',
  restart: 'kill',
};
/** The same ones every day: what fails can be run again by its name. */
const few = [
  first,
  { ...first, htlcs: 'twins', close: 'revoked', restart: 'none' },
  { ...first, close: 'mutual_legacy', restart: 'none' },
  ...sample(
    allSituations().filter((situation) => reorgDepth(situation) < deepest && situation.restart === 'none'),
    { seed: 7, count: 9 },
  ),
] satisfies Situation[];

describe('a situation ends with the right amounts', () => {
  let parent = '';
  beforeAll(async () => {
    await initCrypto();
    parent = mkdtempSync(join(tmpdir(), 'rivulet-settlement-test-'));
  });
  afterAll(() => rmSync(parent, { recursive: true, force: true }));

  test.each(few.map((situation) => [nameOf(situation), situation] as const))(
    'threats 13 to 17: %s',
    async (_, situation) => {
      await runSituation(situation, { parent });
    },
    60_000,
  );
});

describe('the table', () => {
  const all = allSituations();

  test('has each situation once, under a name of its own', () => {
    expect(new Set(all.map(nameOf)).size).toBe(all.length);
    expect(all.length).toBeGreaterThan(5_000);
  });

  test('has every value of every dimension', () => {
    for (const commitment of commitments) expect(all.some((one) => one.commitment === commitment)).toBe(true);
    for (const key of Object.keys(first) as (keyof Situation)[]) {
      expect(new Set(all.map((one) => one[key])).size).toBeGreaterThan(1);
    }
  });

  test('says why what cannot be is not there', () => {
    expect(exclusionOf({ ...first, preimage: 'from_chain' })).toMatch(/passed the HTLC on/);
    expect(exclusionOf(first)).toBeUndefined();
  });
});

describe('a sample', () => {
  const all = allSituations();

  test('is the same for a seed, and another for another', () => {
    const options = { seed: 3, count: 40 };
    expect(sample(all, options)).toEqual(sample(all, options));
    expect(sample(all, options)).not.toEqual(sample(all, { ...options, seed: 4 }));
  });

  test('of 300 has every value with every other one that it goes with', () => {
    const pairs = (situations: readonly Situation[]) =>
      new Set(
        situations.flatMap((situation) => {
          const values = Object.entries(situation).map(([key, value]) => `${key} ${value}`);
          return values.flatMap((one) => values.map((other) => `${one}, ${other}`));
        }),
      );
    expect(pairs(sample(all, { seed: 1, count: 300 })).size).toBe(pairs(all).size);
  });
});
