import { KeysendError } from '../keysendError.js';
import { sortableNumber } from '../store/sortableKey.js';
import type { StoreReader, StoreTransaction } from '../store/toolkitStore.js';
import { keyPart } from './keyPart.js';
import { type Leg, type LegState, type LegSummary, legStates } from './leg.js';
import { decodeLeg, encodeLeg } from './legCodec.js';

// What is stored:
//   leg/<key>                                the payment
//   legGroup/<group>/<sequence>              its key: all of a group, as they were planned
//   legState/<state>/<group>/<sequence>      its key: what a run looks for
//   legSum/<group>                           how many are in which state, and how much of money
//   legTotal                                 the same over all groups
//   legSequence                              the number of the last one

/** Which payments a list shows, in the order in which they were planned (by group where none is given). */
export interface LegRange {
  readonly group?: string | undefined;
  readonly state?: LegState | undefined;
  /** The key of the last payment of the page before. */
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
}

export function readLeg(reader: StoreReader, key: string): Leg | undefined {
  const text = reader.get(`leg/${keyPart(key)}`);
  return text === undefined ? undefined : decodeLeg(text);
}

/** @throws KeysendError `not_found` */
export function knownLeg(reader: StoreReader, key: string): Leg {
  const leg = readLeg(reader, key);
  if (leg === undefined) throw new KeysendError('not_found', `there is no payment ${JSON.stringify(key)}`);
  return leg;
}

/** Stores a payment that was not there. */
export function insertLeg(tx: StoreTransaction, leg: Leg): void {
  tx.put(`legGroup/${keyPart(leg.group)}/${sortableNumber(leg.sequence)}`, leg.key);
  tx.put(stateKey(leg), leg.key);
  count(tx, leg, 1);
  tx.put(`leg/${keyPart(leg.key)}`, encodeLeg(leg));
}

/** Stores what became of a payment. */
export function updateLeg(tx: StoreTransaction, before: Leg, after: Leg): Leg {
  if (before.state !== after.state) {
    tx.delete(stateKey(before));
    tx.put(stateKey(after), after.key);
    count(tx, before, -1);
    count(tx, after, 1);
  }
  tx.put(`leg/${keyPart(after.key)}`, encodeLeg(after));
  return after;
}

export function nextSequence(tx: StoreTransaction): number {
  const next = Number(tx.get('legSequence') ?? '0') + 1;
  tx.put('legSequence', String(next));
  return next;
}

export function listLegs(reader: StoreReader, range: LegRange): Leg[] {
  return listLegKeys(reader, range).map((key) => knownLeg(reader, key));
}

export function listLegKeys(reader: StoreReader, range: LegRange): string[] {
  const { group, state, after, limit } = range;
  const last = after === undefined ? undefined : knownLeg(reader, after);
  if (group === undefined && state === undefined) {
    const prefix = 'legGroup/';
    const from = last && `${prefix}${keyPart(last.group)}/${sortableNumber(last.sequence)}`;
    return reader.list({ prefix, after: from, limit }).map(({ value }) => value);
  }
  const base = state === undefined ? 'legGroup/' : `legState/${state}/`;
  const prefix = group === undefined ? base : `${base}${keyPart(group)}/`;
  const from = last && `${base}${keyPart(last.group)}/${sortableNumber(last.sequence)}`;
  return reader.list({ prefix, after: from, limit }).map(({ value }) => value);
}

/** What became of a group, or of everything. */
export function readSummary(reader: StoreReader, group: string | undefined): LegSummary {
  return decodeSummary(reader.get(group === undefined ? 'legTotal' : `legSum/${keyPart(group)}`));
}

export function summarize(legs: Iterable<Leg>): LegSummary {
  const counted = zeroCounts();
  for (const leg of legs) add(counted, leg, 1);
  return toSummary(counted);
}

/** For each state: how many, and how much; and what was paid for fees. */
interface Counts {
  readonly states: Record<LegState, [legs: number, amountMsat: bigint]>;
  fees: bigint;
}

function zeroCounts(): Counts {
  const states = Object.fromEntries(
    legStates.map((state) => [state, [0, 0n]]),
  ) as unknown as Counts['states'];
  return { states, fees: 0n };
}

function add(counts: Counts, leg: Leg, sign: 1 | -1): void {
  const entry = counts.states[leg.state];
  entry[0] += sign;
  entry[1] += BigInt(sign) * leg.amountMsat;
  if (leg.state === 'succeeded') counts.fees += BigInt(sign) * (leg.feeMsat ?? 0n);
}

function count(tx: StoreTransaction, leg: Leg, sign: 1 | -1): void {
  for (const key of [`legSum/${keyPart(leg.group)}`, 'legTotal']) {
    const counts = decodeCounts(tx.get(key));
    add(counts, leg, sign);
    tx.put(key, encodeCounts(counts));
  }
}

interface CountsJson {
  readonly states: Partial<Record<LegState, readonly [number, string]>>;
  readonly fees: string;
}

function encodeCounts({ states, fees }: Counts): string {
  const some = legStates.filter((state) => states[state][0] > 0);
  const json: CountsJson = {
    states: Object.fromEntries(some.map((state) => [state, [states[state][0], states[state][1].toString()]])),
    fees: fees.toString(),
  };
  return JSON.stringify(json);
}

function decodeCounts(text: string | undefined): Counts {
  const counts = zeroCounts();
  if (text === undefined) return counts;
  const json = JSON.parse(text) as CountsJson;
  for (const state of legStates) {
    const entry = json.states[state];
    if (entry !== undefined) counts.states[state] = [entry[0], BigInt(entry[1])];
  }
  counts.fees = BigInt(json.fees);
  return counts;
}

function decodeSummary(text: string | undefined): LegSummary {
  return toSummary(decodeCounts(text));
}

function toSummary({ states, fees }: Counts): LegSummary {
  const all = legStates.map((state) => states[state]);
  return {
    legs: all.reduce((sum, [legs]) => sum + legs, 0),
    amountMsat: all.reduce((sum, [, amountMsat]) => sum + amountMsat, 0n),
    feesMsat: fees,
    states: Object.fromEntries(
      legStates.map((state) => {
        const [legs, amountMsat] = states[state];
        return [state, { legs, amountMsat }];
      }),
    ) as unknown as LegSummary['states'],
  };
}

function stateKey({ state, group, sequence }: Leg): string {
  return `legState/${state}/${keyPart(group)}/${sortableNumber(sequence)}`;
}
