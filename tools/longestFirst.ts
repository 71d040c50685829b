import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take longest, longest first: begun late, they would keep one worker busy when all others are done. */
const longest = [
  'chaos/chaos.test.ts',
  'interop/interop.test.ts',
  'simulator/',
  'replicaCrash.test.ts',
  'settlement/',
  'interop/src/keysend/',
];

function rank({ moduleId }: TestSpecification): number {
  const found = longest.findIndex((part) => moduleId.includes(part));
  return found < 0 ? longest.length : found;
}

/** Begins with the files that take longest; a fresh clone knows no durations of its own. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => rank(a) - rank(b));
  }
}
