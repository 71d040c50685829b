import { KeysendError } from '../keysendError.js';
import type { Recipient } from './recipient.js';
import { recipientKey } from './recipientKey.js';
import type { ExtraFee, FeeMode, SplitRequest, SplitSource, SplitWarning } from './splitAmount.js';
import { MAX_SPLIT, MAX_VALUE_RECIPIENTS, type ValueRecipient } from './valueBlock.js';

/** One recipient's part of the whole: `numerator` of the table's denominator. */
interface SplitShare {
  readonly key: string;
  readonly recipient: Recipient;
  readonly numerator: bigint;
  readonly sources: readonly SplitSource[];
  /** Nothing but fees. */
  readonly fee: boolean;
}

export interface SplitShares {
  /** In the order in which the recipients first appear. */
  readonly shares: readonly SplitShare[];
  /** What all numerators add up to. */
  readonly denominator: bigint;
  readonly warnings: readonly SplitWarning[];
}

const PERCENT = 100n;
const BASIS_POINTS = 10_000n;
/** Fractions of `remotePercentage` are read to six places. */
const REMOTE_WHOLE = 100_000_000n;

interface Weighted {
  readonly row: ValueRecipient;
  readonly weight: bigint;
  readonly fee: boolean;
}

/** Exact shares of the whole, as one table over one denominator. */
export function splitShares(request: Omit<SplitRequest, 'amountMsat'>): SplitShares {
  const feeMode = request.feeMode ?? 'percent';
  const own = request.block.recipients;
  const remote = request.remote?.recipients ?? [];
  const extraFees = request.extraFees ?? [];
  checkRows({ own, remote, extraFees });
  const warnings = new Set<SplitWarning>();

  const remoteTable = request.remote === undefined ? undefined : remoteShares(remote, feeMode, warnings);
  if (request.remote !== undefined && remoteTable === undefined) warnings.add('remote_unpayable');
  let remotePart = remoteTable === undefined ? 0n : remotePartOf(request.remotePercentage ?? 100);

  const feeRows = own.filter((row) => row.fee);
  let ordinary = weights(
    own.filter((row) => !row.fee),
    own.length,
  );
  let fees = feeRows.map((row): Weighted => ({ row, weight: row.split, fee: true }));
  if (ordinary === undefined && remotePart > 0n) {
    // Nobody of our own to share the rest with: all of it is the remote block's.
    remotePart = REMOTE_WHOLE;
  } else if (ordinary === undefined && feeRows.length === own.length) {
    // A fee on nothing but fees: they are what the payment is for.
    ordinary = weights(feeRows, own.length);
    fees = [];
    if (ordinary !== undefined) warnings.add('only_fees');
  }
  if (ordinary === undefined && remotePart !== REMOTE_WHOLE) {
    throw new KeysendError(
      'value_missing',
      own.length === 0
        ? 'The value block has no recipients: there is nobody to pay'
        : 'All splits of the value block are zero: there is nobody to pay',
    );
  }

  const feeOne = feeMode === 'percent' ? PERCENT : total(own.map((row) => row.split));
  // All splits are zero: then no fee row has a share either.
  const feeUnit = feeOne === 0n ? 1n : feeOne;
  const feeNumerators = [
    ...extraFees.map((fee) => ({
      row: fee,
      part: BigInt(fee.basisPoints) * feeUnit,
      source: 'app' as const,
    })),
    ...fees.map(({ row, weight }) => ({ row, part: weight * BASIS_POINTS, source: 'own' as const })),
  ];
  const feeSum = total(feeNumerators.map(({ part }) => part));
  let feeWhole = feeUnit * BASIS_POINTS;
  if (feeSum > feeWhole) {
    feeWhole = feeSum;
    warnings.add('fees_above_whole');
  }

  const ownWhole = ordinary === undefined ? 1n : total(ordinary.map(({ weight }) => weight));
  const remoteWhole = remoteTable?.whole ?? 1n;
  const rest = feeWhole - feeSum;
  const table = new ShareTable();
  for (const { row, weight } of ordinary ?? []) {
    const numerator = rest * (REMOTE_WHOLE - remotePart) * remoteWhole * weight;
    table.add({ row, numerator, source: 'own', fee: false });
  }
  for (const { row, weight, fee } of remoteTable?.rows ?? []) {
    table.add({ row, numerator: rest * remotePart * ownWhole * weight, source: 'remote', fee });
  }
  for (const { row, part, source } of feeNumerators) {
    table.add({ row, numerator: part * REMOTE_WHOLE * remoteWhole * ownWhole, source, fee: true });
  }
  const denominator = feeWhole * REMOTE_WHOLE * remoteWhole * ownWhole;
  return { shares: table.shares(), denominator, warnings: [...warnings] };
}

/**
 * The namespace has the remote recipients "as a whole" get their percentage and says nothing of fees among them. So
 * a remote block's fees are fees on what that block gets, by the same rule as at the top.
 */
function remoteShares(
  rows: readonly ValueRecipient[],
  feeMode: FeeMode,
  warnings: Set<SplitWarning>,
): { rows: Weighted[]; whole: bigint } | undefined {
  const feeRows = rows.filter((row) => row.fee);
  const ordinary = weights(
    rows.filter((row) => !row.fee),
    rows.length,
  );
  if (ordinary === undefined) {
    const onlyFees = feeRows.length === rows.length ? weights(feeRows, rows.length) : undefined;
    if (onlyFees === undefined) return undefined;
    return { rows: onlyFees, whole: total(onlyFees.map(({ weight }) => weight)) };
  }
  const feeSum = total(feeRows.map((row) => row.split));
  let feeWhole = feeMode === 'percent' ? PERCENT : total(rows.map((row) => row.split));
  // One row whose split is zero: its weight is one, and there are no fees.
  if (feeWhole === 0n) feeWhole = 1n;
  if (feeSum > feeWhole) {
    feeWhole = feeSum;
    warnings.add('fees_above_whole');
  }
  const ownWhole = total(ordinary.map(({ weight }) => weight));
  return {
    rows: [
      ...ordinary.map((entry) => ({ ...entry, weight: entry.weight * (feeWhole - feeSum) })),
      ...feeRows.map((row) => ({ row, weight: row.split * ownWhole, fee: true })),
    ],
    whole: feeWhole * ownWhole,
  };
}

/** Shares among rows that are not fees; `undefined` where nobody has one. */
function weights(rows: readonly ValueRecipient[], rowsOfBlock: number): Weighted[] | undefined {
  const first = rows[0];
  // The namespace: the split of a single recipient is ignored, it gets everything.
  if (first !== undefined && rowsOfBlock === 1) return [{ row: first, weight: 1n, fee: first.fee }];
  const weighted = rows.filter((row) => row.split > 0n);
  if (weighted.length === 0) return undefined;
  return weighted.map((row) => ({ row, weight: row.split, fee: row.fee }));
}

class ShareTable {
  readonly #byKey = new Map<string, Entry>();

  add(part: { row: Recipient; numerator: bigint; source: SplitSource; fee: boolean }): void {
    if (part.numerator === 0n) return;
    const key = recipientKey(part.row);
    const entry = this.#byKey.get(key) ?? {
      row: part.row,
      largest: -1n,
      numerator: 0n,
      sources: [],
      fee: true,
    };
    this.#byKey.set(key, entry);
    entry.numerator += part.numerator;
    if (!entry.sources.includes(part.source)) entry.sources.push(part.source);
    entry.fee &&= part.fee;
    // Of several names for one account, that of the largest part: it does not depend on the order of the rows.
    const name = part.row.name ?? '';
    if (
      part.numerator > entry.largest ||
      (part.numerator === entry.largest && name < (entry.row.name ?? ''))
    ) {
      entry.row = part.row;
      entry.largest = part.numerator;
    }
  }

  shares(): SplitShare[] {
    return [...this.#byKey].map(([key, { row, numerator, sources, fee }]) => ({
      key,
      recipient: row,
      numerator,
      sources: sources.sort(),
      fee,
    }));
  }
}

interface Entry {
  row: Recipient;
  largest: bigint;
  numerator: bigint;
  readonly sources: SplitSource[];
  fee: boolean;
}

function total(values: readonly bigint[]): bigint {
  return values.reduce((sum, value) => sum + value, 0n);
}

function remotePartOf(percentage: number): bigint {
  if (Number.isNaN(percentage)) {
    throw new KeysendError('request_invalid', 'remotePercentage is not a number: give 0 to 100');
  }
  return BigInt(Math.round(Math.min(100, Math.max(0, percentage)) * 1_000_000));
}

function checkRows(request: {
  own: readonly ValueRecipient[];
  remote: readonly ValueRecipient[];
  extraFees: readonly ExtraFee[];
}): void {
  const { own, remote, extraFees } = request;
  for (const rows of [[...own, ...extraFees], remote]) {
    if (rows.length > MAX_VALUE_RECIPIENTS) {
      throw new KeysendError(
        'request_invalid',
        `A value block has ${rows.length} recipients: ${MAX_VALUE_RECIPIENTS} are the most that is split`,
      );
    }
  }
  for (const { split, address } of [...own, ...remote]) {
    if (typeof split !== 'bigint' || split < 0n || split > MAX_SPLIT) {
      throw new KeysendError('request_invalid', `The split of ${address} is not between 0 and ${MAX_SPLIT}`);
    }
  }
  for (const { basisPoints, address } of extraFees) {
    if (!Number.isInteger(basisPoints) || basisPoints < 0 || basisPoints > Number(BASIS_POINTS)) {
      throw new KeysendError('request_invalid', `The extra fee of ${address} is not 0 to 10000 basis points`);
    }
  }
}
