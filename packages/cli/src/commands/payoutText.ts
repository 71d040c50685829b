import type { LegSummary } from '@rivulet/keysend';
import type { PayoutFile, PayoutPreview, PayoutReportRow } from '@rivulet/keysend/automation';
import { formatMsat } from '../format/amount.js';
import { formatTable, printable, shorten } from '../format/text.js';

/** What became of some payments. */
export interface Outcome {
  readonly legs: number;
  readonly amountMsat: bigint;
  readonly feesMsat: bigint;
  readonly states: LegSummary['states'];
}

/** Of the keys of the file, in whatever payout they are. */
export function summaryOf(rows: readonly PayoutReportRow[]): Outcome {
  const states = Object.fromEntries(
    (['planned', 'held', 'sending', 'succeeded', 'failed', 'unknown', 'abandoned'] as const).map((state) => {
      const some = rows.filter((row) => row.state === state);
      const amountMsat = some.reduce((sum, row) => sum + BigInt(row.amount_msat), 0n);
      return [state, { legs: some.length, amountMsat }];
    }),
  ) as unknown as LegSummary['states'];
  return {
    legs: rows.length,
    amountMsat: rows.reduce((sum, row) => sum + BigInt(row.amount_msat), 0n),
    feesMsat: rows.reduce((sum, row) => sum + BigInt(row.fee_msat === '' ? 0 : row.fee_msat), 0n),
    states,
  };
}

export function summaryJson({ legs, amountMsat, feesMsat, states }: Outcome) {
  return {
    payments: legs,
    amountMsat: amountMsat.toString(),
    feesMsat: feesMsat.toString(),
    states: Object.fromEntries(
      Object.entries(states)
        .filter(([, state]) => state.legs > 0)
        .map(([state, { legs: payments, amountMsat: msat }]) => [
          state,
          { payments, amountMsat: msat.toString() },
        ]),
    ),
  };
}

export function describeStates({ states }: Outcome): string {
  const some = Object.entries(states).filter(([, { legs }]) => legs > 0);
  return some.map(([state, { legs }]) => `${legs} ${state}`).join(', ');
}

export function describeSummary(summary: Outcome): string {
  const { succeeded, held } = summary.states;
  const lines = [
    `${describeStates(summary)}`,
    `paid          ${formatMsat(succeeded.amountMsat)}, fees ${formatMsat(summary.feesMsat)}`,
  ];
  if (held.legs > 0) lines.push(`held          ${formatMsat(held.amountMsat)}: see rivulet payout approve`);
  return lines.join('\n');
}

const maxShownRows = 200;

export function describeRows(rows: readonly PayoutReportRow[]): string {
  const shown = rows
    .slice(0, maxShownRows)
    .map((row) => [
      printable(row.key),
      shorten(printable(row.name === '' ? row.recipient : row.name)),
      formatMsat(BigInt(row.amount_msat)),
      row.state,
      shorten(printable(row.reason)),
    ]);
  const more =
    rows.length > maxShownRows ? `\nand ${rows.length - maxShownRows} more: use --json or --report` : '';
  return `${formatTable(['KEY', 'RECIPIENT', '>AMOUNT', 'STATE', 'REASON'], shown)}${more}`;
}

export function describeFile(given: { name: string; file: PayoutFile; preview: PayoutPreview }): string[] {
  const { name, file, preview } = given;
  const { fresh, freshMsat, known, conflicts } = preview;
  const lines = [
    `payout        ${name}`,
    `in the file   ${count(file.lines.length, 'payment')}, ${formatMsat(file.totalMsat)}`,
  ];
  const [first] = file.duplicates;
  if (first !== undefined) {
    const example = `line ${first.line} says again what line ${first.firstLine} says`;
    lines.push(`duplicates    ${count(file.duplicates.length, 'line')}, left out (${example})`);
  }
  if (known.length > 0) {
    const states = new Map<string, number>();
    for (const { state } of known) states.set(state, (states.get(state) ?? 0) + 1);
    const told = [...states].map(([state, number]) => `${number} ${state}`).join(', ');
    const elsewhere = new Set(known.map(({ payout }) => payout).filter((other) => other !== name));
    const where = elsewhere.size === 0 ? '' : `, some in the payout ${[...elsewhere].slice(0, 5).join(', ')}`;
    lines.push(`known keys    ${known.length}, not paid again (${told}${where})`);
  }
  for (const { line, problem } of conflicts.slice(0, 20))
    lines.push(`conflict      line ${line}: ${printable(problem)}`);
  if (conflicts.length > 20) lines.push(`conflict      and ${conflicts.length - 20} more`);
  lines.push(`to pay        ${count(fresh.length, 'payment')}, ${formatMsat(freshMsat)}, and fees`);
  return lines;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

export function countPayments(number: number): string {
  return count(number, 'payment');
}
