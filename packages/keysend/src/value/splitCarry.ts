import { KeysendError } from '../keysendError.js';
import type { Recipient } from './recipient.js';
import { recipientKey } from './recipientKey.js';

/** What is owed from earlier intervals: plain JSON, by `recipientKey`, in the order of the keys. */
export type SplitCarry = Readonly<Record<string, CarriedDue>>;

export interface CarriedDue {
  readonly recipient: Recipient;
  /** Decimal msat with up to 18 places; below zero, and above -1, where a remainder was paid in advance. */
  readonly dueMsat: string;
}

/** A millisatoshi in the units that shares are kept in. Finer than any sequence of intervals can add up. */
export const UNITS_PER_MSAT = 10n ** 18n;
const PLACES = 18;
const DUE = /^(-?)(\d{1,40})(?:\.(\d{1,18}))?$/;

/** @throws KeysendError `store_invalid` for what is not a due that `writeUnits` wrote. */
export function readUnits(dueMsat: string): bigint {
  const match = typeof dueMsat === 'string' ? DUE.exec(dueMsat) : null;
  if (match === null) {
    throw new KeysendError(
      'store_invalid',
      'A carried due is not decimal msat: the state of the split is damaged',
    );
  }
  const units = BigInt(match[2]!) * UNITS_PER_MSAT + BigInt((match[3] ?? '').padEnd(PLACES, '0'));
  return match[1] === '-' ? -units : units;
}

export function writeUnits(units: bigint): string {
  const magnitude = units < 0n ? -units : units;
  const places = (magnitude % UNITS_PER_MSAT).toString().padStart(PLACES, '0').replace(/0+$/, '');
  const sign = units < 0n ? '-' : '';
  return `${sign}${magnitude / UNITS_PER_MSAT}${places === '' ? '' : `.${places}`}`;
}

/** The dues by key, checked. @throws KeysendError `store_invalid`. */
export function readCarry(carry: SplitCarry): Map<string, { recipient: Recipient; units: bigint }> {
  const dues = new Map<string, { recipient: Recipient; units: bigint }>();
  for (const { recipient, dueMsat } of Object.values(carry)) {
    const key = recipientKey(recipient);
    const units = readUnits(dueMsat) + (dues.get(key)?.units ?? 0n);
    dues.set(key, { recipient, units });
  }
  return dues;
}

/** Both together. */
export function addCarries(a: SplitCarry, b: SplitCarry): SplitCarry {
  const dues = readCarry(a);
  for (const [key, { recipient, units }] of readCarry(b)) {
    dues.set(key, { recipient, units: units + (dues.get(key)?.units ?? 0n) });
  }
  const owed = [...dues].filter(([, { units }]) => units !== 0n).sort(([x], [y]) => (x < y ? -1 : 1));
  return Object.fromEntries(
    owed.map(([key, { recipient, units }]) => [key, { recipient, dueMsat: writeUnits(units) }]),
  );
}

/** All that a carry owes, in msat. Whole, since a split is conserved to the msat. */
export function carriedMsat(carry: SplitCarry): bigint {
  let units = 0n;
  for (const { dueMsat } of Object.values(carry)) units += readUnits(dueMsat);
  return units / UNITS_PER_MSAT;
}
