import { writeFileSync } from 'node:fs';
import {
  formatPayoutCsv,
  formatPayoutJson,
  type PayoutFormat,
  type PayoutReportRow,
} from '@rivulet/keysend/automation';
import { CliError, usageError } from '../cliError.js';

/** By what was asked for, or by the name. @throws CliError */
export function formatOf(path: string, wanted: string | undefined): PayoutFormat {
  if (wanted === 'csv' || wanted === 'json') return wanted;
  if (wanted !== undefined) throw usageError('--format is csv or json');
  return /\.(json|ndjson|jsonl)$/i.test(path) ? 'json' : 'csv';
}

/** Whole or not at all is of no use here: what became of the payments is in the store. */
export function writeReport(path: string, rows: readonly PayoutReportRow[]): void {
  const text = /\.json$/i.test(path) ? formatPayoutJson(rows) : formatPayoutCsv(rows);
  try {
    writeFileSync(path, text, { mode: 0o600 });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const message = `the report was not written to ${path} (${code}); the payments are as they are: rivulet payout show`;
    throw new CliError('not_available', message, { cause });
  }
}
