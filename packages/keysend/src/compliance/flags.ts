import { KeysendError } from '../keysendError.js';
import type { AuditSink } from '../ledger/auditSink.js';
import { sortableNumber } from '../store/sortableKey.js';
import type { StoreTransaction } from '../store/toolkitStore.js';
import type { BookOptions } from './bookOptions.js';

/** Something that a person should look at. */
export interface Flag {
  /** Counts from 1. */
  readonly id: number;
  readonly atMs: number;
  /** The name of the monitor, or `blocked` or `limit` for what the book of counterparties says. */
  readonly monitor: string;
  /** What became of the payment. */
  readonly action: 'flag' | 'hold' | 'refuse';
  readonly reason: string;
  readonly direction: 'outgoing' | 'incoming';
  readonly counterparty: string;
  /** Digits, in msat. */
  readonly amountMsat: string;
  /** The leg's key, or the payment hash. */
  readonly payment: string;
  readonly acknowledged?: { readonly atMs: number; readonly by: string; readonly note: string };
}

const countKey = 'flagCount';

/** Raises a flag, in the transaction in which the payment was judged. */
export function raiseFlag(
  tx: StoreTransaction,
  given: { readonly flag: Omit<Flag, 'id' | 'acknowledged'>; readonly audit: AuditSink | undefined },
): void {
  const { flag, audit } = given;
  const id = Number(tx.get(countKey) ?? '0') + 1;
  tx.put(countKey, `${id}`);
  tx.put(flagKey(id), JSON.stringify({ id, ...flag } satisfies Flag));
  tx.put(openKey(id), '');
  const { atMs, monitor, action, reason, direction, counterparty, amountMsat, payment } = flag;
  audit?.append(tx, {
    type: 'payment_flagged',
    atMs,
    actor: 'rivulet',
    data: { id, monitor, action, reason, direction, counterparty, amountMsat, payment },
  });
}

/** The flags of a store. */
export class FlagBook {
  readonly #given: BookOptions;

  constructor(given: BookOptions) {
    this.#given = given;
  }

  get(id: number): Flag | undefined {
    const text = this.#given.store.get(flagKey(id));
    return text === undefined ? undefined : (JSON.parse(text) as Flag);
  }

  /** The newest first. @param before the id that the last page ended with. */
  list({
    open = false,
    before,
    limit = 100,
  }: {
    readonly open?: boolean;
    readonly before?: number;
    readonly limit?: number;
  } = {}): Flag[] {
    const keyOf = open ? openKey : flagKey;
    const entries = this.#given.store.list({
      prefix: keyOf(undefined),
      reverse: true,
      limit,
      ...(before === undefined ? {} : { before: keyOf(before) }),
    });
    return entries.flatMap(({ key }) => this.get(Number(key.slice(key.indexOf('/') + 1))) ?? []);
  }

  /** Says that somebody has looked at it, and what they found. @throws KeysendError `not_found`, `request_invalid` */
  acknowledge(id: number, given: { readonly by: string; readonly note: string }): Flag {
    const { by, note } = given;
    if (note.trim() === '') throw new KeysendError('request_invalid', 'say in a note what was found');
    return this.#given.store.transaction((tx) => {
      const text = tx.get(flagKey(id));
      if (text === undefined) throw new KeysendError('not_found', `there is no flag ${id}`);
      const atMs = this.#given.now();
      const flag: Flag = { ...(JSON.parse(text) as Flag), acknowledged: { atMs, by, note } };
      tx.put(flagKey(id), JSON.stringify(flag));
      tx.delete(openKey(id));
      this.#given.audit.append(tx, { type: 'flag_acknowledged', atMs, actor: by, data: { id, note } });
      return flag;
    });
  }
}

function flagKey(id: number | undefined): string {
  return `flag/${id === undefined ? '' : sortableNumber(id)}`;
}

function openKey(id: number | undefined): string {
  return `flagOpen/${id === undefined ? '' : sortableNumber(id)}`;
}
