import { bytesToHex, utf8ToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import type { AuditSink } from '../ledger/auditSink.js';
import type { LegPlan } from '../ledger/leg.js';
import { readLeg } from '../ledger/legStore.js';
import { messageRecordType } from '../records/recordTypes.js';
import type { StoreTransaction } from '../store/toolkitStore.js';
import { amountText } from '../value/amountText.js';
import type { Recipient } from '../value/recipient.js';
import { holdLeg } from './holdLeg.js';
import { type Rule, shareOut } from './rule.js';

/** What plans payments within a transaction of ours: the ledger. */
export interface LegPlanner {
  planIn(tx: StoreTransaction, legs: readonly LegPlan[]): unknown;
}

/** All payments of a rule. */
export function ruleGroup(name: string): string {
  return `rule:${name}`;
}

/** What a rule has planned, or would have. */
export interface RulePayment {
  readonly rule: string;
  /** Which occurrence: a time, the number of a sum, or what the webhook is about. */
  readonly occurrence: string;
  readonly amountMsat: bigint;
  /** Keys of the payments, one for each recipient. */
  readonly keys: readonly string[];
  readonly status: 'planned' | 'held' | 'dry_run' | 'repeated';
}

/**
 * Plans what a rule pays at once, within a transaction that also stores how far the rule has come. The same
 * occurrence is planned once, whatever became of the rule in between.
 * @throws KeysendError `budget_exceeded`, `not_found` for a budget: then the transaction has to be given up.
 */
export function planRulePayment(
  tx: StoreTransaction,
  given: {
    rule: Rule;
    occurrence: string;
    amountMsat: bigint;
    to: readonly (Recipient & { readonly share: number })[];
    ledger: LegPlanner;
    audit: AuditSink | undefined;
    nowMs: number;
  },
): RulePayment {
  const { rule, occurrence, amountMsat, to, ledger, audit, nowMs } = given;
  const group = ruleGroup(rule.name);
  const parts = shareOut(
    amountMsat,
    to.map(({ share }) => share),
  );
  const legs = to.flatMap((one, index): LegPlan[] => {
    const part = parts[index] ?? 0n;
    if (part === 0n) return [];
    const { share: _, ...recipient } = one;
    const { message, maxFee, budgets, description } = rule;
    return [
      {
        key: `${group}:${rule.kind}:${occurrence}:${index}`,
        group,
        recipient,
        amountMsat: part,
        records: new Map(message === undefined ? [] : [[messageRecordType, utf8ToBytes(message)]]),
        actor: group,
        note: description,
        ...(message === undefined ? {} : { comment: message }),
        ...(maxFee === undefined ? {} : { maxFeeMsat: maxFee }),
        ...(budgets.length === 0 ? {} : { budgets }),
      },
    ];
  });
  const keys = legs.map(({ key }) => key);
  const payment = { rule: rule.name, occurrence, amountMsat, keys };
  if (rule.dryRun) return { ...payment, status: 'dry_run' };
  if (
    firstKeys(group, rule, { occurrence, count: to.length }).some((key) => readLeg(tx, key) !== undefined)
  ) {
    return { ...payment, status: 'repeated' };
  }
  ledger.planIn(tx, legs);
  if (rule.approvalAbove === undefined || amountMsat <= rule.approvalAbove) {
    return { ...payment, status: 'planned' };
  }
  const reason = `${rule.name} pays ${amountText(amountMsat)} at once, and above ${amountText(rule.approvalAbove)} somebody has to approve`;
  for (const key of keys) holdLeg(tx, { key, reason, actor: group, audit, nowMs });
  return { ...payment, status: 'held' };
}

/** One of these is there if the occurrence was planned before, perhaps for fewer recipients. */
function firstKeys(group: string, { kind }: Rule, given: { occurrence: string; count: number }): string[] {
  return Array.from({ length: given.count }, (_, index) => `${group}:${kind}:${given.occurrence}:${index}`);
}

/** A text of any length as part of a key. */
export function shortHash(text: string): string {
  return bytesToHex(sha256(utf8ToBytes(text))).slice(0, 32);
}
