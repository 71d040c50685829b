import { sendingFeeMsat } from '@rivulet/core/payment';
import type { PaymentRecord } from './paymentRecord.js';

export interface PaymentStatistics {
  readonly payments: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Of all payments, from 0 to 1. */
  readonly successRate: number;
  /** HTLCs a payment. */
  readonly meanAttempts: number;
  /** Succeeded without an HTLC that failed; of all payments. */
  readonly firstAttemptRate: number;
  /** The same of the first tenth of payments, and of the last: what learning is worth. */
  readonly firstTenthRate: number;
  readonly lastTenthRate: number;
  /** Of what succeeded: fees in millionths of what arrived. */
  readonly feePpm: number;
  readonly meanHops: number;
  /** Of what succeeded, from the call to the preimage; virtual milliseconds. */
  readonly latencyP50Ms: number;
  readonly latencyP95Ms: number;
  readonly deliveredMsat: bigint;
  readonly feesMsat: bigint;
  /** Why payments failed: how often, by code. */
  readonly failures: Readonly<Record<string, number>>;
  /** Why HTLCs failed: how often, by the name of the failure. */
  readonly attemptFailures: Readonly<Record<string, number>>;
}

export function paymentStatistics(records: readonly PaymentRecord[]): PaymentStatistics {
  const succeeded = records.filter(({ sending }) => sending?.status === 'succeeded');
  const latencies = succeeded
    .map(({ startedAtMs, endedAtMs = startedAtMs }) => endedAtMs - startedAtMs)
    .sort((a, b) => a - b);
  const failures = new Map<string, number>();
  const attemptFailures = new Map<string, number>();
  let attempts = 0;
  let hops = 0;
  let paths = 0;
  let deliveredMsat = 0n;
  let feesMsat = 0n;
  for (const { sending, request } of records) {
    if (sending === undefined) continue;
    attempts += sending.attempts.length;
    for (const { failure } of sending.attempts)
      if (failure !== undefined) countUp(attemptFailures, failure.cause);
    if (sending.status !== 'succeeded') {
      countUp(failures, sending.failure?.code ?? 'pending');
      continue;
    }
    deliveredMsat += request.amountMsat;
    feesMsat += sendingFeeMsat(sending);
    for (const { status, route } of sending.attempts) {
      if (status !== 'fulfilled') continue;
      hops += route.hops.length;
      paths++;
    }
  }
  const tenth = Math.ceil(records.length / 10);
  return {
    payments: records.length,
    succeeded: succeeded.length,
    failed: records.length - succeeded.length,
    successRate: ratio(succeeded.length, records.length),
    meanAttempts: ratio(attempts, records.length),
    firstAttemptRate: firstAttemptRate(records),
    firstTenthRate: firstAttemptRate(records.slice(0, tenth)),
    lastTenthRate: firstAttemptRate(records.slice(-tenth)),
    feePpm: deliveredMsat === 0n ? 0 : Number((feesMsat * 1_000_000n) / deliveredMsat),
    meanHops: ratio(hops, paths),
    latencyP50Ms: quantile(latencies, 0.5),
    latencyP95Ms: quantile(latencies, 0.95),
    deliveredMsat,
    feesMsat,
    failures: sorted(failures),
    attemptFailures: sorted(attemptFailures),
  };
}

function firstAttemptRate(records: readonly PaymentRecord[]): number {
  const first = records.filter(
    ({ sending }) =>
      sending?.status === 'succeeded' && sending.attempts.every(({ status }) => status !== 'failed'),
  );
  return ratio(first.length, records.length);
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

function quantile(sortedValues: readonly number[], share: number): number {
  return sortedValues[Math.min(sortedValues.length - 1, Math.floor(sortedValues.length * share))] ?? 0;
}

function countUp(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

/** The most frequent first. */
export function sorted(counts: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)));
}
