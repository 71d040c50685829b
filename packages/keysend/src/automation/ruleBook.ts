import { KeysendError } from '../keysendError.js';
import type { AuditSink } from '../ledger/auditSink.js';
import { bigintAsDigits } from '../records/json.js';
import type { StoreReader, StoreTransaction, ToolkitStore } from '../store/toolkitStore.js';
import { initialCursorMs } from './repeatedRule.js';
import { parseRule, type Rule, type RuleDefinition } from './rule.js';

// What is stored:
//   rule/definition/<name>     the rule as it was written, and whether it is enabled
//   rule/state/<name>/<kind>   how far it has come; stays when the rule is removed, so that a rule of the same name
//                              pays nothing a second time
//   rule/report/<name>/<id>    what a report to a meter counted

export interface StoredRule {
  readonly rule: Rule;
  /** As it was written. */
  readonly definition: RuleDefinition;
  readonly enabled: boolean;
  readonly createdAtMs: number;
  readonly changedAtMs: number;
}

/** How far a rule has come. */
export interface RuleState {
  /** Occurrences up to here are done with, in Unix milliseconds. */
  readonly cursorMs: number;
  /** Payments that were planned: occurrences, sums of a meter, or webhooks. */
  readonly planned: number;
  /** Occurrences that were missed and not made up for. */
  readonly skipped: number;
  /** Of a meter, exact, in msat. */
  readonly owed: string;
  /** Of a meter: everything that was ever reported, exact. */
  readonly units: string;
}

interface StoredJson {
  readonly definition: RuleDefinition;
  readonly enabled: boolean;
  readonly createdAtMs: number;
  readonly changedAtMs: number;
}

const definitionKey = (name: string): string => `rule/definition/${name}`;
const stateKey = ({ name, kind }: Rule): string => `rule/state/${name}/${kind}`;

export function readRule(reader: StoreReader, name: string): StoredRule | undefined {
  const text = reader.get(definitionKey(name));
  return text === undefined ? undefined : decode(text);
}

/** @throws KeysendError `not_found` */
export function knownRule(reader: StoreReader, name: string): StoredRule {
  const stored = readRule(reader, name);
  if (stored === undefined) {
    throw new KeysendError('not_found', `there is no rule ${JSON.stringify(name.slice(0, 80))}`);
  }
  return stored;
}

export function listRules(reader: StoreReader): StoredRule[] {
  return reader.list({ prefix: 'rule/definition/' }).map(({ value }) => decode(value));
}

function decode(text: string): StoredRule {
  const stored = JSON.parse(text) as StoredJson;
  return { ...stored, rule: parseRule(stored.definition) };
}

export function readState(reader: StoreReader, rule: Rule): RuleState {
  const text = reader.get(stateKey(rule));
  if (text !== undefined) return JSON.parse(text) as RuleState;
  return { cursorMs: 0, planned: 0, skipped: 0, owed: '0', units: '0' };
}

export function writeState(tx: StoreTransaction, rule: Rule, state: RuleState): void {
  tx.put(stateKey(rule), JSON.stringify(state));
}

/** Whoever changes a rule: `user`, or a name. */
interface By {
  readonly by?: string;
}

/** The rules of a store. Every change is in the audit log, in the same transaction. */
export class RuleBook {
  readonly #store: ToolkitStore;
  readonly #audit: AuditSink | undefined;
  readonly #now: () => number;

  constructor({
    store,
    audit,
    now,
  }: { store: ToolkitStore; audit?: AuditSink | undefined; now: () => number }) {
    this.#store = store;
    this.#audit = audit;
    this.#now = now;
  }

  get(name: string): (StoredRule & { readonly state: RuleState }) | undefined {
    const stored = readRule(this.#store, name);
    return stored === undefined ? undefined : { ...stored, state: readState(this.#store, stored.rule) };
  }

  list(): (StoredRule & { readonly state: RuleState })[] {
    return listRules(this.#store).map((stored) => ({
      ...stored,
      state: readState(this.#store, stored.rule),
    }));
  }

  /**
   * Adds a rule. What was due before it was added is not paid, but for a subscription that began within the last day.
   * @throws KeysendError `request_invalid`, `schedule_invalid`; `key_conflict` where there is one of that name.
   */
  add(definition: unknown, { by, enabled = true }: By & { enabled?: boolean } = {}): StoredRule {
    const rule = parseRule(definition);
    return this.#store.transaction((tx) => {
      if (readRule(tx, rule.name) !== undefined) {
        throw new KeysendError(
          'key_conflict',
          `there is a rule ${rule.name}: remove it first, or replace it`,
        );
      }
      return this.#put(tx, { definition: definition as RuleDefinition, enabled, by });
    });
  }

  /**
   * Changes a rule. One whose times change goes on from now; a meter keeps what is owed.
   * @throws KeysendError `request_invalid`, `schedule_invalid`, `not_found`; `state_conflict` for another kind.
   */
  replace(definition: unknown, { by }: By = {}): StoredRule {
    const rule = parseRule(definition);
    return this.#store.transaction((tx) => {
      const before = knownRule(tx, rule.name);
      if (before.rule.kind !== rule.kind) {
        throw new KeysendError(
          'state_conflict',
          `rule ${rule.name} is a ${before.rule.kind}: remove it first`,
        );
      }
      return this.#put(tx, { definition: definition as RuleDefinition, enabled: before.enabled, before, by });
    });
  }

  /** What was due while it was disabled is not paid. @throws KeysendError `not_found` */
  setEnabled(name: string, enabled: boolean, { by }: By = {}): StoredRule {
    return this.#store.transaction((tx) => {
      const before = knownRule(tx, name);
      if (before.enabled === enabled) return before;
      return this.#put(tx, { definition: before.definition, enabled, before, by });
    });
  }

  /** What it has planned stays planned. @throws KeysendError `not_found` */
  remove(name: string, { by }: By = {}): void {
    this.#store.transaction((tx) => {
      const before = knownRule(tx, name);
      tx.delete(definitionKey(name));
      this.#tell(tx, { by, name, before, after: undefined });
    });
  }

  #put(
    tx: StoreTransaction,
    given: {
      definition: RuleDefinition;
      enabled: boolean;
      before?: StoredRule;
      by: string | undefined;
    },
  ): StoredRule {
    const { definition, enabled, before, by } = given;
    const nowMs = this.#now();
    const json: StoredJson = {
      definition,
      enabled,
      createdAtMs: before?.createdAtMs ?? nowMs,
      changedAtMs: nowMs,
    };
    const text = JSON.stringify(json);
    const after = decode(text);
    const { rule } = after;
    tx.put(definitionKey(rule.name), text);
    const again = enabled && before?.enabled === false;
    if (before === undefined || again || timing(before.rule) !== timing(rule)) {
      const state = readState(tx, rule);
      const cursorMs = before === undefined ? initialCursorMs(rule, nowMs) : nowMs;
      writeState(tx, rule, { ...state, cursorMs: Math.max(state.cursorMs, cursorMs) });
    }
    this.#tell(tx, { by, name: rule.name, before, after });
    return after;
  }

  #tell(
    tx: StoreTransaction,
    given: {
      by: string | undefined;
      name: string;
      before: StoredRule | undefined;
      after: StoredRule | undefined;
    },
  ): void {
    const { by = 'user', name, before, after } = given;
    const entry = { atMs: this.#now(), actor: by };
    this.#audit?.append(tx, {
      ...entry,
      type: 'rule_changed',
      data: { name, before: describe(before), after: describe(after) },
    });
    const [limitsBefore, limitsAfter] = [limitsOf(before?.rule), limitsOf(after?.rule)];
    if (before === undefined || after === undefined || limitsBefore === limitsAfter) return;
    this.#audit?.append(tx, {
      ...entry,
      type: 'limit_changed',
      data: { name: `rule:${name}`, before: limitsBefore, after: limitsAfter },
    });
  }
}

function describe(stored: StoredRule | undefined): string | null {
  return stored === undefined ? null : JSON.stringify({ enabled: stored.enabled, ...stored.definition });
}

/** What says when a rule is due. */
function timing(rule: Rule): string {
  switch (rule.kind) {
    case 'schedule':
      return JSON.stringify([rule.cron, rule.timeZone, rule.from]);
    case 'subscription':
      return JSON.stringify([rule.every, rule.start, rule.timeZone]);
    case 'meter':
    case 'trigger':
      return '';
  }
}

/** What bounds the money of a rule. */
function limitsOf(rule: Rule | undefined): string {
  if (rule === undefined) return '';
  const amount = rule.kind === 'meter' ? rule.payAt : rule.amount;
  const { approvalAbove = null, maxFee = null, budgets, dryRun } = rule;
  const price = rule.kind === 'meter' ? [rule.price, rule.mostPerReport ?? null] : null;
  return JSON.stringify({ amount, approvalAbove, maxFee, budgets, dryRun, price }, bigintAsDigits);
}
