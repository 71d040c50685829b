import { bytesToHex } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { firstCustomType, keysendRecordType, lastCustomType } from '../records/recordTypes.js';
import type { Recipient } from '../value/recipient.js';

/** One payment of a payout file. */
export interface PayoutLine {
  /** Where it stands in the file, from 1. */
  readonly line: number;
  /** Names this payment for good: what has been paid under a key is not paid again. */
  readonly key: string;
  readonly recipient: Recipient;
  readonly amountMsat: bigint;
  /** Text for the recipient. */
  readonly message?: string;
  /** For whoever reads the report; sent to nobody. */
  readonly note?: string;
}

/** The columns of a file; JSON may write them in camelCase. */
export const payoutColumns = [
  'key',
  'recipient',
  'amount',
  'amount_msat',
  'name',
  'message',
  'custom_key',
  'custom_value',
  'note',
] as const;

type PayoutColumn = (typeof payoutColumns)[number];
export type PayoutCells = Partial<Readonly<Record<PayoutColumn, string>>>;

/** `amountMsat`, `Amount msat` and `amount-msat` are `amount_msat`; `undefined` where it is no column. */
export function payoutColumn(name: string): PayoutColumn | undefined {
  const plain = name.toLowerCase().replace(/[\s_-]/g, '');
  return payoutColumns.find((column) => column.replace('_', '') === plain);
}

const maxSat = 2_100_000_000_000_000n;
/** What a payment carries beside everything else that goes with it. */
const maxMessageBytes = 800;
const maxNoteCharacters = 1_000;
const maxNameCharacters = 200;

/** Letters, digits and some marks: harmless in a spreadsheet, on a terminal and in a URL. */
const keyPattern = /^[\p{L}\p{N}][\p{L}\p{N}._:/@#+-]{0,63}$/u;
const nodeIdPattern = /^0[23][0-9a-f]{64}$/;
const addressPattern = /^[a-z0-9._+-]{1,64}@[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?(?::\d{1,5})?$/;

/** Satoshi with up to three decimals, as millisatoshi; a sentence where it is none. */
function readSats(text: string): bigint | string {
  const [, whole, fraction = ''] = /^(\d{1,16})(?:\.(\d+))?$/.exec(text) ?? [];
  if (whole === undefined) {
    return `amount ${JSON.stringify(text.slice(0, 40))} is no number of satoshi: write for example 2500 or 1.5, without separators`;
  }
  if (fraction.length > 3) return `amount ${text} is finer than a millisatoshi: give at most three decimals`;
  return BigInt(whole) * 1000n + BigInt(fraction.padEnd(3, '0'));
}

function readAmount({ amount, amount_msat: amountMsat }: PayoutCells): bigint | string {
  if (amount !== undefined && amountMsat !== undefined) {
    return 'has both amount and amount_msat: give one';
  }
  let msat: bigint | string;
  if (amount !== undefined) msat = readSats(amount);
  else if (amountMsat === undefined) return 'has no amount';
  else if (/^\d{1,19}$/.test(amountMsat)) msat = BigInt(amountMsat);
  else return `amount_msat ${JSON.stringify(amountMsat.slice(0, 40))} is no whole number of millisatoshi`;
  if (typeof msat === 'string') return msat;
  if (msat === 0n) return 'the amount is zero';
  if (msat > maxSat * 1000n) return 'the amount is more than all bitcoin there will ever be';
  return msat;
}

/** A public key or an address, told apart by its @; a sentence where it is neither. */
export function readRecipientAddress(text: string): Pick<Recipient, 'type' | 'address'> | string {
  const address = text.toLowerCase();
  if (nodeIdPattern.test(address)) return { type: 'node', address };
  if (address.includes('@')) {
    if (addressPattern.test(address)) return { type: 'lnaddress', address };
    return `recipient ${JSON.stringify(text.slice(0, 100))} is no address: write name@host`;
  }
  return `recipient ${JSON.stringify(text.slice(0, 100))} is neither a node's public key (66 hex digits) nor an address (name@host)`;
}

/** A control character or an unpaired surrogate: breaks terminals and reports. */
const control = /[\p{Cc}\p{Cs}]/u;

function readText(
  text: string,
  given: { what: string; most: number; inBytes?: boolean },
): string | undefined {
  const { what, most, inBytes = false } = given;
  const length = inBytes ? new TextEncoder().encode(text).length : text.length;
  if (length > most) {
    return `${what} is ${length} ${inBytes ? 'bytes' : 'characters'} long; at most ${most} go`;
  }
  if (control.test(text.replace(/[\t\n]/g, ''))) return `${what} has control characters`;
  return undefined;
}

function readCustom(cells: PayoutCells): Pick<Recipient, 'customKey' | 'customValue'> | string {
  const { custom_key: customKey, custom_value: customValue } = cells;
  if (customKey === undefined && customValue === undefined) return {};
  if (customKey === undefined || customValue === undefined) {
    return 'custom_key and custom_value go together: one of them is missing';
  }
  const type = /^[1-9]\d{4,19}$/.test(customKey) ? BigInt(customKey) : 0n;
  if (type < firstCustomType || type > lastCustomType) {
    return `custom_key ${JSON.stringify(customKey.slice(0, 40))} is no record type from 65536 up`;
  }
  if (type === keysendRecordType) return 'custom_key 5482373484 is the preimage of the payment itself';
  if (new TextEncoder().encode(customValue).length > maxMessageBytes) {
    return `custom_value is longer than ${maxMessageBytes} bytes`;
  }
  return { customKey, customValue };
}

/** What a line says: the payment, or everything that is wrong with it. */
export function readPayoutLine(
  cells: PayoutCells,
  { line, keysFromContent }: { line: number; keysFromContent: boolean },
): PayoutLine | readonly string[] {
  const problems: string[] = [];
  const sound = <T>(value: T | string): T | undefined => {
    if (typeof value !== 'string') return value;
    problems.push(value);
    return undefined;
  };
  const amountMsat = sound(readAmount(cells));
  const address = sound(
    cells.recipient === undefined ? 'has no recipient' : readRecipientAddress(cells.recipient),
  );
  const custom = sound(readCustom(cells));
  for (const [what, most, inBytes] of [
    ['message', maxMessageBytes, true],
    ['note', maxNoteCharacters, false],
    ['name', maxNameCharacters, false],
  ] as const) {
    const problem = readText(cells[what] ?? '', { what, most, inBytes });
    if (problem !== undefined) problems.push(problem);
  }
  if (cells.key !== undefined && !keyPattern.test(cells.key)) {
    problems.push(
      `key ${JSON.stringify(cells.key.slice(0, 80))} is no key: 1 to 64 letters, digits and . _ : / @ # + -, the first a letter or digit`,
    );
  }
  if (cells.key === undefined && !keysFromContent) {
    problems.push('has no key: give every line one, or let them be made from the content');
  }
  if (problems.length > 0 || amountMsat === undefined || address === undefined || custom === undefined) {
    return problems;
  }
  const { name, message, note } = cells;
  const recipient: Recipient = { ...(name === undefined ? {} : { name }), ...address, ...custom };
  const content = { recipient, amountMsat, ...(message === undefined ? {} : { message }) };
  const key = cells.key ?? contentKey(payoutContent(content));
  return { line, key, ...content, ...(note === undefined ? {} : { note }) };
}

/** What is the same for two lines exactly when the same would be paid: names and notes do not count. */
export function payoutContent({
  recipient,
  amountMsat,
  message,
}: Pick<PayoutLine, 'recipient' | 'amountMsat' | 'message'>): string {
  const { address, customKey = null, customValue = null } = recipient;
  return JSON.stringify([address, amountMsat.toString(), message ?? null, customKey, customValue]);
}

function contentKey(content: string): string {
  const digest = sha256(new TextEncoder().encode(content));
  return `content-${bytesToHex(digest).slice(0, 40)}`;
}
