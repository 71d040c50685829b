import type { BenchNode, BenchResult } from './benchResult.js';
import type { RivuletBenchResult } from './rivuletPair.js';

/** One measurement of Rivulet, and of LDK beside it. */
export interface PaymentsComparison {
  rivulet: RivuletBenchResult;
  ldk: BenchResult | undefined;
  /** Rivulet's rate over LDK's. */
  ratio: number | undefined;
}

const fixed = (value: number, digits = 0): string => value.toFixed(digits);
const pair = ([sender, receiver]: readonly [number, number], digits = 0): string =>
  `${fixed(sender, digits)} + ${fixed(receiver, digits)}`;

function megabytes(of: (node: BenchNode) => number, { sender, receiver }: BenchResult): string {
  return pair([of(sender) / 1e6, of(receiver) / 1e6]);
}

function lines(result: BenchResult): string[] {
  const { p50, p95, p99 } = result.latencyMs;
  return [
    `  ${result.implementation.padEnd(8)}${fixed(result.paymentsPerSecond, 1).padStart(8)}/s   latency ms p50 ` +
      `${fixed(p50, 1)}  p95 ${fixed(p95, 1)}  p99 ${fixed(p99, 1)}   (${result.inFlight} in flight)`,
    `            each 1,000: ${result.ratesPerThousand.map((rate) => fixed(rate)).join(' ')}`,
    `            RSS MB ${megabytes((node) => node.rssBytes, result)}   stored MB ` +
      megabytes((node) => node.storedBytes, result),
  ];
}

/** For people; sender + receiver where there are two numbers. */
export function formatComparison({ rivulet, ldk, ratio }: PaymentsComparison): string {
  const channels = rivulet.channels === 1 ? '1 channel' : `${rivulet.channels} channels`;
  const both = rivulet.direction === 'both' ? ', half of them each way' : '';
  return [
    `${rivulet.payments} payments of ${rivulet.amountMsat / 1000n} sat, ${rivulet.inFlight} in flight, ${channels}${both}`,
    ...lines(rivulet),
    `            a payment: CPU ms ${pair(rivulet.cpuMsPerPayment, 2)}   database bytes ` +
      `${pair(rivulet.storedBytesPerPayment)}   RSS bytes ${pair(rivulet.rssBytesPerPayment)}`,
    ...(ldk === undefined ? [] : lines(ldk)),
    ...(ratio === undefined ? [] : [`  Rivulet / LDK: ${fixed(ratio, 2)}`]),
  ].join('\n');
}
