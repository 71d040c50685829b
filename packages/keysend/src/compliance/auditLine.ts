import { bytesToHex, utf8ToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import type { AuditEntry } from '../ledger/auditSink.js';

/** An entry in its place: bound to all that came before it. */
export interface AuditRecord extends AuditEntry {
  /** From 1, without gaps. */
  readonly seq: number;
  /** The hash of the entry before; zeros before the first. */
  readonly previous: string;
  /** SHA-256 of the line without it. */
  readonly hash: string;
}

export const noPrevious = '0'.repeat(64);

const hashPart = (hash: string): string => `,"hash":"${hash}"}`;
const hashPartLength = hashPart(noPrevious).length;

/**
 * One line of JSON in one form: no spaces, the fields in this order, those of `data` sorted by code unit. The hash is
 * that of the line without the hash itself (`…,"previous":"…"}`), as UTF-8.
 */
export function encodeAuditLine(
  entry: AuditEntry,
  place: { readonly seq: number; readonly previous: string },
): { line: string; hash: string } {
  const { atMs, type, actor, data } = entry;
  const sorted = Object.fromEntries(Object.entries(data).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  const { seq, previous } = place;
  const body = JSON.stringify({ seq, atMs, type, actor, data: sorted, previous });
  const hash = hashOf(body);
  return { line: body.slice(0, -1) + hashPart(hash), hash };
}

export type AuditLineFault = 'malformed' | 'hash_wrong';

/** Reads one line strictly: its form, and its own hash. What came before is for the verifier. */
export function decodeAuditLine(line: string): AuditRecord | AuditLineFault {
  const body = `${line.slice(0, -hashPartLength)}}`;
  const hash = line.slice(-66, -2);
  if (line.length <= hashPartLength || !line.endsWith(hashPart(hash)) || !/^[0-9a-f]{64}$/.test(hash))
    return 'malformed';
  if (hashOf(body) !== hash) return 'hash_wrong';
  const record = parse(line);
  if (record === undefined || encodeAuditLine(record, record).line !== line) return 'malformed';
  return record;
}

function parse(line: string): AuditRecord | undefined {
  let value: Partial<AuditRecord> | null;
  try {
    value = JSON.parse(line) as Partial<AuditRecord> | null;
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { seq, atMs, type, actor, data, previous } = value;
  const formed =
    Number.isSafeInteger(seq) &&
    Number.isSafeInteger(atMs) &&
    typeof type === 'string' &&
    typeof actor === 'string' &&
    typeof previous === 'string' &&
    typeof data === 'object' &&
    data !== null &&
    !Array.isArray(data) &&
    Object.values(data).every((one) => one === null || ['string', 'number', 'boolean'].includes(typeof one));
  return formed ? (value as AuditRecord) : undefined;
}

function hashOf(text: string): string {
  return bytesToHex(sha256(utf8ToBytes(text)));
}
