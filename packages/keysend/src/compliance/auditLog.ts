import { KeysendError } from '../keysendError.js';
import type { AuditEntry, AuditSink } from '../ledger/auditSink.js';
import { sortableNumber } from '../store/sortableKey.js';
import type { StoreReader, StoreTransaction, ToolkitStore } from '../store/toolkitStore.js';
import { type AuditRecord, decodeAuditLine, encodeAuditLine, noPrevious } from './auditLine.js';

/** The last entry of a log: whoever knows it knows whether anything before it was changed. */
export interface AuditHead {
  /** 0 for a log without entries. */
  readonly seq: number;
  readonly hash: string;
}

const headKey = 'auditHead';
const auditPrefix = 'audit/';

const pageSize = 500;
const maxTextLength = 4_000;
/** What would be a secret by its name. */
const secretName = /preimage|macaroon|rune|secret|passw|passphrase|private|mnemonic|token|seed/i;

/**
 * The audit log of a store: entries that are only ever added, each bound by its hash to the one before. An entry is
 * in the transaction of what it tells of. Several processes may append: the head is read inside the transaction.
 */
export class AuditLog implements AuditSink {
  readonly #store: ToolkitStore;

  constructor({ store }: { readonly store: ToolkitStore }) {
    this.#store = store;
  }

  /** @throws KeysendError `request_invalid` for an entry that has a secret, or another form than an entry has. */
  append(tx: StoreTransaction, entry: AuditEntry): void {
    check(entry);
    const { seq: last, hash: previous } = readHead(tx);
    const seq = last + 1;
    const { line, hash } = encodeAuditLine({ ...entry, data: clip(entry.data) }, { seq, previous });
    tx.put(auditKey(seq), line);
    tx.put(headKey, JSON.stringify({ seq, hash } satisfies AuditHead));
  }

  head(): AuditHead {
    return readHead(this.#store);
  }

  /** One after the other, read page by page. @throws KeysendError `log_damaged` for a line that is none. */
  *records({
    after = 0,
    reverse = false,
  }: {
    readonly after?: number;
    readonly reverse?: boolean;
  } = {}): Generator<AuditRecord> {
    for (const line of this.lines({ after, reverse })) {
      const record = decodeAuditLine(line);
      if (typeof record === 'string') {
        throw new KeysendError('log_damaged', `the audit log is damaged (${record}): verify it to see where`);
      }
      yield record;
    }
  }

  /** The lines as they are stored, without a line feed: what an export is made of. */
  *lines({
    after = 0,
    reverse = false,
  }: {
    readonly after?: number;
    readonly reverse?: boolean;
  } = {}): Generator<string> {
    yield* auditLines(this.#store, { after, reverse });
  }
}

/** The lines of a store's log, read page by page. */
export function* auditLines(
  store: StoreReader,
  { after = 0, reverse = false }: { readonly after?: number; readonly reverse?: boolean } = {},
): Generator<string> {
  const lowest = auditKey(after);
  let edge: string | undefined = reverse ? undefined : lowest;
  for (;;) {
    const page = store.list({
      prefix: auditPrefix,
      limit: pageSize,
      reverse,
      ...(reverse ? { after: lowest, ...(edge === undefined ? {} : { before: edge }) } : { after: edge }),
    });
    for (const { value } of page) yield value;
    edge = page.at(-1)?.key;
    if (edge === undefined || page.length < pageSize) return;
  }
}

export function readHead(reader: StoreReader): AuditHead {
  const text = reader.get(headKey);
  return text === undefined ? { seq: 0, hash: noPrevious } : (JSON.parse(text) as AuditHead);
}

function auditKey(seq: number): string {
  return auditPrefix + sortableNumber(seq);
}

function check({ type, actor, atMs, data }: AuditEntry): void {
  if (!/^[a-z][a-z0-9_]{0,63}$/.test(type)) {
    throw new KeysendError('request_invalid', `${JSON.stringify(type)} is no type of an audit entry`);
  }
  if (!Number.isSafeInteger(atMs)) throw new KeysendError('request_invalid', `${type}: ${atMs} is no time`);
  if (actor === '') throw new KeysendError('request_invalid', `${type}: nobody did it`);
  for (const [name, value] of Object.entries(data)) {
    if (secretName.test(name)) {
      throw new KeysendError('request_invalid', `${type}: ${name} has no place in an audit log`);
    }
    if (typeof value === 'number' && !Number.isFinite(value)) {
      throw new KeysendError('request_invalid', `${type}: ${name} is no number`);
    }
  }
}

/** What strangers wrote may be long, and no payment fails for it. */
function clip(data: AuditEntry['data']): AuditEntry['data'] {
  return Object.fromEntries(
    Object.entries(data).map(([name, value]) => [
      name,
      typeof value === 'string' && value.length > maxTextLength ? `${value.slice(0, maxTextLength)}…` : value,
    ]),
  );
}
