import { usageError } from '../cliError.js';

const maxSat = 2_100_000_000_000_000n;

function grouped(digits: string): string {
  return digits.replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1,234 sat`, or `1,234.567 sat` where millisatoshi are left over. */
export function formatMsat(amountMsat: bigint): string {
  const sign = amountMsat < 0n ? '-' : '';
  const positive = amountMsat < 0n ? -amountMsat : amountMsat;
  const fraction = (positive % 1000n).toString().padStart(3, '0').replace(/0+$/, '');
  return `${sign}${grouped((positive / 1000n).toString())}${fraction === '' ? '' : `.${fraction}`} sat`;
}

export function formatSat(valueSat: bigint): string {
  return formatMsat(valueSat * 1000n);
}

/** Satoshi as a person types them, with up to three decimals, as millisatoshi. @throws CliError */
export function parseSatsToMsat(text: string, what = 'the amount'): bigint {
  if (/^-/.test(text)) throw usageError(`${what} cannot be negative: ${JSON.stringify(text)}`);
  const [, whole, fraction = ''] =
    /^(\d+|\d{1,3}(?:,\d{3})+|\d{1,3}(?:_\d{3})+)(?:\.(\d+))?$/.exec(text) ?? [];
  if (whole === undefined) {
    throw usageError(`${what} ${JSON.stringify(text)} is no number of satoshi: give for example 2500 or 1.5`);
  }
  if (fraction.length > 3) {
    throw usageError(
      `${what} ${text} is finer than a millisatoshi: give at most three decimals, such as 0.001`,
    );
  }
  const amountMsat = BigInt(whole.replace(/[,_]/g, '')) * 1000n + BigInt(fraction.padEnd(3, '0'));
  if (amountMsat === 0n) throw usageError(`${what} is zero: give at least 0.001 (one millisatoshi)`);
  if (amountMsat > maxSat * 1000n) {
    throw usageError(`${what} ${text} is more than all bitcoin there will ever be (${formatSat(maxSat)})`);
  }
  return amountMsat;
}

/** Whole satoshi as a person types them. @throws CliError */
export function parseSats(text: string, what = 'the amount'): bigint {
  const amountMsat = parseSatsToMsat(text, what);
  if (amountMsat % 1000n !== 0n)
    throw usageError(`${what} ${text} must be whole satoshi: on chain there is nothing finer`);
  return amountMsat / 1000n;
}

/** A limit of fees in satoshi, which may be nothing. In millisatoshi. @throws CliError */
export function parseFee(text: string, what: string): bigint {
  return /^0+(\.0{1,3})?$/.test(text) ? 0n : parseSatsToMsat(text, what);
}
