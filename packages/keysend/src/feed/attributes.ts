import { quoted } from './feedProblems.js';
import type { XmlElement } from './xmlTree.js';

/** What an attribute came to, and what had to be overlooked for it. */
export interface Read<T> {
  readonly value: T | undefined;
  readonly problem?: string;
}

/** By its name, in whatever case; an empty one is none. */
export function attribute(element: XmlElement, name: string): string | undefined {
  let value = element.attributes.get(name);
  if (value === undefined) {
    const lower = name.toLowerCase();
    for (const [each, text] of element.attributes) if (each.toLowerCase() === lower) value = text;
  }
  return value === undefined || value === '' ? undefined : value;
}

/**
 * A number of shares. The namespace has whole numbers; feeds have `50.0`, `1e3`, `50%` and `0.5` as well: a fraction
 * is rounded, and is at least 1 where it is above 0. What is negative or no number is `undefined`.
 */
export function readSplit(text: string | undefined): Read<bigint> {
  if (text === undefined) return { value: undefined, problem: 'has no split' };
  if (/^\d{1,20}$/.test(text)) return { value: BigInt(text) };
  const match = /^\+?(\d{1,20})(?:\.(\d{0,20}))?(?:e\+?(\d{1,2}))?\s*%?$/i.exec(text);
  if (match === null) return { value: undefined, problem: `has a split of ${quoted(text)}` };
  const exponent = Number(match[3] ?? '0');
  const fraction = match[2] ?? '';
  const scaled = BigInt(match[1]! + fraction) * 10n ** BigInt(exponent);
  const unit = 10n ** BigInt(fraction.length);
  const rounded = (scaled + unit / 2n) / unit;
  const value = rounded === 0n && scaled > 0n ? 1n : rounded;
  return { value, problem: `has a split of ${quoted(text)}, read as ${value}` };
}

export function readFlag(text: string | undefined): Read<boolean> {
  switch (text?.toLowerCase()) {
    case undefined:
    case 'false':
      return { value: false };
    case 'true':
      return { value: true };
    case 'yes':
    case '1':
      return { value: true, problem: `says ${quoted(text!)} for true` };
    case 'no':
    case '0':
      return { value: false, problem: `says ${quoted(text!)} for false` };
    default:
      return { value: false, problem: `says ${quoted(text!)} where true or false is meant: read as false` };
  }
}

const MAX_SECONDS = 10_000_000;

/** Seconds, or `[HH:]MM:SS`. */
export function readSeconds(text: string | undefined): Read<number> {
  if (text === undefined) return { value: undefined };
  const clock = /^(?:(\d{1,4}):)?(\d{1,4}):(\d{1,2}(?:\.\d{1,9})?)$/.exec(text);
  const seconds =
    clock === null
      ? /^\d{1,12}(?:\.\d{0,12})?$/.test(text)
        ? Number(text)
        : Number.NaN
      : Number(clock[1] ?? '0') * 3600 + Number(clock[2]) * 60 + Number(clock[3]);
  if (Number.isNaN(seconds) || seconds > MAX_SECONDS) {
    return { value: undefined, problem: `${quoted(text)} is no time in seconds` };
  }
  return { value: seconds };
}

/** Of 100; outside 0..100 it is clamped, as the namespace has it. */
export function readPercentage(text: string | undefined): Read<number> {
  if (text === undefined) return { value: 100 };
  const match = /^([+-]?\d{1,12}(?:\.\d{0,12})?)\s*%?$/.exec(text);
  if (match === null) return { value: undefined, problem: `${quoted(text)} is no percentage` };
  return { value: Math.min(100, Math.max(0, Number(match[1]))) };
}

const PLACES = 11;

/** An amount in bitcoin, as decimal or with an exponent, in msat; what is below a msat is cut off. */
export function readBitcoin(text: string | undefined): Read<bigint> {
  if (text === undefined) return { value: undefined };
  const match = /^(\d{0,8})(?:\.(\d{0,20}))?(?:e(-?\d{1,2}))?$/i.exec(text);
  if (match === null || `${match[1]}${match[2] ?? ''}` === '') {
    return { value: undefined, problem: `suggests ${quoted(text)}, which is no amount in bitcoin` };
  }
  const shift = PLACES - (match[2] ?? '').length + Number(match[3] ?? '0');
  const digits = BigInt(`${match[1]}${match[2] ?? ''}`);
  const value = shift >= 0 ? digits * 10n ** BigInt(shift) : digits / 10n ** BigInt(-shift);
  if (value > 2_100_000_000_000_000_000n) {
    return { value: undefined, problem: `suggests ${quoted(text)}, more bitcoin than there are` };
  }
  return { value };
}
