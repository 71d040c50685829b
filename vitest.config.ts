import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './tools/longestFirst.js';
import { SumReporter } from './tools/sumReporter.js';

export default defineConfig({
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source', 'node', 'import', 'module', 'default'] } },
  test: {
    projects: [
      // What shares nothing but modules loads them once for many files.
      {
        extends: true,
        test: { name: 'pure', include: ['packages/{core,keysend,sdk}/src/**/*.test.ts'], isolate: false },
      },
      {
        extends: true,
        test: { name: 'nodes', include: ['packages/!(core|keysend|sdk)/src/**/*.test.ts'] },
      },
    ],
    pool: 'forks',
    // One more than two cores have: the chaos test mostly waits.
    maxWorkers: Math.max(3, availableParallelism()),
    sequence: { sequencer: LongestFirst },
    reporters: ['default', new SumReporter()],
    setupFiles: ['./vitest.setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
