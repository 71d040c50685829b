import { readFileSync } from 'node:fs';

/** One official test vector: `run` throws where our code disagrees with it. */
export interface VectorCase {
  /** For example `BOLT 8 appendix A: act one bad version`. */
  readonly name: string;
  run(): void;
}

/** Reads a file of `packages/interop/fixtures`; each has a note of its source beside it. */
export function readFixture(name: string): string {
  return readFileSync(new URL(`../../fixtures/${name}`, import.meta.url), 'utf8');
}
