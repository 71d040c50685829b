import type { BenchNode, BenchResult } from '../benchResult.js';

/** What nodes in the middle take in both implementations: it does not matter to the speed, but must be paid. */
export const benchForwardingFee = { feeBaseMsat: 0, feeProportionalMillionths: 1000 } as const;

/** Payments from the sender over the forwarder to the receiver. */
export interface ForwardingResult extends BenchResult {
  readonly forwarder: BenchNode;
  /** Of the sender, the forwarder and the receiver; LDK's are not measured. */
  readonly cpuMsPerPayment?: readonly [number, number, number];
}

export interface ForwardingComparison {
  readonly rivulet: ForwardingResult | undefined;
  readonly ldk: ForwardingResult | undefined;
  /** Rivulet's rate over LDK's. */
  readonly ratio: number | undefined;
}

function lines(result: ForwardingResult): string[] {
  const { p50, p95, p99 } = result.latencyMs;
  const of = (read: (node: BenchNode) => number): string =>
    [result.sender, result.forwarder, result.receiver]
      .map((node) => (read(node) / 1e6).toFixed(0))
      .join(' + ');
  const cpu = result.cpuMsPerPayment?.map((ms) => ms.toFixed(2)).join(' + ');
  return [
    `  ${result.implementation.padEnd(8)}${result.paymentsPerSecond.toFixed(1).padStart(8)}/s   latency ms p50 ` +
      `${p50.toFixed(1)}  p95 ${p95.toFixed(1)}  p99 ${p99.toFixed(1)}   (${result.inFlight} in flight)`,
    `            each 1,000: ${result.ratesPerThousand.map((rate) => rate.toFixed(0)).join(' ')}`,
    `            RSS MB ${of(({ rssBytes }) => rssBytes)}   stored MB ${of(({ storedBytes }) => storedBytes)}` +
      (cpu === undefined ? '' : `   CPU ms a payment ${cpu}`),
  ];
}

/** For people; sender + forwarder + receiver where there are three numbers. */
export function formatForwarding({ rivulet, ldk, ratio }: ForwardingComparison): string {
  const { payments, amountMsat } = (rivulet ?? ldk) as ForwardingResult;
  return [
    `${payments} payments of ${amountMsat / 1000n} sat over the middle of three nodes`,
    ...(rivulet === undefined ? [] : lines(rivulet)),
    ...(ldk === undefined ? [] : lines(ldk)),
    ...(ratio === undefined ? [] : [`  Rivulet / LDK: ${ratio.toFixed(2)}`]),
  ].join('\n');
}
