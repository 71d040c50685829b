import { KeysendError } from '../keysendError.js';

/** An exact fraction, in lowest terms; the denominator is positive. */
export interface Rational {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

export const zero: Rational = { numerator: 0n, denominator: 1n };

/** Prices are from people: with more digits than that they are mistakes. */
const maxDigits = 30;
/** Sums of different prices: a denominator beyond that is no honest price. */
const maxDenominator = 10n ** 120n;

/**
 * `12`, `0.25` or `3/7`, none of them negative.
 * @throws KeysendError `request_invalid`
 */
export function parseRational(text: string): Rational {
  const invalid = (): KeysendError =>
    new KeysendError(
      'request_invalid',
      `${JSON.stringify(text.slice(0, 40))} is no number: write 12, 0.25 or 3/7, none of it negative`,
    );
  if (text.length > 2 * maxDigits) throw invalid();
  const read = readRational(text);
  if (read === undefined) throw invalid();
  return read;
}

/** What `formatRational` wrote. */
export function storedRational(text: string): Rational {
  const read = readRational(text);
  if (read === undefined) throw new KeysendError('store_invalid', 'what is stored as a number is none');
  return read;
}

function readRational(text: string): Rational | undefined {
  const [, top, bottom] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  if (top !== undefined && bottom !== undefined) {
    return BigInt(bottom) === 0n ? undefined : reduced(BigInt(top), BigInt(bottom));
  }
  const [, whole, fraction = ''] = /^(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  if (whole === undefined) return undefined;
  return reduced(BigInt(whole + fraction), 10n ** BigInt(fraction.length));
}

export function formatRational({ numerator, denominator }: Rational): string {
  return denominator === 1n ? numerator.toString() : `${numerator}/${denominator}`;
}

export function add(a: Rational, b: Rational): Rational {
  return reduced(a.numerator * b.denominator + b.numerator * a.denominator, a.denominator * b.denominator);
}

export function multiply(a: Rational, b: Rational): Rational {
  return reduced(a.numerator * b.numerator, a.denominator * b.denominator);
}

/** The whole part and what is left of it. */
export function splitWhole({ numerator, denominator }: Rational): { whole: bigint; rest: Rational } {
  return { whole: numerator / denominator, rest: reduced(numerator % denominator, denominator) };
}

function reduced(numerator: bigint, denominator: bigint): Rational {
  let a = numerator;
  let b = denominator;
  while (b !== 0n) [a, b] = [b, a % b];
  if (denominator / a > maxDenominator) {
    throw new KeysendError(
      'request_invalid',
      'the fraction has too many digits: round the price or the units',
    );
  }
  return { numerator: numerator / a, denominator: denominator / a };
}
