import { KeysendError } from '../keysendError.js';
import type { Recipient } from './recipient.js';
import { plainRecipient } from './recipientKey.js';
import { readCarry, type SplitCarry, UNITS_PER_MSAT, writeUnits } from './splitCarry.js';
import { splitShares } from './splitShares.js';
import type { RecipientsBlock } from './valueBlock.js';

/**
 * `percent`: a fee of 5 is 5 % of the whole, whatever the other splits add up to, as apps do it. `share`: it is its
 * part of all splits of its block, as the namespace has it.
 */
export type FeeMode = 'percent' | 'share';

/** An app's own fee, of the whole amount, beside those of the block. */
export interface ExtraFee extends Recipient {
  /** Hundredths of a percent, 0 to 10,000. */
  readonly basisPoints: number;
}

export interface SplitRequest {
  readonly amountMsat: bigint;
  /** Its time splits are for `activeBlock`: only its recipients count here. */
  readonly block: RecipientsBlock;
  /** The recipients of the time split in force. */
  readonly remote?: RecipientsBlock | undefined;
  /** 0 to 100, fractions to six places, clamped; 100 if absent. */
  readonly remotePercentage?: number | undefined;
  readonly feeMode?: FeeMode | undefined;
  readonly extraFees?: readonly ExtraFee[] | undefined;
  /** What earlier intervals still owe: `carried` of the result before. */
  readonly carried?: SplitCarry | undefined;
  /** A due below it waits: 1,000 (one satoshi) if absent, at least 1. */
  readonly minPayableMsat?: bigint | undefined;
}

/** Where a recipient's due comes from; `carried` alone for one that has no share in this interval. */
export type SplitSource = 'app' | 'carried' | 'own' | 'remote';

/** What was decided on a block that does not say. */
export type SplitWarning =
  /** Fees of more than the whole: each gets its part of the whole, nobody else anything. */
  | 'fees_above_whole'
  /** Every row is a fee: they share the whole. */
  | 'only_fees'
  /** Nobody of the remote block has a share: the block's own recipients get everything. */
  | 'remote_unpayable';

export interface SplitPayment {
  /** `recipientKey`: rows of the same recipient are one payment. */
  readonly key: string;
  readonly recipient: Recipient;
  readonly amountMsat: bigint;
  /** Part of this interval's amount, 0 to 1, for display. */
  readonly share: number;
  /** Nothing but fees. */
  readonly fee: boolean;
  /** In alphabetical order, at least one. */
  readonly sources: readonly SplitSource[];
}

export interface SplitResult {
  /** In the order of the block, then the remote block, the fees, and those that are only owed from before. */
  readonly payments: readonly SplitPayment[];
  readonly paidMsat: bigint;
  /** What is owed now: for the next interval, to be stored with these payments. */
  readonly carried: SplitCarry;
  readonly warnings: readonly SplitWarning[];
}

/** 21 million bitcoin. */
const MAX_AMOUNT_MSAT = 2_100_000_000_000_000_000n;

/**
 * Splits an amount in whole msat: fees first, on the whole amount; then `remotePercentage` of the rest to the remote
 * block; what remains to the block's own rows that are not fees. (A remote block's own fees are fees on its part.)
 *
 * - Conserved: what is paid and carried afterwards is the amount and what was carried before, to the msat.
 * - Fair: what a recipient was paid over any sequence of intervals is its exact share of them less what `carried`
 *   says, which is above -1 msat and below `minPayableMsat` (after rounding of 10^-18 msat an interval).
 * - Stable: the order of the rows changes no recipient's amount; the msat left over go to the largest fractions, and
 *   among equal ones by `recipientKey`. Rows of one recipient are merged.
 *
 * A single row gets everything, whatever its split; rows with a split of 0 get nothing otherwise.
 *
 * @throws KeysendError `request_invalid` (amount, a split outside 0..2^64-1, too many rows), `value_missing` (nobody
 * has a share), `store_invalid` (damaged carry).
 */
export function splitAmount(request: SplitRequest): SplitResult {
  const { amountMsat } = request;
  if (amountMsat < 0n || amountMsat > MAX_AMOUNT_MSAT) {
    throw new KeysendError('request_invalid', `The amount to split is not 0 to ${MAX_AMOUNT_MSAT} msat`);
  }
  const minPayableMsat = request.minPayableMsat ?? 1_000n;
  if (minPayableMsat < 1n) {
    throw new KeysendError('request_invalid', 'minPayableMsat is below 1: less than a msat cannot be paid');
  }
  const { shares, denominator, warnings } = splitShares(request);
  const dues = new Map<string, Due>();
  const units = apportion(
    shares.map(({ key, numerator }) => ({
      key,
      exact: amountMsat * UNITS_PER_MSAT * numerator,
      denominator,
    })),
    amountMsat * UNITS_PER_MSAT,
  );
  for (const [index, { key, recipient, numerator, sources, fee }] of shares.entries()) {
    const share = Number((numerator * 1_000_000_000n) / denominator) / 1_000_000_000;
    dues.set(key, { key, recipient, units: units[index]!, share, fee, sources });
  }
  for (const [key, { recipient, units: owed }] of readCarry(request.carried ?? {})) {
    const due = dues.get(key);
    if (due === undefined) {
      dues.set(key, { key, recipient, units: owed, share: 0, fee: false, sources: ['carried'] });
    } else {
      due.units += owed;
    }
  }
  return { ...settle([...dues.values()], minPayableMsat), warnings };
}

interface Due {
  readonly key: string;
  readonly recipient: Recipient;
  units: bigint;
  readonly share: number;
  readonly fee: boolean;
  readonly sources: readonly SplitSource[];
}

/** Whole parts that add up to `whole`, each the exact one rounded down or up; the largest fractions go up. */
function apportion(
  parts: readonly { key: string; exact: bigint; denominator: bigint }[],
  whole: bigint,
): bigint[] {
  const result = parts.map(({ exact, denominator }) => exact / denominator);
  let left = whole - result.reduce((sum, part) => sum + part, 0n);
  const order = parts
    .map(({ key, exact, denominator }, index) => ({ key, index, fraction: exact % denominator }))
    .sort(largestFractionFirst);
  for (const { index } of order) {
    if (left === 0n) break;
    result[index]! += 1n;
    left -= 1n;
  }
  return result;
}

function settle(dues: readonly Due[], minPayableMsat: bigint): Omit<SplitResult, 'warnings'> {
  const payable = dues.filter(({ units }) => units >= minPayableMsat * UNITS_PER_MSAT);
  const payableUnits = payable.reduce((sum, { units }) => sum + units, 0n);
  // Rounded down together: what is less than a msat in all stays owed.
  const wholeMsat = payableUnits / UNITS_PER_MSAT;
  const amounts = apportion(
    payable.map(({ key, units }) => ({ key, exact: units, denominator: UNITS_PER_MSAT })),
    wholeMsat,
  );
  const paid = new Map(payable.map(({ key }, index) => [key, amounts[index]!]));
  const carried: Record<string, { recipient: Recipient; dueMsat: string }> = {};
  for (const due of [...dues].sort(byKey)) {
    const owed = due.units - (paid.get(due.key) ?? 0n) * UNITS_PER_MSAT;
    if (owed === 0n) continue;
    carried[due.key] = { recipient: plainRecipient(due.recipient), dueMsat: writeUnits(owed) };
  }
  const payments = payable.map(({ key, recipient, share, fee, sources }, index) => ({
    key,
    recipient: plainRecipient(recipient),
    amountMsat: amounts[index]!,
    share,
    fee,
    sources,
  }));
  return { payments, paidMsat: wholeMsat, carried };
}

function byKey(a: { key: string }, b: { key: string }): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}

function largestFractionFirst(
  a: { key: string; fraction: bigint },
  b: { key: string; fraction: bigint },
): number {
  if (a.fraction !== b.fraction) return a.fraction > b.fraction ? -1 : 1;
  return byKey(a, b);
}
