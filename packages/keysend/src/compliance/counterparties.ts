import * as z from 'zod/mini';
import { KeysendError } from '../keysendError.js';
import { bigintAsDigits } from '../records/json.js';
import type { StoreReader, StoreTransaction } from '../store/toolkitStore.js';
import type { BookOptions } from './bookOptions.js';

const amount = z.bigint().check(z.gte(0n));

const limitsSchema = z.strictObject({
  perPaymentMsat: z.optional(amount),
  /** In a day of UTC. */
  perDayMsat: z.optional(amount),
  /** In a month of UTC. */
  perMonthMsat: z.optional(amount),
});

const settingsSchema = z.strictObject({
  name: z.optional(z.string().check(z.maxLength(200))),
  note: z.optional(z.string().check(z.maxLength(2_000))),
  tags: z.optional(z.array(z.string().check(z.regex(/^[\w.:-]{1,64}$/))).check(z.maxLength(32))),
  blocked: z.optional(z.enum(['outgoing', 'incoming', 'both'])),
  outgoing: z.optional(limitsSchema),
  incoming: z.optional(limitsSchema),
  /** What becomes of a payment beyond a limit; refused where it is absent. */
  whenOver: z.optional(z.enum(['refuse', 'hold'])),
});

export type CounterpartyLimits = z.infer<typeof limitsSchema>;
/** What an owner says about somebody. */
export type CounterpartySettings = z.infer<typeof settingsSchema>;

export interface Counterparty extends CounterpartySettings {
  /** Node id in hex or name@host, in lower case; or `unknown`. */
  readonly id: string;
  readonly changedAtMs: number;
}

/** A change: what is `null` is removed, what is absent stays. */
export type CounterpartyChange = {
  readonly [K in keyof CounterpartySettings]?: CounterpartySettings[K] | null;
};

/** Whom we know, and what they may get and send. Every change is in the audit log, in the same transaction. */
export class CounterpartyBook {
  readonly #given: BookOptions;

  constructor(given: BookOptions) {
    this.#given = given;
  }

  /** @throws KeysendError `request_invalid` */
  set(id: string, change: CounterpartyChange, by: string): Counterparty {
    const known = counterpartyId(id);
    return this.#given.store.transaction((tx) => {
      const before = readCounterparty(tx, known);
      const { id: _, changedAtMs: __, ...settings } = before ?? { id: '', changedAtMs: 0 };
      const merged = Object.fromEntries(
        Object.entries({ ...settings, ...change }).filter(
          ([, value]) => value !== null && value !== undefined,
        ),
      );
      const parsed = z.safeParse(settingsSchema, merged);
      if (!parsed.success) {
        const where = parsed.error.issues[0]?.path.join('.') ?? '';
        throw new KeysendError(
          'request_invalid',
          `this cannot be said of a counterparty${where === '' ? '' : ` (at ${where})`}`,
        );
      }
      const after: Counterparty = { ...parsed.data, id: known, changedAtMs: this.#given.now() };
      tx.put(bookKey(known), encode(after));
      this.#tell(tx, { id: known, before, after, by });
      return after;
    });
  }

  /** @throws KeysendError `not_found` */
  remove(id: string, by: string): void {
    const known = counterpartyId(id);
    this.#given.store.transaction((tx) => {
      const before = readCounterparty(tx, known);
      if (before === undefined) throw new KeysendError('not_found', `${known} is not in the book`);
      tx.delete(bookKey(known));
      this.#tell(tx, { id: known, before, after: undefined, by });
    });
  }

  get(id: string): Counterparty | undefined {
    return readCounterparty(this.#given.store, counterpartyId(id));
  }

  /** In the order of their ids. */
  list({
    tag,
    after,
    limit,
  }: {
    readonly tag?: string;
    readonly after?: string;
    readonly limit?: number;
  } = {}): Counterparty[] {
    const range = { prefix: bookKey(''), ...(after === undefined ? {} : { after: bookKey(after) }) };
    const all = this.#given.store.list(range).map(({ value }) => decode(value));
    return all.filter(({ tags = [] }) => tag === undefined || tags.includes(tag)).slice(0, limit);
  }

  #tell(
    tx: StoreTransaction,
    given: { id: string; before: Counterparty | undefined; after: Counterparty | undefined; by: string },
  ): void {
    const { id, before, after, by } = given;
    this.#given.audit.append(tx, {
      type: 'counterparty_changed',
      atMs: this.#given.now(),
      actor: by,
      data: { id, before: describe(before), after: describe(after) },
    });
  }
}

export function readCounterparty(reader: StoreReader, id: string): Counterparty | undefined {
  const text = reader.get(bookKey(id));
  return text === undefined ? undefined : decode(text);
}

/** A node id, an address or `unknown`, as it is compared. @throws KeysendError `request_invalid` */
function counterpartyId(text: string): string {
  const id = text.trim().toLowerCase();
  if (/^(0[23][0-9a-f]{64}|[^\s@/]{1,64}@[^\s@/]{1,253}|unknown)$/.test(id)) return id;
  throw new KeysendError(
    'request_invalid',
    'a counterparty is a node id (66 hex digits), name@host, or "unknown"',
  );
}

function bookKey(id: string): string {
  return `counterparty/${id}`;
}

const bigintMark = /^\d+n$/;

/** JSON in which amounts are digits followed by an n. */
function encode(counterparty: Counterparty): string {
  return JSON.stringify(counterparty, (_, value) => (typeof value === 'bigint' ? `${value}n` : value));
}

function decode(text: string): Counterparty {
  return JSON.parse(text, (key, value) =>
    typeof value === 'string' && key.endsWith('Msat') && bigintMark.test(value)
      ? BigInt(value.slice(0, -1))
      : value,
  ) as Counterparty;
}

function describe(counterparty: Counterparty | undefined): string | null {
  if (counterparty === undefined) return null;
  const { id: _, changedAtMs: __, ...settings } = counterparty;
  return JSON.stringify(settings, bigintAsDigits);
}
