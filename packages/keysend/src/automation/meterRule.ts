import { KeysendError } from '../keysendError.js';
import type { StoreTransaction } from '../store/toolkitStore.js';
import { add, formatRational, multiply, parseRational, splitWhole, storedRational } from './rational.js';
import type { RuleOf } from './rule.js';
import { readState, writeState } from './ruleBook.js';

export interface UnitReport {
  readonly rule: string;
  /** Names the report: told again, it counts once. 1 to 128 characters. */
  readonly reportId: string;
  /** `12`, `0.25`, `3/7`; or a whole number. */
  readonly units: string | bigint | number;
}

const reportKey = (rule: string, reportId: string): string => `rule/report/${rule}/${reportId}`;

/**
 * Counts a report, once.
 * @returns false where it was counted before.
 * @throws KeysendError `request_invalid`; `key_conflict` where the same report counted something else before.
 */
export function countReport(
  tx: StoreTransaction,
  rule: RuleOf<'meter'>,
  { reportId, units: given }: UnitReport,
): boolean {
  if (reportId.length < 1 || reportId.length > 128) {
    throw new KeysendError('request_invalid', 'the id of a report has 1 to 128 characters');
  }
  if (typeof given === 'number' && !Number.isSafeInteger(given)) {
    throw new KeysendError(
      'request_invalid',
      `${given} is no whole number of ${rule.unit}: write it as text`,
    );
  }
  const units = parseRational(String(given));
  const { mostPerReport: most } = rule;
  if (most !== undefined && units.numerator * most.denominator > most.numerator * units.denominator) {
    throw new KeysendError(
      'request_invalid',
      `${formatRational(units)} ${rule.unit} in one report are more than the ${formatRational(most)} that rule ${rule.name} allows`,
    );
  }
  const key = reportKey(rule.name, reportId);
  const before = tx.get(key);
  if (before !== undefined) {
    if (before === formatRational(units)) return false;
    throw new KeysendError(
      'key_conflict',
      `report ${JSON.stringify(reportId)} counted ${before} ${rule.unit} before: a new report needs a new id`,
    );
  }
  tx.put(key, formatRational(units));
  const state = readState(tx, rule);
  const price = multiply(rule.price, { numerator: 1_000n, denominator: 1n });
  writeState(tx, rule, {
    ...state,
    owed: formatRational(add(storedRational(state.owed), multiply(units, price))),
    units: formatRational(add(storedRational(state.units), units)),
  });
  return true;
}

/** What a meter would pay now: all that is owed in whole msat, once that is enough. */
export function meterDue(
  owed: string,
  { payAtMsat }: { payAtMsat: bigint },
): { amountMsat: bigint; rest: string } | undefined {
  const { whole, rest } = splitWhole(storedRational(owed));
  if (whole === 0n || whole < payAtMsat) return undefined;
  return { amountMsat: whole, rest: formatRational(rest) };
}
