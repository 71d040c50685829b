import { usageError } from '../cliError.js';
import { parseSats } from '../format/amount.js';
import { printable } from '../format/text.js';

const maxFeerate = 10_000;
/** Relayed as 1 sat a virtual byte, over the rounding of weights. */
const leastPerKw = 253;

/** Satoshi a virtual byte as a person types it, as satoshi a 1000 weight units. @throws CliError */
export function parseFeerate(text: string): number {
  const feerate = /^\d{1,5}(\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  if (feerate >= 1 && feerate <= maxFeerate) return Math.max(Math.ceil(feerate * 250), leastPerKw);
  throw usageError(
    `--feerate is in sat/vB, from 1 to ${maxFeerate}, such as 2.5; ${JSON.stringify(text)} is not`,
  );
}

/** `12.5 sat/vB`. */
export function formatFeerate(feeratePerKw: number): string {
  return `${(Math.round(feeratePerKw / 2.5) / 100).toString()} sat/vB`;
}

/** A coin as it is typed: `txid:index`. @throws CliError */
export function parseCoin(text: string): string {
  if (/^[0-9a-f]{64}:(0|[1-9]\d{0,8})$/i.test(text)) return text.toLowerCase();
  throw usageError(
    `${JSON.stringify(printable(text.slice(0, 90)))} is no coin: give its transaction and index, as rivulet coins prints them`,
  );
}

/** @throws CliError */
export function parseTxid(text: string): string {
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase();
  throw usageError(
    `a transaction id has 64 hex digits, and ${JSON.stringify(printable(text.slice(0, 80)))} is none: rivulet transactions lists them`,
  );
}

/** `ADDRESS AMOUNT` pairs, one of them with `all` for an amount. @throws CliError */
function parsePayments(words: readonly string[]): {
  recipients: { address: string; amountSat: bigint }[];
  allTo?: string;
} {
  if (words.length === 0 || words.length % 2 !== 0) {
    throw usageError('give an address and an amount for each payment: rivulet send <address> <sats>');
  }
  const recipients: { address: string; amountSat: bigint }[] = [];
  let allTo: string | undefined;
  for (let index = 0; index < words.length; index += 2) {
    const address = words[index] as string;
    const amount = words[index + 1] as string;
    if (amount.toLowerCase() !== 'all') {
      recipients.push({ address, amountSat: parseSats(amount) });
      continue;
    }
    if (allTo !== undefined) throw usageError('all that is left can go to one address alone');
    allTo = address;
  }
  return { recipients, ...(allTo === undefined ? {} : { allTo }) };
}

/** What several commands say of what is spent. */
export interface SpendingOptions {
  readonly feerate?: string;
  readonly coin?: readonly string[];
  readonly maxFee?: string;
  readonly includingReserve?: boolean;
}

/** The request of these options. @throws CliError */
export function parseSpending(words: readonly string[], options: SpendingOptions) {
  const { feerate, coin, maxFee, includingReserve } = options;
  return {
    ...parsePayments(words),
    ...(feerate === undefined ? {} : { feeratePerKw: parseFeerate(feerate) }),
    ...(coin === undefined ? {} : { coins: coin.map(parseCoin) }),
    ...(maxFee === undefined ? {} : { maxFeeSat: parseSats(maxFee, '--max-fee') }),
    ...(includingReserve === true ? { includingReserve } : {}),
  };
}
