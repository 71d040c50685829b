import type { Leg } from '../ledger/leg.js';
import { listLegKeys, readLeg } from '../ledger/legStore.js';
import type { StoreReader } from '../store/toolkitStore.js';
import { payoutGroup, payoutLegKey } from './payout.js';

/** What became of one key. */
export interface PayoutReportRow {
  readonly key: string;
  readonly payout: string;
  readonly recipient: string;
  readonly name: string;
  /** Satoshi, exact. */
  readonly amount: string;
  readonly amount_msat: string;
  readonly state: Leg['state'];
  readonly fee_msat: string;
  readonly payment_hash: string;
  /** ISO 8601, UTC: of the last change. */
  readonly changed_at: string;
  /** Why it failed, or waits. */
  readonly reason: string;
  readonly approved_by: string;
  readonly note: string;
}

const columns = [
  'key',
  'payout',
  'recipient',
  'name',
  'amount',
  'amount_msat',
  'state',
  'fee_msat',
  'payment_hash',
  'changed_at',
  'reason',
  'approved_by',
  'note',
] as const satisfies readonly (keyof PayoutReportRow)[];

/** One row for each payment of a payout, or for each of some keys, in their order. */
export function payoutRows(
  reader: StoreReader,
  wanted: { readonly name: string } | { readonly keys: readonly string[] },
): PayoutReportRow[] {
  const keys =
    'name' in wanted
      ? listLegKeys(reader, { group: payoutGroup(wanted.name) })
      : wanted.keys.map((key) => payoutLegKey(key));
  return keys.flatMap((key) => {
    const leg = readLeg(reader, key);
    return leg === undefined ? [] : [rowOf(leg)];
  });
}

function rowOf(leg: Leg): PayoutReportRow {
  const { key, group, recipient, amountMsat, state, feeMsat, paymentHash, changedAtMs } = leg;
  const fraction = (amountMsat % 1000n).toString().padStart(3, '0').replace(/0+$/, '');
  return {
    key: key.replace(/^payout:/, ''),
    payout: group.replace(/^payout:/, ''),
    recipient: recipient.address,
    name: recipient.name ?? '',
    amount: `${amountMsat / 1000n}${fraction === '' ? '' : `.${fraction}`}`,
    amount_msat: amountMsat.toString(),
    state,
    fee_msat: feeMsat?.toString() ?? '',
    payment_hash: paymentHash ?? '',
    changed_at: new Date(changedAtMs).toISOString(),
    reason: leg.heldFor ?? leg.failure?.message ?? '',
    approved_by: leg.approvedBy ?? '',
    note: leg.note ?? '',
  };
}

/** As CSV that a spreadsheet opens without running anything in it. */
export function formatPayoutCsv(rows: readonly PayoutReportRow[]): string {
  const lines = rows.map((row) => columns.map((column) => csvCell(row[column])).join(','));
  return `${[columns.join(','), ...lines].join('\r\n')}\r\n`;
}

/** As a JSON array, one row a line. */
export function formatPayoutJson(rows: readonly PayoutReportRow[]): string {
  return rows.length === 0 ? '[]\n' : `[\n${rows.map((row) => JSON.stringify(row)).join(',\n')}\n]\n`;
}

function csvCell(text: string): string {
  // A spreadsheet takes what begins so for a formula.
  const harmless = /^[=+\-@\t\r\n]/.test(text) ? `'${text}` : text;
  return /[",\r\n;\t]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
