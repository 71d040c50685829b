import type { InvoiceCurrency } from './invoice.js';
import { InvoiceError } from './invoiceError.js';

/** The multipliers, largest first, and what one unit is in tenths of a millisatoshi. */
const multipliers = [
  ['', 1_000_000_000_000n],
  ['m', 1_000_000_000n],
  ['u', 1_000_000n],
  ['n', 1_000n],
  ['p', 1n],
] as const;

const currencies: readonly string[] = ['bc', 'tb', 'tbs', 'bcrt'] satisfies readonly InvoiceCurrency[];

/** All the bitcoin there will ever be. */
const maxAmountMsat = 21_000_000n * 100_000_000n * 1000n;
/** All of it in pico-bitcoin has 20 digits: what is longer is not even calculated with. */
const maxAmountDigits = 20;

/**
 * Writes the part before the separator, for example `lnbc2500u`, in its shortest form.
 * @throws InvoiceError `amount_invalid`
 */
export function formatHumanReadablePart(currency: InvoiceCurrency, amountMsat: bigint | undefined): string {
  if (amountMsat === undefined) return `ln${currency}`;
  // BOLT 11, writer: MUST encode `amount` as a positive decimal integer
  if (amountMsat <= 0n || amountMsat > maxAmountMsat) {
    throw new InvoiceError('amount_invalid', 'the amount must be above zero and at most 21 million bitcoin');
  }
  const tenths = amountMsat * 10n;
  const [letter, unit] = multipliers.find(([, one]) => tenths % one === 0n) as (typeof multipliers)[number];
  return `ln${currency}${tenths / unit}${letter}`;
}

/**
 * Reads the part before the separator, in lower case.
 * @throws InvoiceError `prefix_unknown`, `amount_invalid`
 */
export function readHumanReadablePart(text: string): { currency: InvoiceCurrency; amountMsat?: bigint } {
  const [, currency, amount] = /^ln([a-z]*)(.*)$/.exec(text) ?? [];
  // BOLT 11, reader: if it does NOT understand the `prefix`: MUST fail the payment
  if (currency === undefined || amount === undefined || !currencies.includes(currency)) {
    throw new InvoiceError(
      'prefix_unknown',
      'this is no Lightning invoice of a network that Rivulet knows: they begin with lnbc, lntb, lntbs or lnbcrt',
    );
  }
  const known = currency as InvoiceCurrency;
  return amount === '' ? { currency: known } : { currency: known, amountMsat: readAmount(amount) };
}

function readAmount(text: string): bigint {
  const [, digits, letter] = /^(\d+)([munp]?)$/.exec(text) ?? [];
  const unit = multipliers.find(([one]) => one === letter)?.[1];
  // BOLT 11, reader: a non-digit, or anything but a `multiplier` behind it: MUST fail the payment
  if (digits === undefined || unit === undefined || digits.length > maxAmountDigits) {
    throw new InvoiceError(
      'amount_invalid',
      'the amount of this invoice is no number with a multiplier (m, u, n, p)',
    );
  }
  const tenths = BigInt(digits) * unit;
  // BOLT 11, reader: multiplier `p` and the last decimal is not 0: MUST fail the payment
  if (tenths % 10n !== 0n) {
    throw new InvoiceError(
      'amount_invalid',
      'the amount of this invoice is a fraction of a millisatoshi, which cannot be paid',
    );
  }
  const amountMsat = tenths / 10n;
  if (amountMsat === 0n || amountMsat > maxAmountMsat) {
    throw new InvoiceError(
      'amount_invalid',
      'the amount of this invoice is zero or more than all the bitcoin there will be',
    );
  }
  return amountMsat;
}
