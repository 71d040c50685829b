import { KeysendError } from '../keysendError.js';
import type { StoreReader, StoreTransaction } from '../store/toolkitStore.js';
import { amountText } from '../value/amountText.js';
import { keyPart } from './keyPart.js';

/** How much may be spent in a time. */
export interface Budget {
  /** 1 to 64 characters. */
  readonly name: string;
  readonly amountMsat: bigint;
  /** Begins anew each day or month, for each episode (the scope of a reservation), or never. */
  readonly period: 'total' | 'month' | 'day' | 'episode';
  /** Where the day begins: minutes east of UTC; 0 where it is absent. */
  readonly offsetMinutes?: number | undefined;
}

export interface BudgetState extends Budget {
  /** Which day, month or episode: '2026-11-21', '2026-11', its scope, or 'total'. */
  readonly periodKey: string;
  readonly usedMsat: bigint;
  /** For payments that are planned or under way. */
  readonly reservedMsat: bigint;
  /** Never negative. */
  readonly remainingMsat: bigint;
}

interface BudgetJson {
  readonly name: string;
  readonly amountMsat: string;
  readonly period: Budget['period'];
  readonly offsetMinutes?: number | undefined;
}

interface UseJson {
  readonly used: string;
  readonly reserved: string;
}

/** What is reserved for one payment, and where: the period that it began in pays for it. */
interface HoldJson {
  readonly amountMsat: string;
  readonly places: readonly (readonly [name: string, periodKey: string])[];
}

/** Sets a budget, or changes it: what was spent of it stays. */
export function setBudget(tx: StoreTransaction, budget: Budget): void {
  const { name, amountMsat, period, offsetMinutes } = budget;
  if (name.length < 1 || name.length > 64) {
    throw new KeysendError('request_invalid', 'the name of a budget has 1 to 64 characters');
  }
  if (amountMsat < 0n) throw new KeysendError('request_invalid', `budget ${name}: it is negative`);
  if (offsetMinutes !== undefined && !(Math.abs(offsetMinutes) <= 14 * 60)) {
    throw new KeysendError('request_invalid', `budget ${name}: no time zone is ${offsetMinutes} minutes off`);
  }
  const json: BudgetJson = { name, amountMsat: amountMsat.toString(), period, offsetMinutes };
  tx.put(`budget/${keyPart(name)}`, JSON.stringify(json));
}

/** What is reserved stays reserved, and what was spent is kept for a budget of the same name. */
export function removeBudget(tx: StoreTransaction, name: string): void {
  tx.delete(`budget/${keyPart(name)}`);
}

export function getBudget(reader: StoreReader, name: string): Budget | undefined {
  const text = reader.get(`budget/${keyPart(name)}`);
  return text === undefined ? undefined : decodeBudget(text);
}

export function listBudgets(reader: StoreReader): Budget[] {
  return reader.list({ prefix: 'budget/' }).map(({ value }) => decodeBudget(value));
}

/** @throws KeysendError `not_found` */
export function budgetState(
  reader: StoreReader,
  { name, atMs, scope }: { name: string; atMs: number; scope?: string | undefined },
): BudgetState {
  const budget = knownBudget(reader, name);
  const periodKey = periodOf(budget, { atMs, scope });
  const { used, reserved } = readUse(reader, { name, periodKey });
  const left = budget.amountMsat - used - reserved;
  return {
    ...budget,
    periodKey,
    usedMsat: used,
    reservedMsat: reserved,
    remainingMsat: left > 0n ? left : 0n,
  };
}

/**
 * Sets an amount aside in all of the budgets, or in none. The same id again with the same amount is the same
 * reservation.
 * @param request.amountMsat the most that it can cost, fees included.
 * @throws KeysendError `budget_exceeded`, `not_found` for a budget that nobody has set, `key_conflict`. Then the
 *   whole transaction has to be given up: the error has to leave its body.
 */
export function reserve(
  tx: StoreTransaction,
  request: {
    id: string;
    names: readonly string[];
    amountMsat: bigint;
    atMs: number;
    scope?: string | undefined;
  },
): void {
  const { id, amountMsat, atMs, scope } = request;
  const names = [...new Set(request.names)];
  const held = readHold(tx, id);
  if (held !== undefined) {
    const same = held.amountMsat === amountMsat.toString() && sameNames(held, names);
    if (same) return;
    throw new KeysendError('key_conflict', `something else is reserved for ${JSON.stringify(id)} already`);
  }
  if (amountMsat < 0n) throw new KeysendError('request_invalid', 'a reservation is negative');
  const states = names.map((name) => budgetState(tx, { name, atMs, scope }));
  for (const state of states) checkReach(state, amountMsat);
  for (const { name, periodKey, usedMsat, reservedMsat } of states) {
    writeUse(tx, { name, periodKey }, { used: usedMsat, reserved: reservedMsat + amountMsat });
  }
  const places = states.map(({ name, periodKey }) => [name, periodKey] as const);
  writeHold(tx, id, { amountMsat: amountMsat.toString(), places });
}

/**
 * Says no before anything is reserved where a budget does not reach for all of these together.
 * @throws KeysendError `budget_exceeded`, `not_found`
 */
export function checkTogether(
  reader: StoreReader,
  requests: readonly { names: readonly string[]; amountMsat: bigint; scope?: string | undefined }[],
  atMs: number,
): void {
  const wanted = new Map<string, { name: string; scope: string | undefined; amountMsat: bigint }>();
  for (const { names, amountMsat, scope } of requests) {
    for (const name of new Set(names)) {
      const { periodKey } = budgetState(reader, { name, atMs, scope });
      const place = useKey({ name, periodKey });
      const before = wanted.get(place)?.amountMsat ?? 0n;
      wanted.set(place, { name, scope, amountMsat: before + amountMsat });
    }
  }
  for (const { name, scope, amountMsat } of wanted.values()) {
    checkReach(budgetState(reader, { name, atMs, scope }), amountMsat);
  }
}

function checkReach({ name, periodKey, remainingMsat }: BudgetState, amountMsat: bigint): void {
  if (amountMsat <= remainingMsat) return;
  const when = periodKey === 'total' ? '' : ` for ${periodKey}`;
  throw new KeysendError(
    'budget_exceeded',
    `the budget ${name} has ${amountText(remainingMsat)} left${when}, and this may cost ${amountText(amountMsat)} with its fees`,
  );
}

/**
 * Turns a reservation into what it has cost; the rest is free again.
 * @returns false where nothing is reserved for this id (any more).
 */
export function settle(tx: StoreTransaction, { id, costMsat }: { id: string; costMsat: bigint }): boolean {
  const hold = readHold(tx, id);
  if (hold === undefined) return false;
  for (const [name, periodKey] of hold.places) {
    const { used, reserved } = readUse(tx, { name, periodKey });
    writeUse(
      tx,
      { name, periodKey },
      { used: used + costMsat, reserved: reserved - BigInt(hold.amountMsat) },
    );
  }
  tx.delete(`budgetHold/${keyPart(id)}`);
  return true;
}

/** Gives a reservation back. @returns false where there is none. */
export function release(tx: StoreTransaction, { id }: { id: string }): boolean {
  return settle(tx, { id, costMsat: 0n });
}

/** Counts what was spent without a reservation, even past the limit: money that is gone is gone. */
export function spendUnreserved(
  tx: StoreTransaction,
  request: { names: readonly string[]; costMsat: bigint; atMs: number; scope?: string | undefined },
): void {
  const { costMsat, atMs, scope } = request;
  for (const name of new Set(request.names)) {
    const budget = getBudget(tx, name);
    if (budget === undefined) continue;
    const periodKey = periodOf(budget, { atMs, scope });
    const { used, reserved } = readUse(tx, { name, periodKey });
    writeUse(tx, { name, periodKey }, { used: used + costMsat, reserved });
  }
}

function periodOf(
  { name, period, offsetMinutes = 0 }: Budget,
  { atMs, scope }: { atMs: number; scope?: string | undefined },
): string {
  switch (period) {
    case 'total':
      return 'total';
    case 'episode':
      if (scope !== undefined) return scope;
      throw new KeysendError('request_invalid', `budget ${name} is one of an episode: say which`);
    case 'day':
    case 'month': {
      const day = new Date(atMs + offsetMinutes * 60_000).toISOString();
      return day.slice(0, period === 'day' ? 10 : 7);
    }
  }
}

function knownBudget(reader: StoreReader, name: string): Budget {
  const budget = getBudget(reader, name);
  if (budget === undefined)
    throw new KeysendError('not_found', `there is no budget ${JSON.stringify(name)}: set it first`);
  return budget;
}

function decodeBudget(text: string): Budget {
  const { amountMsat, ...rest } = JSON.parse(text) as BudgetJson;
  return { ...rest, amountMsat: BigInt(amountMsat) };
}

interface Place {
  readonly name: string;
  readonly periodKey: string;
}

const useKey = ({ name, periodKey }: Place): string => `budgetUse/${keyPart(name)}/${keyPart(periodKey)}`;

function readUse(reader: StoreReader, place: Place): { used: bigint; reserved: bigint } {
  const text = reader.get(useKey(place));
  if (text === undefined) return { used: 0n, reserved: 0n };
  const { used, reserved } = JSON.parse(text) as UseJson;
  return { used: BigInt(used), reserved: BigInt(reserved) };
}

function writeUse(
  tx: StoreTransaction,
  place: Place,
  { used, reserved }: { used: bigint; reserved: bigint },
): void {
  const json: UseJson = { used: used.toString(), reserved: reserved.toString() };
  tx.put(useKey(place), JSON.stringify(json));
}

function readHold(reader: StoreReader, id: string): HoldJson | undefined {
  const text = reader.get(`budgetHold/${keyPart(id)}`);
  return text === undefined ? undefined : (JSON.parse(text) as HoldJson);
}

function writeHold(tx: StoreTransaction, id: string, hold: HoldJson): void {
  tx.put(`budgetHold/${keyPart(id)}`, JSON.stringify(hold));
}

function sameNames({ places }: HoldJson, names: readonly string[]): boolean {
  return places.length === names.length && places.every(([name]) => names.includes(name));
}
