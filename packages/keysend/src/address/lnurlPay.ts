import { bytesToHex, bytesToUtf8, equalBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import {
  checkPayable,
  decodeInvoice,
  type Invoice,
  type InvoiceCurrency,
  InvoiceError,
} from '@rivulet/core/invoice';
import { cutGraphemes, graphemes } from '../boostagram/graphemes.js';
import { KeysendError } from '../keysendError.js';
import { isJsonObject, type JsonValue, jsonField, parseJson } from '../records/json.js';
import { amountText } from '../value/amountText.js';
import type { Fetched, Fetcher } from '../value/fetcher.js';
import type { Destination } from '../value/recipient.js';
import type { KeysendAddress } from './keysendAddress.js';
import { readDocument, unusable } from './keysendAnswer.js';

export type LnurlDestination = Extract<Destination, { type: 'lnurl' }>;

const maxMsat = 21_000_000n * 100_000_000n * 1000n;
const maxCallbackLength = 1024;
const maxCommentLength = 4096;
const maxInvoiceAnswerBytes = 32_768;

/**
 * Reads what /.well-known/lnurlp/<name> said (LUD-06, LUD-12, LUD-16).
 * @returns `undefined` where the name is not known.
 * @throws KeysendError `address_unreachable`
 */
export function readLnurlAnswer(fetched: Fetched, address: KeysendAddress): LnurlDestination | undefined {
  const json = readDocument(fetched, address);
  if (json === undefined) return undefined;
  if (jsonField(json, 'tag') !== 'payRequest') throw unusable(address, 'it is no LNURL-pay');
  const callback = jsonField(json, 'callback');
  const metadata = jsonField(json, 'metadata');
  const minMsat = msatOf(jsonField(json, 'minSendable'));
  const maxMsat = msatOf(jsonField(json, 'maxSendable'));
  if (typeof callback !== 'string' || callback.length > maxCallbackLength || !isUrl(callback)) {
    throw unusable(address, 'it does not say where invoices are fetched');
  }
  if (typeof metadata !== 'string') throw unusable(address, 'it has no metadata');
  if (minMsat === undefined || maxMsat === undefined || minMsat < 1n || minMsat > maxMsat) {
    throw unusable(address, 'its limits of amounts make no sense');
  }
  const comment = jsonField(json, 'commentAllowed');
  const commentLength =
    typeof comment === 'number' && comment > 0 ? Math.min(Math.floor(comment), maxCommentLength) : 0;
  return { type: 'lnurl', callback, minMsat, maxMsat, commentLength, metadata };
}

function isUrl(text: string): boolean {
  try {
    const { protocol } = new URL(text);
    return protocol === 'https:' || protocol === 'http:';
  } catch {
    return false;
  }
}

function msatOf(value: JsonValue | undefined): bigint | undefined {
  if (typeof value === 'string' && /^\d{1,19}$/.test(value)) return atMost(BigInt(value));
  if (typeof value !== 'number' || !(value >= 0)) return undefined;
  return value > Number.MAX_SAFE_INTEGER ? maxMsat : atMost(BigInt(Math.floor(value)));
}

function atMost(msat: bigint): bigint {
  return msat > maxMsat ? maxMsat : msat;
}

export interface InvoiceWanted {
  readonly amountMsat: bigint;
  readonly comment?: string;
  readonly signal?: AbortSignal;
}

export interface InvoiceGot {
  readonly invoice: string;
  /** 64 hex digits. */
  readonly paymentHash: string;
  readonly expiresAtMs: number;
}

/**
 * Fetches an invoice (LUD-06) and checks that it asks for what was meant: this amount, this recipient's description,
 * this network, and that it can still be paid.
 * @throws KeysendError `request_invalid` for an amount outside of the limits; `address_unreachable`, `fetch_refused`,
 * `fetch_failed`
 */
export async function fetchInvoice(
  destination: LnurlDestination,
  wanted: InvoiceWanted,
  {
    fetcher,
    nowMs,
    currency,
    timeoutMs,
  }: {
    fetcher: Fetcher;
    nowMs: () => number;
    currency: InvoiceCurrency;
    timeoutMs: number;
  },
): Promise<InvoiceGot> {
  const { callback, minMsat, maxMsat } = destination;
  const { amountMsat, signal } = wanted;
  if (amountMsat < minMsat || amountMsat > maxMsat) {
    throw new KeysendError(
      'request_invalid',
      `this recipient takes ${amountText(minMsat)} to ${amountText(maxMsat)} in one payment; ${amountText(amountMsat)} is not within`,
    );
  }
  const url = new URL(callback);
  url.searchParams.set('amount', amountMsat.toString());
  const comment = fitComment(wanted.comment, destination.commentLength);
  if (comment !== undefined) url.searchParams.set('comment', comment);
  const limits = { maxBytes: maxInvoiceAnswerBytes, timeoutMs, ...(signal === undefined ? {} : { signal }) };
  const text = invoiceIn(await fetcher(url.href, limits), url.host);
  const invoice = checked(text, url.host, { nowSeconds: Math.floor(nowMs() / 1000), currency });
  if (invoice.amountMsat !== amountMsat) {
    throw refused(
      url.host,
      `it asks for ${invoice.amountMsat === undefined ? 'any amount' : amountText(invoice.amountMsat)} instead of ${amountText(amountMsat)}`,
    );
  }
  // LUD-06: the hash of the metadata; later versions leave the description free, so that a text is none of its business
  const { description } = invoice;
  if (
    description.type === 'hash' &&
    !equalBytes(description.hash, sha256(utf8ToBytes(destination.metadata)))
  ) {
    throw refused(url.host, 'it is for something else than what the recipient announced');
  }
  return {
    invoice: text,
    paymentHash: bytesToHex(invoice.paymentHash),
    expiresAtMs: (invoice.timestamp + invoice.expirySeconds) * 1000,
  };
}

/** As much of a comment as is taken, in whole characters; `undefined` for none. */
function fitComment(comment: string | undefined, limit: number): string | undefined {
  if (comment === undefined || comment === '' || limit === 0) return undefined;
  if (comment.length <= limit) return comment;
  const kept = cutGraphemes(graphemes(comment), { limit, measure: ({ length }) => length });
  return kept.length === 0 ? undefined : kept.join('');
}

function invoiceIn({ status, body }: Fetched, host: string): string {
  const text = bytesToUtf8(body);
  const parsed = text === undefined ? undefined : parseJson(text);
  const json =
    parsed !== undefined && 'json' in parsed && isJsonObject(parsed.json) ? parsed.json : undefined;
  const reason = json === undefined ? undefined : jsonField(json, 'reason');
  const invoice = json === undefined ? undefined : jsonField(json, 'pr');
  if (typeof invoice === 'string' && status >= 200 && status < 300) return invoice.trim();
  if (typeof reason === 'string' && reason !== '') {
    throw new KeysendError('address_unreachable', `${host} gives no invoice: ${printable(reason)}`);
  }
  throw new KeysendError('address_unreachable', `${host} gives no invoice (status ${status})`);
}

/** A stranger's words in a message of ours: one line, and not long. */
function printable(text: string): string {
  return JSON.stringify(
    text
      .replace(/[\p{C}\p{Z}]+/gu, ' ')
      .trim()
      .slice(0, 160),
  );
}

function checked(
  text: string,
  host: string,
  { nowSeconds, currency }: { nowSeconds: number; currency: InvoiceCurrency },
): Invoice {
  try {
    const invoice = decodeInvoice(text);
    checkPayable(invoice, { currency, nowSeconds });
    return invoice;
  } catch (cause) {
    if (!(cause instanceof InvoiceError)) throw cause;
    throw refused(host, cause.message, cause);
  }
}

function refused(host: string, reason: string, cause?: unknown): KeysendError {
  return new KeysendError('address_unreachable', `the invoice of ${host} is not paid: ${reason}`, { cause });
}
