import { expect, test } from 'vitest';
import { createBenchResult, formatBenchResult } from './benchResult.js';

const node = { rssBytes: 100_000_000, storedBytes: 5_000_000 };

test('rates are of every 1,000 payments and of the rest; latencies are percentiles', () => {
  const payments = 2500;
  const result = createBenchResult({
    implementation: 'ldk',
    request: { payments, amountMsat: 10_000_000n, inFlight: 1 },
    measurement: {
      elapsedMs: 1000 + 2000 + 500,
      // One a millisecond at first, then one every two, then one a millisecond.
      settledAtMs: Float64Array.from({ length: payments }, (_, i) =>
        i < 1000 ? i + 1 : i < 2000 ? 1000 + (i - 999) * 2 : 3000 + (i - 1999),
      ),
      // Descending, so that a percentile of what is not sorted would be another.
      latenciesMs: Float64Array.from({ length: payments }, (_, i) => payments - i),
    },
    sender: node,
    receiver: node,
  });
  expect(result.ratesPerThousand).toEqual([1000, 500, 1000]);
  expect(result.paymentsPerSecond).toBeCloseTo(714.3, 1);
  expect(result.latencyMs).toEqual({ p50: 1251, p95: 2376, p99: 2476 });
  expect(formatBenchResult(result)).toContain(
    '2500 x 10000 sat, 1 in flight: 714.3/s (each 1,000: 1000 500 1000)',
  );
});
