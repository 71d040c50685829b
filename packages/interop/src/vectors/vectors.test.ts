import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { allVectorCases, runVectors, vectorsNotRun } from './runVectors.js';
import { readFixture } from './vectorCase.js';

// The cases themselves run in the test beside each file of cases.
describe('the run of all vectors', () => {
  test('has the cases of every file of cases, each under a name of its own', () => {
    const names = allVectorCases().map(({ name }) => name);
    for (const file of readdirSync(new URL('.', import.meta.url))) {
      const bolt = /^bolt(\d\d)\.(ts|js)$/.exec(file)?.[1];
      if (bolt === undefined) continue;
      expect(names.filter((name) => name.startsWith(`BOLT ${Number(bolt)} `)).length).toBeGreaterThan(0);
    }
    expect(new Set(names).size).toBe(names.length);
  });

  test('says the source of every file of vectors', () => {
    const notes = readFixture('README.md');
    const files = readdirSync(new URL('../../fixtures/', import.meta.url));
    expect(files.filter((file) => file !== 'README.md' && !notes.includes(`\`${file}\``))).toEqual([]);
  });

  test('goes on after a failure, counts it and says what it was', () => {
    const lines: string[] = [];
    const fail = () => {
      throw new Error('bytes differ');
    };
    const result = runVectors(
      [
        { name: 'one', run: () => {} },
        { name: 'two', run: fail },
        { name: 'three', run: () => {} },
      ],
      (line) => lines.push(line),
    );
    expect(result).toEqual({ passed: 2, failed: 1 });
    expect(lines.slice(0, 3)).toEqual(['ok    one', 'FAIL  two: bytes differ', 'ok    three']);
    expect(lines.slice(3, -1)).toEqual(vectorsNotRun.map((left) => `not run  ${left}`));
    expect(lines.at(-1)).toBe('2 passed, 1 failed');
  });
});
