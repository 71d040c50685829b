import { defineConfig } from 'vitest/config';
import { SumReporter } from './tools/sumReporter.js';

export default defineConfig({
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source', 'node', 'import', 'module', 'default'] } },
  test: {
    include: ['packages/*/src/**/*.test.ts'],
    pool: 'forks',
    reporters: ['default', new SumReporter()],
    setupFiles: ['./vitest.setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
