import fc from 'fast-check';
import { describe, test } from 'vitest';
import { movesOf, runOptions } from './moves.test.support.js';
import { play } from './world.test.support.js';

/** RIVULET_MODEL_RUNS: how many runs; RIVULET_MODEL_SEED and RIVULET_MODEL_PATH: what a failure named. */
const { env } = (globalThis as unknown as { process: { env: Record<string, string | undefined> } }).process;
const runs = Number(env.RIVULET_MODEL_RUNS ?? 2_000);
const replayed = {
  ...(env.RIVULET_MODEL_SEED === undefined ? {} : { seed: Number(env.RIVULET_MODEL_SEED) }),
  ...(env.RIVULET_MODEL_PATH === undefined ? {} : { path: env.RIVULET_MODEL_PATH, endOnFailure: true }),
};

describe('two channel machines with queues, crashes and lost turns between them', () => {
  test(
    'agree at the end of every run (threats 16, 26)',
    () => {
      const property = fc.property(runOptions, movesOf(70), (options, moves) => {
        play(options, moves);
      });
      const report = fc.check(property, { numRuns: runs, ...replayed });
      const replay = `replay with RIVULET_MODEL_SEED=${report.seed} RIVULET_MODEL_PATH=${report.counterexamplePath}`;
      if (!report.failed) return;
      throw new Error(`${replay}\n${fc.defaultReportMessage(report)}`, { cause: report.errorInstance });
    },
    24 * 3_600_000,
  );
});
