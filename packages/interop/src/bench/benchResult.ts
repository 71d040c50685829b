export interface BenchRequest {
  payments: number;
  amountMsat: bigint;
  /** How many payments are under way at once. */
  inFlight: number;
}

/** What a sender measured: milliseconds, in the order in which payments settled. */
export interface BenchMeasurement {
  elapsedMs: number;
  /** From handing the payment to the sender until the sender knows its preimage. */
  latenciesMs: Float64Array;
  /** From the start of the first payment. */
  settledAtMs: Float64Array;
}

/** One of the two nodes, after the run. */
export interface BenchNode {
  rssBytes: number;
  /** What the node's durable state takes. */
  storedBytes: number;
}

export interface BenchResult extends BenchRequest {
  implementation: 'rivulet' | 'ldk';
  elapsedMs: number;
  paymentsPerSecond: number;
  /** The rate of every 1,000 payments settled, and of the rest: does it decay? */
  ratesPerThousand: readonly number[];
  latencyMs: { p50: number; p95: number; p99: number };
  sender: BenchNode;
  receiver: BenchNode;
}

/** The value below which a share (0 to 1) of the ascending values lies. */
function percentile(ascending: Float64Array, share: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))] ?? Number.NaN;
}

export function createBenchResult({
  request,
  measurement: { elapsedMs, latenciesMs, settledAtMs },
  ...rest
}: {
  implementation: BenchResult['implementation'];
  request: BenchRequest;
  measurement: BenchMeasurement;
  sender: BenchNode;
  receiver: BenchNode;
}): BenchResult {
  const ratesPerThousand: number[] = [];
  for (let from = 0; from < settledAtMs.length; from += 1000) {
    const to = Math.min(from + 1000, settledAtMs.length);
    const begin = from === 0 ? 0 : (settledAtMs[from - 1] as number);
    ratesPerThousand.push(((to - from) * 1000) / ((settledAtMs[to - 1] as number) - begin));
  }
  const ascending = Float64Array.from(latenciesMs).sort();
  const { payments, amountMsat, inFlight } = request;
  return {
    ...rest,
    payments,
    amountMsat,
    inFlight,
    elapsedMs,
    paymentsPerSecond: (settledAtMs.length * 1000) / elapsedMs,
    ratesPerThousand,
    latencyMs: {
      p50: percentile(ascending, 0.5),
      p95: percentile(ascending, 0.95),
      p99: percentile(ascending, 0.99),
    },
  };
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}

/** One line of text. */
export function formatBenchResult(result: BenchResult): string {
  const { latencyMs, sender, receiver } = result;
  const rates = result.ratesPerThousand.map((rate) => rate.toFixed(0)).join(' ');
  return [
    result.implementation.padEnd(7),
    `${result.payments} x ${result.amountMsat / 1000n} sat, ${result.inFlight} in flight:`,
    `${result.paymentsPerSecond.toFixed(1)}/s`,
    `(each 1,000: ${rates})`,
    `latency ms p50 ${latencyMs.p50.toFixed(1)} p95 ${latencyMs.p95.toFixed(1)} p99 ${latencyMs.p99.toFixed(1)},`,
    `RSS MB ${megabytes(sender.rssBytes)} + ${megabytes(receiver.rssBytes)},`,
    `stored MB ${megabytes(sender.storedBytes)} + ${megabytes(receiver.storedBytes)}`,
  ].join(' ');
}
