import type { AuditReport, ReportRow } from '@rivulet/keysend/compliance';
import { formatMsat } from '../format/amount.js';
import { formatTable, formatTime, printable, shorten } from '../format/text.js';

const longest = 20;

/** A report for people. */
export function describeReport(report: AuditReport): string {
  const { fromMs, toMs, totals, byDay, byCounterparty, byPurpose, entries, open } = report;
  const changes = ['limit_changed', 'rule_changed', 'counterparty_changed', 'monitor_changed'];
  const counted = ['leg_held', 'leg_approved', 'leg_denied', 'payment_failed', 'payment_unknown'];
  const countOf = (types: readonly string[]): number =>
    types.reduce((sum, type) => sum + (entries[type] ?? 0), 0);
  return [
    `${formatTime(fromMs)} to ${formatTime(toMs)} UTC`,
    `sent      ${formatMsat(totals.sentMsat)} in ${totals.sent} payments, and ${formatMsat(totals.feesMsat)} of fees`,
    `received  ${formatMsat(totals.receivedMsat)} in ${totals.received} payments`,
    ...counted
      .filter((type) => entries[type] !== undefined)
      .map((type) => `${type.replaceAll('_', ' ')}: ${entries[type]}`),
    `flags: ${totals.flags}; changes of limits and rules: ${countOf(changes)}`,
    ...open.flatMap(({ state, payments, amountMsat }) =>
      payments === 0 ? [] : [`${state} now: ${formatMsat(amountMsat)} in ${payments} payments`],
    ),
    ...table('DAY', byDay),
    ...table('COUNTERPARTY', byCounterparty),
    ...table('PURPOSE', byPurpose),
  ].join('\n');
}

function table(heading: string, rows: readonly ReportRow[]): string[] {
  if (rows.length === 0) return [];
  const shown = rows
    .slice(0, longest)
    .map(({ name, sentMsat, feesMsat, receivedMsat, flags }) => [
      shorten(printable(name)),
      formatMsat(sentMsat),
      formatMsat(feesMsat),
      formatMsat(receivedMsat),
      `${flags}`,
    ]);
  const more = rows.length > longest ? [`and ${rows.length - longest} more: see --csv or --json`] : [];
  return ['', formatTable([heading, '>SENT', '>FEES', '>RECEIVED', '>FLAGS'], shown), ...more];
}
