import { bytesToUtf8, hexToBytes } from '@rivulet/core/bytes';
import { publicCurve } from '@rivulet/core/crypto';
import { KeysendError } from '../keysendError.js';
import { isJsonObject, type JsonObject, type JsonValue, jsonField, parseJson } from '../records/json.js';
import { accountRecord } from '../records/writeRecord.js';
import type { Fetched } from '../value/fetcher.js';
import type { Destination } from '../value/recipient.js';
import { readHints } from './addressHints.js';
import type { KeysendAddress } from './keysendAddress.js';

export type KeysendDestination = Extract<Destination, { type: 'keysend' }>;

/** Accounts behind one node: one is what everybody uses. */
const maxAccounts = 8;

/**
 * Reads what /.well-known/keysend/<name> said.
 * @returns `undefined` where this host has no keysend for this name, and LNURL-pay is to be asked.
 * @throws KeysendError `address_unreachable` for an answer that is neither: a payment on a guess would be lost.
 */
export function readKeysendAnswer(
  fetched: Fetched,
  { address, nowMs }: { address: KeysendAddress; nowMs: number },
): { readonly destination: KeysendDestination; readonly expiresAtMs?: number } | undefined {
  const json = readDocument(fetched, address);
  if (json === undefined) return undefined;
  const nodeId = nodeIdOf(jsonField(json, 'pubkey'));
  if (nodeId === undefined) throw unusable(address, 'it names no public key of a node');
  const tag = jsonField(json, 'tag');
  if (typeof tag === 'string' && tag.toLowerCase() !== 'keysend')
    throw unusable(address, 'it is for something else');
  const records = recordsOf(jsonField(json, 'customData'), address);
  const field = jsonField(json, 'rivulet');
  const hints = field === undefined ? undefined : readHints(field, { nodeId, address: address.text, nowMs });
  const destination: KeysendDestination = { type: 'keysend', nodeId, records };
  if (hints === undefined || 'problem' in hints) return { destination };
  return { destination: { ...destination, hints: hints.hints }, expiresAtMs: hints.expires * 1000 };
}

/**
 * The JSON object of an answer; `undefined` where the name is not known: by the status, by the answer's own word, or
 * by a page for people in its place (hosts that answer every path with their application).
 * @throws KeysendError `address_unreachable`
 */
export function readDocument({ status, body }: Fetched, address: KeysendAddress): JsonObject | undefined {
  if (status === 404 || status === 410) return undefined;
  const text = bytesToUtf8(body);
  const parsed = text === undefined ? undefined : parseJson(text);
  const json = parsed !== undefined && 'json' in parsed ? parsed.json : undefined;
  const isOk = status >= 200 && status <= 299;
  // LUD-01: an error is in the body; with a status that says that the host itself fails, it is not about the name.
  if ((isOk || status === 400) && isJsonObject(json) && isError(json)) return undefined;
  if (!isOk) throw unusable(address, `the status of its answer is ${status}`);
  return isJsonObject(json) ? json : undefined;
}

function isError(json: JsonObject): boolean {
  const status = jsonField(json, 'status');
  return typeof status === 'string' && status.toUpperCase() === 'ERROR';
}

/** 66 hex digits of a point on the curve. */
export function nodeIdOf(value: JsonValue | undefined): string | undefined {
  if (typeof value !== 'string') return undefined;
  const nodeId = value.trim().toLowerCase();
  return /^0[23][0-9a-f]{64}$/.test(nodeId) && publicCurve.isPublicKey(hexToBytes(nodeId))
    ? nodeId
    : undefined;
}

/** A list, nothing, or (seen) one object without its list; keys as numbers too. */
function recordsOf(
  customData: JsonValue | undefined,
  address: KeysendAddress,
): ReadonlyMap<bigint, Uint8Array> {
  const list: readonly JsonValue[] = Array.isArray(customData)
    ? (customData as readonly JsonValue[])
    : customData === undefined || customData === null
      ? []
      : [customData];
  if (list.length > maxAccounts) throw unusable(address, 'it names too many accounts');
  const records = new Map<bigint, Uint8Array>();
  for (const item of list) {
    if (!isJsonObject(item)) throw unusable(address, 'its account is not readable');
    const [key, value] = [textOf(jsonField(item, 'customKey')), textOf(jsonField(item, 'customValue'))];
    if (key === '' && value === '') continue;
    try {
      records.set(...accountRecord(key, value));
    } catch (cause) {
      if (!(cause instanceof KeysendError)) throw cause;
      throw unusable(address, `its account cannot be named in a payment (${cause.message})`, cause);
    }
  }
  return records;
}

function textOf(value: JsonValue | undefined): string {
  if (typeof value === 'string') return value;
  return typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : '';
}

export function unusable({ text }: KeysendAddress, reason: string, cause?: unknown): KeysendError {
  return new KeysendError('address_unreachable', `${text}: the answer of its host is unusable: ${reason}`, {
    cause,
  });
}
