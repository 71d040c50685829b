import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type NodeStorage, openStorage } from '@rivulet/storage';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createDice } from '../interop/dice.js';
import { tearWal } from './tornWal.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rivulet-torn-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const put = (storage: NodeStorage, number: number) =>
  storage.transaction((tx) => {
    tx.putValue('number', Uint8Array.of(number));
    for (let i = 0; i < 20; i++) tx.putValue(`value-${i}`, new Uint8Array(900).fill(number));
  });

describe('a write-ahead log that is torn in a commit', () => {
  test('opens again, with all of the commits before and all or nothing of the one that was torn', () => {
    const path = join(folder, 'one.db');
    const storage = openStorage({ path });
    for (let number = 1; number <= 5; number++) put(storage, number);
    const before = Uint8Array.from(readFileSync(`${path}-wal`));
    put(storage, 6);
    const after = Uint8Array.from(readFileSync(`${path}-wal`));
    const outcomes = new Set<number | undefined>();
    for (let seed = 1; seed <= 60; seed++) {
      const copy = join(folder, `torn-${seed}.db`);
      copyFileSync(path, copy);
      writeFileSync(`${copy}-wal`, tearWal(before, after, createDice(seed)));
      const reopened = openStorage({ path: copy });
      const number = reopened.getValue('number')?.[0];
      outcomes.add(number);
      expect(reopened.integrityCheck()).toEqual([]);
      for (let i = 0; i < 20; i++) {
        expect(reopened.getValue(`value-${i}`)).toEqual(new Uint8Array(900).fill(number as number));
      }
      reopened.close();
    }
    expect([...outcomes].sort()).toContain(5);
    for (const outcome of outcomes) expect([5, 6]).toContain(outcome);
    storage.close();
  });

  test('keeps every byte that was there before and that the commit did not write', () => {
    const bytes = fc.uint8Array({ minLength: 600, maxLength: 4_000 });
    fc.assert(
      fc.property(bytes, bytes, fc.integer({ min: 1 }), (before, written, seed) => {
        const after = Uint8Array.from([...before, ...written]);
        const torn = tearWal(before, after, createDice(seed));
        expect(torn.length).toBeGreaterThanOrEqual(before.length);
        expect(torn.length).toBeLessThanOrEqual(after.length);
        expect(torn.subarray(0, before.length)).toEqual(before);
      }),
      { numRuns: 200 },
    );
  });
});
