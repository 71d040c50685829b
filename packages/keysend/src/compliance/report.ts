import type { LegState, LegSummary } from '../ledger/leg.js';
import { readSummary } from '../ledger/legStore.js';
import { bigintAsDigits } from '../records/json.js';
import type { ToolkitStore } from '../store/toolkitStore.js';
import { type AuditType, unknownCounterparty } from './auditEntry.js';
import type { AuditRecord } from './auditLine.js';
import { AuditLog } from './auditLog.js';
import { dayOf } from './guard.js';

/** Payments and what they come to. */
export interface ReportSums {
  readonly sent: number;
  readonly sentMsat: bigint;
  /** Of those sent. */
  readonly feesMsat: bigint;
  readonly received: number;
  readonly receivedMsat: bigint;
  readonly flags: number;
}

export interface ReportRow extends ReportSums {
  readonly name: string;
}

export interface AuditReport {
  readonly fromMs: number;
  /** Not part of it. */
  readonly toMs: number;
  readonly totals: ReportSums;
  /** How many entries of each type there are. */
  readonly entries: Readonly<Partial<Record<string, number>>>;
  /** Each with the largest sums first. */
  readonly byCounterparty: readonly ReportRow[];
  readonly byPurpose: readonly ReportRow[];
  /** By day of UTC, the oldest first. */
  readonly byDay: readonly ReportRow[];
  /** What is not over now, whatever the time of the report. */
  readonly open: readonly {
    readonly state: LegState;
    readonly payments: number;
    readonly amountMsat: bigint;
  }[];
}

/** The report of a store: of its log, and of what is open in its ledger. */
export function storeReport(
  store: ToolkitStore,
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
): AuditReport {
  const records = new AuditLog({ store }).records();
  return auditReport({ records, fromMs, toMs, ledger: readSummary(store, undefined) });
}

/**
 * Sums up what an audit log says of a time. In memory is one row for each day, counterparty and purpose.
 * @param records of the whole log: an entry counts by its own time.
 */
export function auditReport(given: {
  readonly records: Iterable<AuditRecord>;
  readonly fromMs: number;
  readonly toMs: number;
  /** What the ledger says of all its payments. */
  readonly ledger?: LegSummary;
}): AuditReport {
  const { records, fromMs, toMs, ledger } = given;
  const totals = emptySums();
  const entries: Partial<Record<string, number>> = {};
  const counterparties = new Map<string, Sums>();
  const purposes = new Map<string, Sums>();
  const days = new Map<string, Sums>();
  for (const record of records) {
    if (record.atMs < fromMs || record.atMs >= toMs) continue;
    entries[record.type] = (entries[record.type] ?? 0) + 1;
    const change = changeOf(record);
    if (change === undefined) continue;
    add(totals, change);
    add(sumsOf(days, dayOf(record.atMs)), change);
    add(sumsOf(counterparties, textOf(record, 'counterparty', 'recipient') ?? unknownCounterparty), change);
    // A flag says nothing of what its payment was for.
    if (change.flags === 0) add(sumsOf(purposes, textOf(record, 'purpose', 'group') ?? '-'), change);
  }
  return {
    fromMs,
    toMs,
    totals,
    entries,
    byCounterparty: rowsOf(counterparties).sort(byAmount),
    byPurpose: rowsOf(purposes).sort(byAmount),
    byDay: rowsOf(days).sort((a, b) => (a.name < b.name ? -1 : 1)),
    open: ledger === undefined ? [] : openOf(ledger),
  };
}

type Sums = { -readonly [K in keyof ReportSums]: ReportSums[K] };

function emptySums(): Sums {
  return { sent: 0, sentMsat: 0n, feesMsat: 0n, received: 0, receivedMsat: 0n, flags: 0 };
}

function changeOf(record: AuditRecord): Sums | undefined {
  const amountMsat = digitsOf(record, 'amountMsat');
  const type = record.type as AuditType;
  if (type === 'payment_succeeded') {
    return { ...emptySums(), sent: 1, sentMsat: amountMsat, feesMsat: digitsOf(record, 'feeMsat') };
  }
  if (type === 'payment_received') return { ...emptySums(), received: 1, receivedMsat: amountMsat };
  return type === 'payment_flagged' ? { ...emptySums(), flags: 1 } : undefined;
}

function digitsOf({ data }: AuditRecord, name: string): bigint {
  const value = data[name];
  return typeof value === 'string' && /^\d{1,20}$/.test(value) ? BigInt(value) : 0n;
}

function textOf({ data }: AuditRecord, ...names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = data[name];
    if (typeof value === 'string' && value !== '') return value;
  }
  return undefined;
}

function sumsOf(rows: Map<string, Sums>, name: string): Sums {
  const found = rows.get(name) ?? emptySums();
  rows.set(name, found);
  return found;
}

function add(sums: Sums, change: Sums): void {
  sums.sent += change.sent;
  sums.sentMsat += change.sentMsat;
  sums.feesMsat += change.feesMsat;
  sums.received += change.received;
  sums.receivedMsat += change.receivedMsat;
  sums.flags += change.flags;
}

function rowsOf(rows: ReadonlyMap<string, Sums>): ReportRow[] {
  return Array.from(rows, ([name, sums]) => ({ name, ...sums }));
}

function byAmount(a: ReportRow, b: ReportRow): number {
  const difference = b.sentMsat + b.receivedMsat - (a.sentMsat + a.receivedMsat);
  return difference > 0n ? 1 : difference < 0n ? -1 : a.name < b.name ? -1 : 1;
}

const openStates: readonly LegState[] = ['planned', 'held', 'sending', 'unknown'];

function openOf({ states }: LegSummary): AuditReport['open'] {
  return openStates.map((state) => ({
    state,
    payments: states[state].legs,
    amountMsat: states[state].amountMsat,
  }));
}

const columns = ['sent', 'sentMsat', 'feesMsat', 'received', 'receivedMsat', 'flags'] as const;

/** The report as CSV (RFC 4180): one table, the part of the report in its first column. */
export function reportToCsv(report: AuditReport): string {
  const parts: readonly (readonly [string, readonly ReportRow[]])[] = [
    ['total', [{ name: '', ...report.totals }]],
    ['day', report.byDay],
    ['counterparty', report.byCounterparty],
    ['purpose', report.byPurpose],
  ];
  const lines = parts.flatMap(([part, rows]) =>
    rows.map((row) =>
      [part, csvCell(row.name), ...columns.map((column) => row[column].toString())].join(','),
    ),
  );
  return `${[['part', 'name', ...columns].join(','), ...lines].join('\r\n')}\r\n`;
}

/** Names come from others: a cell that a spreadsheet would take for a formula is made text. */
function csvCell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) && text !== '-' ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** The report as JSON: amounts as digits. */
export function reportToJson(report: AuditReport): string {
  return JSON.stringify(report, bigintAsDigits, 2);
}
