import type { AuditSink, GuardVerdict, JudgedPayment, PaymentGuard } from '../ledger/auditSink.js';
import { sortableNumber } from '../store/sortableKey.js';
import type { StoreTransaction } from '../store/toolkitStore.js';
import { amountText } from '../value/amountText.js';
import { unknownCounterparty } from './auditEntry.js';
import { type Counterparty, readCounterparty } from './counterparties.js';
import { raiseFlag } from './flags.js';
import { type Monitor, readMonitors, windowPrefix } from './monitors.js';
import { countInWindow, uncountInWindow, windowSum } from './window.js';

export interface GuardOptions {
  readonly audit?: AuditSink;
}

/** Judges what leaves, and looks at what has arrived. */
export interface ToolkitGuard extends PaymentGuard {
  /**
   * The same for a payment that was settled already: everything that is found becomes a flag.
   * @returns the names of what was found.
   */
  reviewIncoming(tx: StoreTransaction, payment: Omit<JudgedPayment, 'direction'>): readonly string[];
}

interface Finding {
  /** The monitor's name, `blocked` or `limit`. */
  readonly monitor: string;
  readonly action: 'flag' | 'hold' | 'refuse';
  readonly reason: string;
}

/** What is remembered of a payment that was judged. */
interface Judged {
  readonly atMs: number;
  /** A refused one does not count: it never left. */
  readonly counted: boolean;
  readonly action: 'allow' | 'hold' | 'refuse';
  readonly flags: readonly string[];
  readonly reason?: string;
  /** Where it was counted. */
  readonly windows?: readonly (readonly [key: string, windowMs: number])[];
}

const dayMs = 86_400_000;
/** How long a payment's name is remembered. Longer than any payment is tried. */
const memoryMs = 62 * dayMs;
const forgetAtOnce = 4;

/**
 * The guard of a store: what the book of counterparties and the monitors say. A payment counts once, when it is
 * allowed or held, however often it is judged, until it is forgotten: when it certainly failed, or was denied.
 */
export function createGuard({ audit }: GuardOptions = {}): ToolkitGuard {
  const judge = (tx: StoreTransaction, given: JudgedPayment, settled: boolean): Judged => {
    // Whoever writes an address decides about its letters.
    const payment = { ...given, counterparty: given.counterparty.toLowerCase() };
    const key = judgedKey(payment);
    const text = tx.get(key);
    const before = text === undefined ? undefined : (JSON.parse(text) as Judged);
    const entry = readCounterparty(tx, payment.counterparty);
    const behind = payment.nodeId === undefined ? undefined : readCounterparty(tx, payment.nodeId);
    const blocked = isBlocked(entry, payment) || isBlocked(behind, payment);
    if (before?.counted === true && (settled || !blocked)) return before;
    const monitors = readMonitors(tx).filter(
      ({ direction }) => direction === 'both' || direction === payment.direction,
    );
    const findings = [
      ...byBook(tx, { entry: isBlocked(behind, payment) ? behind : entry, payment }),
      ...monitors.flatMap((monitor) => byMonitor(tx, { monitor, payment })),
    ];
    const verdict = settled ? allowed(findings, payment) : judgedBy(findings, payment);
    // What is sent back to strangers leaves nothing: it costs them nothing to try again.
    if (payment.direction === 'incoming' && verdict.action === 'refuse') return verdict;
    for (const finding of findings) {
      if (before?.flags.includes(finding.monitor) === true) continue;
      const { atMs, direction, counterparty, amountMsat, id } = payment;
      const action = settled ? 'flag' : finding.action;
      const about = { atMs, direction, counterparty, amountMsat: amountMsat.toString(), payment: id };
      raiseFlag(tx, { flag: { ...about, ...finding, action }, audit });
    }
    const flags = [...new Set([...(before?.flags ?? []), ...verdict.flags])];
    if (before?.counted === true) {
      // Blocked since: refused as long as it is, and counted all the same.
      tx.put(key, JSON.stringify({ ...before, flags } satisfies Judged));
      return verdict;
    }
    const windows = verdict.counted ? monitors.flatMap((monitor) => countFor(tx, { monitor, payment })) : [];
    if (verdict.counted) countForBook(tx, payment);
    const judged: Judged = { ...verdict, flags, ...(windows.length === 0 ? {} : { windows }) };
    tx.put(key, JSON.stringify(judged));
    if (before === undefined) remember(tx, { key, atMs: payment.atMs });
    return judged;
  };
  return {
    judge: (tx, payment) => verdictOf(judge(tx, payment, false)),
    forget(tx, given) {
      const payment = { ...given, counterparty: given.counterparty.toLowerCase() };
      const key = judgedKey(payment);
      const text = tx.get(key);
      const before = text === undefined ? undefined : (JSON.parse(text) as Judged);
      if (before?.counted !== true) return;
      const { windows = [], ...rest } = before;
      const { atMs } = before;
      const { amountMsat } = payment;
      for (const [window, windowMs] of windows) {
        uncountInWindow(tx, { key: window, windowMs, atMs, amountMsat });
      }
      uncountForBook(tx, { ...payment, atMs });
      tx.put(key, JSON.stringify({ ...rest, counted: false } satisfies Judged));
    },
    reviewIncoming: (tx, payment) => judge(tx, { ...payment, direction: 'incoming' }, true).flags,
  };
}

function allowed(findings: readonly Finding[], { atMs }: JudgedPayment): Judged {
  return { atMs, counted: true, action: 'allow', flags: findings.map(({ monitor }) => monitor) };
}

function judgedBy(findings: readonly Finding[], payment: JudgedPayment): Judged {
  for (const action of ['refuse', 'hold'] as const) {
    const found = findings.filter((finding) => finding.action === action);
    if (found.length === 0) continue;
    const reason = found.map((finding) => finding.reason).join('; ');
    return { ...allowed(findings, payment), counted: action === 'hold', action, reason };
  }
  return allowed(findings, payment);
}

function verdictOf({ action, flags, reason = '' }: Judged): GuardVerdict {
  return action === 'allow' ? { action, flags } : { action, reason };
}

function isBlocked(entry: Counterparty | undefined, { direction }: JudgedPayment): boolean {
  return entry?.blocked === 'both' || entry?.blocked === direction;
}

function byBook(
  tx: StoreTransaction,
  { entry, payment }: { entry: Counterparty | undefined; payment: JudgedPayment },
): Finding[] {
  if (entry === undefined) return [];
  const { direction, counterparty, amountMsat } = payment;
  const who = entry.name ?? counterparty;
  if (isBlocked(entry, payment)) {
    return [{ monitor: 'blocked', action: 'refuse', reason: `${who} is blocked` }];
  }
  const { perPaymentMsat, perDayMsat, perMonthMsat } = entry[direction] ?? {};
  const { day, month } = sumsOf(tx, payment);
  const over = [
    ['payment', perPaymentMsat, 0n],
    ['day', perDayMsat, day],
    ['month', perMonthMsat, month],
  ] as const;
  return over.flatMap(([per, limit, spent]) =>
    limit === undefined || spent + amountMsat <= limit
      ? []
      : [
          {
            monitor: 'limit',
            action: entry.whenOver ?? 'refuse',
            reason: `${who} has a limit of ${amountText(limit)} a ${per}`,
          },
        ],
  );
}

function byMonitor(
  tx: StoreTransaction,
  { monitor, payment }: { monitor: Monitor; payment: JudgedPayment },
): Finding[] {
  const reason = reasonOf(tx, { monitor, payment });
  return reason === undefined
    ? []
    : [{ monitor: monitor.name, action: monitor.action, reason: `${monitor.name}: ${reason}` }];
}

function reasonOf(
  tx: StoreTransaction,
  { monitor, payment }: { monitor: Monitor; payment: JudgedPayment },
): string | undefined {
  const { amountMsat, atMs } = payment;
  switch (monitor.kind) {
    case 'threshold':
      return amountMsat > BigInt(monitor.aboveMsat)
        ? `more than ${amountText(monitor.aboveMsat)}`
        : undefined;
    case 'new_counterparty': {
      if (amountMsat <= BigInt(monitor.aboveMsat)) return undefined;
      const { firstMs } = sumsOf(tx, payment);
      const knownMs = (monitor.knownSeconds ?? dayMs / 1000) * 1000;
      const isKnown =
        payment.counterparty !== unknownCounterparty && firstMs !== undefined && atMs - firstMs >= knownMs;
      return isKnown ? undefined : `more than ${amountText(monitor.aboveMsat)} with somebody new`;
    }
    case 'velocity': {
      const { count, msat } = windowSum(tx, windowOf(monitor, payment));
      const { maxCount, maxMsat, windowSeconds } = monitor;
      if (maxCount !== undefined && count + 1 > maxCount)
        return `more than ${maxCount} payments in ${windowSeconds} s`;
      if (maxMsat !== undefined && msat + amountMsat > BigInt(maxMsat))
        return `more than ${amountText(maxMsat)} in ${windowSeconds} s`;
      return undefined;
    }
    case 'structuring': {
      if (!isJustBelow(monitor, amountMsat)) return undefined;
      const { count } = windowSum(tx, windowOf(monitor, payment));
      return count + 1 < monitor.count
        ? undefined
        : `${count + 1} payments just below ${amountText(monitor.belowMsat)} in ${monitor.windowSeconds} s`;
    }
  }
}

type WindowMonitor = Extract<Monitor, { kind: 'velocity' | 'structuring' }>;

function isJustBelow(
  { belowMsat, percent }: Extract<Monitor, { kind: 'structuring' }>,
  amountMsat: bigint,
): boolean {
  const below = BigInt(belowMsat);
  return amountMsat < below && amountMsat * 100n >= below * BigInt(100 - percent);
}

function windowOf(
  { name, scope, windowSeconds }: WindowMonitor,
  { direction, counterparty, atMs }: JudgedPayment,
) {
  const who = scope === 'all' ? '' : counterparty;
  return { key: `${windowPrefix(name)}${direction}/${who}`, windowMs: windowSeconds * 1000, atMs };
}

function countFor(
  tx: StoreTransaction,
  { monitor, payment }: { monitor: Monitor; payment: JudgedPayment },
): (readonly [key: string, windowMs: number])[] {
  const { amountMsat } = payment;
  if (monitor.kind !== 'velocity' && monitor.kind !== 'structuring') return [];
  if (monitor.kind === 'structuring' && !isJustBelow(monitor, amountMsat)) return [];
  const window = windowOf(monitor, payment);
  countInWindow(tx, { ...window, amountMsat });
  return [[window.key, window.windowMs]];
}

/** What went to, or came from, one counterparty. */
interface Sums {
  readonly firstMs: number | undefined;
  /** In the day and the month of UTC that the payment is in. */
  readonly day: bigint;
  readonly month: bigint;
}

interface StoredSums {
  readonly firstMs: number;
  readonly day: string;
  readonly dayMsat: string;
  readonly month: string;
  readonly monthMsat: string;
}

function sumsOf(tx: StoreTransaction, payment: JudgedPayment): Sums {
  const text = tx.get(sumsKey(payment));
  if (text === undefined) return { firstMs: undefined, day: 0n, month: 0n };
  const { firstMs, day, dayMsat, month, monthMsat } = JSON.parse(text) as StoredSums;
  const today = dayOf(payment.atMs);
  // A clock that was set back must not begin a day anew.
  return {
    firstMs,
    day: day >= today ? BigInt(dayMsat) : 0n,
    month: month >= today.slice(0, 7) ? BigInt(monthMsat) : 0n,
  };
}

function countForBook(tx: StoreTransaction, payment: JudgedPayment): void {
  const { firstMs, day, month } = sumsOf(tx, payment);
  const { atMs, amountMsat } = payment;
  const today = dayOf(atMs);
  const stored: StoredSums = {
    firstMs: firstMs ?? atMs,
    day: today,
    dayMsat: (day + amountMsat).toString(),
    month: today.slice(0, 7),
    monthMsat: (month + amountMsat).toString(),
  };
  tx.put(sumsKey(payment), JSON.stringify(stored));
}

/** Takes back what was counted at `payment.atMs`; since when somebody is known stays. */
function uncountForBook(tx: StoreTransaction, payment: JudgedPayment): void {
  const text = tx.get(sumsKey(payment));
  if (text === undefined) return;
  const sums = JSON.parse(text) as StoredSums;
  const day = dayOf(payment.atMs);
  const less = (msat: string): string => {
    const rest = BigInt(msat) - payment.amountMsat;
    return (rest > 0n ? rest : 0n).toString();
  };
  const stored: StoredSums = {
    ...sums,
    ...(sums.day === day ? { dayMsat: less(sums.dayMsat) } : {}),
    ...(sums.month === day.slice(0, 7) ? { monthMsat: less(sums.monthMsat) } : {}),
  };
  tx.put(sumsKey(payment), JSON.stringify(stored));
}

/** `2026-11-21`, UTC. */
export function dayOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10);
}

function sumsKey({ direction, counterparty }: JudgedPayment): string {
  return `guardSums/${direction}/${counterparty}`;
}

function judgedKey({ direction, id }: JudgedPayment): string {
  return `guardJudged/${direction}/${id}`;
}

/** Lists it by time, and forgets a few that are old: the store does not grow with the years. */
function remember(tx: StoreTransaction, { key, atMs }: { key: string; atMs: number }): void {
  const prefix = 'guardJudgedAt/';
  for (const entry of tx.list({
    prefix,
    before: `${prefix}${sortableNumber(Math.max(0, atMs - memoryMs))}`,
    limit: forgetAtOnce,
  })) {
    tx.delete(entry.key);
    tx.delete(entry.value);
  }
  tx.put(`${prefix}${sortableNumber(Math.max(0, atMs))}/${key}`, key);
}
