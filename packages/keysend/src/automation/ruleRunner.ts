import { bytesToUtf8, RivuletError } from '@rivulet/core/bytes';
import { KeysendError } from '../keysendError.js';
import type { AuditSink } from '../ledger/auditSink.js';
import type { Leg } from '../ledger/leg.js';
import type { LegLedger } from '../ledger/legLedger.js';
import { listLegKeys } from '../ledger/legStore.js';
import type { StoreTransaction, ToolkitStore } from '../store/toolkitStore.js';
import type { Schedule } from '../timing/schedule.js';
import { type DeliveryInput, triggerSecret, verifyDelivery } from './delivery.js';
import { countReport, meterDue, type UnitReport } from './meterRule.js';
import { dueNow, isRepeated, nextDueMs, type RepeatedRule } from './repeatedRule.js';
import type { Rule, RuleOf } from './rule.js';
import { knownRule, listRules, RuleBook, readRule, readState, writeState } from './ruleBook.js';
import { planRulePayment, type RulePayment, ruleGroup, shortHash } from './rulePlan.js';
import { triggeredPayment } from './triggerTemplate.js';

export interface RuleRunnerOptions {
  readonly store: ToolkitStore;
  /** Over the same store. */
  readonly ledger: LegLedger;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly schedule: Schedule;
  readonly audit?: AuditSink;
  /** 32 bytes, from which the secrets of triggers are made. */
  readonly secret: Uint8Array;
  /** The secret of a trigger, where a sender brings its own. */
  readonly secretOf?: (rule: string) => Uint8Array | undefined;
  /** Told of everything that `run` does. */
  readonly onEvent?: (event: RuleEvent) => void;
  /** How many payments of a rule are under way at once; 20 where it is absent. */
  readonly concurrency?: number;
  /** How often `run` looks for what other processes have changed; 15 seconds where it is absent. */
  readonly pollMs?: number;
}

export type RuleEvent =
  | { readonly type: 'payment'; readonly payment: RulePayment }
  /** Occurrences that were missed, and are not made up for. */
  | { readonly type: 'skipped'; readonly rule: string; readonly count: number }
  /** Could not be planned or paid now; it is tried again. */
  | { readonly type: 'problem'; readonly rule: string; readonly code: string; readonly message: string }
  | { readonly type: 'leg'; readonly leg: Leg };

/** What is due of a rule. */
export interface DueRule {
  readonly rule: string;
  readonly enabled: boolean;
  /** To be paid now, as a text for each: a time, or `owed`. */
  readonly occurrences: readonly { readonly occurrence: string; readonly amountMsat: bigint }[];
  readonly skipped: number;
  /** When it is due next, where that is known. */
  readonly nextMs?: number;
}

export type DeliveryAnswer =
  | { readonly status: 'planned' | 'held' | 'dry_run' | 'repeated'; readonly payment: RulePayment }
  | { readonly status: 'ignored'; readonly reason: string };

const maxKeysAtOnce = 1_000;

/**
 * Plans what rules pay, and pays it. Planning is one transaction with how far the rule has come, so that each
 * occurrence, each report and each webhook counts once, whatever crashes and however many processes run the rules.
 */
export class RuleRunner {
  readonly book: RuleBook;
  readonly #options: RuleRunnerOptions;
  /** Keys of payments that `run` is busy with. */
  readonly #paying = new Map<string, Promise<void>>();
  #wake: () => void = () => {};

  constructor(options: RuleRunnerOptions) {
    this.#options = options;
    const { store, audit, now } = options;
    this.book = new RuleBook({ store, audit, now });
  }

  /** What would be planned at a time, and nothing is. */
  due(atMs: number = this.#options.now()): DueRule[] {
    return this.book.list().map(({ rule, enabled, state }): DueRule => {
      const base = { rule: rule.name, enabled };
      if (isRepeated(rule)) {
        const { due, skipped } = enabled ? dueNow(rule, { ...state, nowMs: atMs }) : { due: [], skipped: [] };
        const next = enabled
          ? nextDueMs(rule, { afterMs: Math.max(atMs, state.cursorMs), planned: state.planned + due.length })
          : undefined;
        return {
          ...base,
          occurrences: due.map((timeMs) => ({ occurrence: isoTime(timeMs), amountMsat: rule.amount })),
          skipped: skipped.length,
          ...(next === undefined ? {} : { nextMs: next }),
        };
      }
      const owed =
        rule.kind === 'meter' && enabled ? meterDue(state.owed, { payAtMsat: rule.payAt }) : undefined;
      const occurrences = owed === undefined ? [] : [{ occurrence: 'owed', amountMsat: owed.amountMsat }];
      return { ...base, occurrences, skipped: 0 };
    });
  }

  /** Plans everything that is due now. What cannot be planned (a budget that is used up) is tried again next time. */
  planDue(): RulePayment[] {
    const planned: RulePayment[] = [];
    for (const { rule, enabled } of listRules(this.#options.store)) {
      if (!enabled || rule.kind === 'trigger' || !this.#isDue(rule)) continue;
      try {
        if (isRepeated(rule)) planned.push(...this.#planRepeated(rule.name));
        else planned.push(...this.#inTransaction((tx) => this.#planOwed(tx, rule.name)));
      } catch (error) {
        this.#problem(rule.name, error);
      }
    }
    return planned;
  }

  /** The first time at which something is due after a time. */
  nextMs(afterMs: number = this.#options.now()): number | undefined {
    const times = listRules(this.#options.store).flatMap(({ rule, enabled }) => {
      if (!enabled || !isRepeated(rule)) return [];
      const { cursorMs, planned } = readState(this.#options.store, rule);
      const next = nextDueMs(rule, { afterMs: Math.max(afterMs, cursorMs), planned });
      return next === undefined ? [] : [next];
    });
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /**
   * Counts what was used, once for each report id, and plans a payment where enough is owed. A disabled meter counts,
   * and does not pay.
   * @throws KeysendError `not_found`, `state_conflict` for a rule that is no meter, `request_invalid`,
   *   `key_conflict` for a report id that counted something else.
   */
  reportUnits(report: UnitReport): { status: 'counted' | 'repeated'; payments: RulePayment[] } {
    const counted = this.#options.store.transaction((tx) =>
      countReport(tx, this.#meter(tx, report.rule), report),
    );
    // On its own, so that a budget that is used up does not undo the count.
    let payments: RulePayment[] = [];
    try {
      payments = this.#inTransaction((tx) => this.#planOwed(tx, report.rule));
    } catch (error) {
      this.#problem(report.rule, error);
    }
    return { status: counted ? 'counted' : 'repeated', payments };
  }

  /** Plans everything that a meter owes in whole msat, however little. @throws KeysendError */
  payOwed(rule: string): RulePayment[] {
    return this.#inTransaction((tx) => this.#planOwed(tx, this.#meter(tx, rule).name, { atLeastMsat: 1n }));
  }

  /** The secret with which a trigger's webhooks are signed. */
  triggerSecret(rule: string): Uint8Array {
    const { secret, secretOf } = this.#options;
    return secretOf?.(rule) ?? triggerSecret(secret, rule);
  }

  /**
   * Takes a webhook: checks who sent it and when, and plans what the rule pays for it, once.
   * @throws KeysendError `signature_invalid` (for a rule that does not exist, too), `request_invalid` for a document
   *   that does not fit the rule, `state_conflict` for a rule that is disabled, `budget_exceeded`.
   */
  deliver(given: Pick<DeliveryInput, 'headers' | 'body'> & { readonly rule: string }): DeliveryAnswer {
    const { store, now } = this.#options;
    const { headers, body } = given;
    const known = readRule(store, given.rule)?.rule;
    const toleranceSeconds = known?.kind === 'trigger' ? known.toleranceSeconds : 300;
    const { id } = verifyDelivery({
      secret: this.triggerSecret(given.rule),
      headers,
      body,
      nowMs: now(),
      toleranceMs: toleranceSeconds * 1000,
    });
    const document = parseDocument(body);
    const answer = store.transaction((tx): DeliveryAnswer => {
      const rule = this.#trigger(tx, given.rule);
      const wanted = triggeredPayment(rule, document);
      if (wanted.status === 'ignored') return wanted;
      const { amountMsat, to, subject } = wanted;
      const occurrence = shortHash(subject === undefined ? `id:${id}` : `subject:${subject}`);
      const payment = this.#plan(tx, { rule, occurrence, amountMsat, to });
      this.#count(tx, rule, payment);
      return { status: payment.status, payment };
    });
    if (answer.status !== 'ignored') this.#tell(answer.payment);
    this.#wake();
    return answer;
  }

  /** Pays what the rules have planned, now. */
  async pay(signal?: AbortSignal): Promise<void> {
    const { ledger, concurrency = 20, onEvent } = this.#options;
    const options = {
      concurrency,
      ...(signal === undefined ? {} : { signal }),
      ...(onEvent === undefined ? {} : { onLeg: (leg: Leg) => onEvent({ type: 'leg', leg }) }),
    };
    const names = this.#names();
    await Promise.all(names.map((name) => ledger.run({ ...options, group: ruleGroup(name) })));
  }

  /** Plans and pays what becomes due, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { now, pollMs = 15_000 } = this.#options;
    let isFirst = true;
    while (!signal.aborted) {
      this.planDue();
      this.#payPlanned({ signal, isFirst });
      isFirst = false;
      const next = this.nextMs();
      const delayMs = Math.max(0, Math.min(pollMs, next === undefined ? pollMs : next - now()));
      await this.#sleep(delayMs, signal);
    }
    await Promise.all(this.#paying.values());
  }

  /** Each turn's payments in a run of their own: one that waits for its recipient keeps no other waiting. */
  #payPlanned({ signal, isFirst }: { signal: AbortSignal; isFirst: boolean }): void {
    const { store, ledger, concurrency = 20, onEvent } = this.#options;
    const states = isFirst ? (['planned', 'sending', 'unknown'] as const) : (['planned', 'sending'] as const);
    for (const name of this.#names()) {
      const group = ruleGroup(name);
      const open = states.flatMap((state) => listLegKeys(store, { group, state, limit: maxKeysAtOnce }));
      const keys = open.filter((key) => !this.#paying.has(key));
      if (keys.length === 0) continue;
      const run = ledger
        .run({ keys, concurrency, signal, onLeg: (leg) => onEvent?.({ type: 'leg', leg }) })
        .then(
          () => {},
          // Nobody waits for this promise: whatever it is, it is told, and tried again.
          (error) => this.#tellProblem(name, error),
        )
        .then(() => {
          for (const key of keys) this.#paying.delete(key);
        });
      for (const key of keys) this.#paying.set(key, run);
    }
  }

  /** Of all rules that have planned something, those that were removed since as well. */
  #names(): string[] {
    const states = this.#options.store.list({ prefix: 'rule/state/' });
    return [...new Set(states.map(({ key }) => key.split('/')[2] ?? ''))];
  }

  #sleep(delayMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        signal.removeEventListener('abort', end);
        this.#wake = () => {};
        resolve();
      };
      const cancel = this.#options.schedule(delayMs, end);
      signal.addEventListener('abort', end);
      this.#wake = end;
      if (signal.aborted) end();
    });
  }

  /** Whether a transaction is worth its while; inside it everything is read again. */
  #isDue(rule: RepeatedRule | RuleOf<'meter'>): boolean {
    const { store } = this.#options;
    if (!isRepeated(rule))
      return meterDue(readState(store, rule).owed, { payAtMsat: rule.payAt }) !== undefined;
    const { due, skipped } = this.#dueOf(store, rule);
    return due.length + skipped.length > 0;
  }

  #planRepeated(name: string): RulePayment[] {
    const { store } = this.#options;
    try {
      return this.#inTransaction((tx, told) =>
        this.#planOccurrences(tx, { name, most: Number.POSITIVE_INFINITY, told }),
      );
    } catch (error) {
      if (!(error instanceof KeysendError)) throw error;
      const { rule, enabled } = knownRule(store, name);
      const { length } = isRepeated(rule) && enabled ? this.#dueOf(store, rule).due : [];
      if (length < 2) throw error;
    }
    // All of them are too much: as many as can be had, the first ones first.
    const planned: RulePayment[] = [];
    for (;;) {
      try {
        const one = this.#inTransaction((tx, told) => this.#planOccurrences(tx, { name, most: 1, told }));
        if (one.length === 0) return planned;
        planned.push(...one);
      } catch (error) {
        if (planned.length === 0) throw error;
        this.#problem(name, error);
        return planned;
      }
    }
  }

  #dueOf(reader: Pick<StoreTransaction, 'get' | 'list'>, rule: RepeatedRule) {
    return dueNow(rule, { ...readState(reader, rule), nowMs: this.#options.now() });
  }

  #planOccurrences(
    tx: StoreTransaction,
    { name, most, told }: { name: string; most: number; told: RuleEvent[] },
  ): RulePayment[] {
    const { rule, enabled } = knownRule(tx, name);
    if (!enabled || !isRepeated(rule)) return [];
    const nowMs = this.#options.now();
    const state = readState(tx, rule);
    const { due, skipped } = dueNow(rule, { ...state, nowMs });
    const taken = due.slice(0, most);
    const payments = taken.map((timeMs) =>
      this.#plan(tx, { rule, occurrence: isoTime(timeMs), amountMsat: rule.amount, to: rule.to }),
    );
    const last =
      taken.length < due.length ? (taken.at(-1) ?? state.cursorMs) : Math.max(nowMs, state.cursorMs);
    if (due.length === 0 && skipped.length === 0) return [];
    writeState(tx, rule, {
      ...state,
      cursorMs: last,
      planned: state.planned + payments.filter(({ status }) => isNew(status)).length,
      skipped: state.skipped + skipped.length,
    });
    if (skipped.length > 0) told.push({ type: 'skipped', rule: name, count: skipped.length });
    return payments;
  }

  #planOwed(
    tx: StoreTransaction,
    name: string,
    { atLeastMsat }: { atLeastMsat?: bigint } = {},
  ): RulePayment[] {
    const { rule, enabled } = knownRule(tx, name);
    if (!enabled || rule.kind !== 'meter') return [];
    const state = readState(tx, rule);
    const due = meterDue(state.owed, { payAtMsat: atLeastMsat ?? rule.payAt });
    if (due === undefined) return [];
    const { amountMsat, rest } = due;
    const payment = this.#plan(tx, { rule, occurrence: String(state.planned + 1), amountMsat, to: rule.to });
    if (payment.status === 'repeated') {
      // Never, unless somebody has put an older state of this rule back: what is owed must not vanish then.
      throw new KeysendError('state_conflict', `rule ${name} has paid sum ${state.planned + 1} before`);
    }
    const paid = isNew(payment.status) ? 1 : 0;
    writeState(tx, rule, { ...state, owed: rest, planned: state.planned + paid });
    return [payment];
  }

  #plan(
    tx: StoreTransaction,
    given: { rule: Rule; occurrence: string; amountMsat: bigint; to: Readonly<RuleOf<'meter'>['to']> },
  ): RulePayment {
    const { ledger, audit, now } = this.#options;
    return planRulePayment(tx, { ...given, ledger, audit, nowMs: now() });
  }

  #count(tx: StoreTransaction, rule: Rule, { status }: RulePayment): void {
    if (!isNew(status)) return;
    const state = readState(tx, rule);
    writeState(tx, rule, { ...state, planned: state.planned + 1 });
  }

  #meter(tx: StoreTransaction, name: string): RuleOf<'meter'> {
    const { rule } = knownRule(tx, name);
    if (rule.kind === 'meter') return rule;
    throw new KeysendError('state_conflict', `rule ${name} is a ${rule.kind}, and only a meter counts`);
  }

  #trigger(tx: StoreTransaction, name: string): RuleOf<'trigger'> {
    const { rule, enabled } = knownRule(tx, name);
    if (rule.kind !== 'trigger') {
      throw new KeysendError('state_conflict', `rule ${name} is a ${rule.kind}, and no trigger`);
    }
    if (!enabled) throw new KeysendError('state_conflict', `rule ${name} is disabled`);
    return rule;
  }

  /** What happened is told once it is stored. */
  #inTransaction(body: (tx: StoreTransaction, told: RuleEvent[]) => RulePayment[]): RulePayment[] {
    const told: RuleEvent[] = [];
    const payments = this.#options.store.transaction((tx) => body(tx, told));
    for (const event of told) this.#options.onEvent?.(event);
    for (const payment of payments) this.#tell(payment);
    if (payments.length > 0) this.#wake();
    return payments;
  }

  #tell(payment: RulePayment): void {
    if (payment.status !== 'repeated') this.#options.onEvent?.({ type: 'payment', payment });
  }

  #problem(rule: string, error: unknown): void {
    if (!(error instanceof KeysendError)) throw error;
    this.#tellProblem(rule, error);
  }

  #tellProblem(rule: string, error: unknown): void {
    const code = error instanceof RivuletError ? error.code : 'other';
    const message = error instanceof Error ? error.message : String(error);
    this.#options.onEvent?.({ type: 'problem', rule, code, message });
  }
}

function isNew(status: RulePayment['status']): boolean {
  return status === 'planned' || status === 'held';
}

/** As a part of a key and for people: `2026-07-31T09:30:00Z`. */
function isoTime(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19)}Z`;
}

function parseDocument(body: Uint8Array): unknown {
  const text = bytesToUtf8(body);
  try {
    if (text !== undefined) return JSON.parse(text) as unknown;
  } catch {
    // Said below.
  }
  throw new KeysendError('request_invalid', 'the body of the webhook is no JSON');
}
