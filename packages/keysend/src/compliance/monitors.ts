import * as z from 'zod/mini';
import { KeysendError } from '../keysendError.js';
import type { StoreReader } from '../store/toolkitStore.js';
import type { BookOptions } from './bookOptions.js';
import { msatText } from './msat.js';

const common = {
  name: z.string().check(z.regex(/^[\w.-]{1,64}$/)),
  direction: z.enum(['outgoing', 'incoming', 'both']),
  /** What becomes of a payment that it finds; of one that has arrived already, only a flag. */
  action: z.enum(['flag', 'hold', 'refuse']),
};
const scope = z.enum(['all', 'counterparty']);
const windowSeconds = z.int().check(z.gte(1), z.lte(31_536_000));
const count = z.int().check(z.gte(1), z.lte(1_000_000));

const monitorSchema = z.discriminatedUnion('kind', [
  /** More than so many payments, or so much, in a window: of all together, or of each counterparty. */
  z.strictObject({
    ...common,
    kind: z.literal('velocity'),
    scope,
    windowSeconds,
    maxCount: z.optional(count),
    maxMsat: z.optional(msatText),
  }),
  /** One payment above an amount. */
  z.strictObject({ ...common, kind: z.literal('threshold'), aboveMsat: msatText }),
  /** One payment above an amount with somebody whom we have known for less than a time (a day), or not at all. */
  z.strictObject({
    ...common,
    kind: z.literal('new_counterparty'),
    aboveMsat: msatText,
    knownSeconds: z.optional(windowSeconds),
  }),
  /** So many payments in a window that are just below an amount: at most so many percent. */
  z.strictObject({
    ...common,
    kind: z.literal('structuring'),
    scope,
    belowMsat: msatText,
    percent: z.int().check(z.gte(1), z.lte(99)),
    windowSeconds,
    count,
  }),
]);

export type Monitor = z.infer<typeof monitorSchema>;

const maxMonitors = 100;

/** What payments are watched for. Every change is in the audit log, in the same transaction. */
export class MonitorBook {
  readonly #given: BookOptions;

  constructor(given: BookOptions) {
    this.#given = given;
  }

  /** Adds one, or changes the one of this name. @throws KeysendError `request_invalid` */
  set(value: unknown, by: string): Monitor {
    const parsed = z.safeParse(monitorSchema, value);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      throw new KeysendError(
        'request_invalid',
        `this is no monitor: look at ${issue?.path.join('.') || 'its kind'}`,
      );
    }
    const monitor = parsed.data;
    if (monitor.kind === 'velocity' && monitor.maxCount === undefined && monitor.maxMsat === undefined) {
      throw new KeysendError('request_invalid', 'a monitor of velocity needs maxCount, maxMsat or both');
    }
    this.#given.store.transaction((tx) => {
      const before = tx.get(monitorKey(monitor.name));
      if (before === undefined && readMonitors(tx).length >= maxMonitors) {
        throw new KeysendError(
          'request_invalid',
          `there are ${maxMonitors} monitors already, and every payment is checked with all`,
        );
      }
      const after = JSON.stringify(monitor);
      tx.put(monitorKey(monitor.name), after);
      this.#given.audit.append(tx, {
        type: 'monitor_changed',
        atMs: this.#given.now(),
        actor: by,
        data: { name: monitor.name, before: before ?? null, after },
      });
    });
    return monitor;
  }

  /** @throws KeysendError `not_found` */
  remove(name: string, by: string): void {
    this.#given.store.transaction((tx) => {
      const before = tx.get(monitorKey(name));
      if (before === undefined)
        throw new KeysendError('not_found', `there is no monitor ${JSON.stringify(name)}`);
      tx.delete(monitorKey(name));
      for (const { key } of tx.list({ prefix: windowPrefix(name) })) tx.delete(key);
      this.#given.audit.append(tx, {
        type: 'monitor_changed',
        atMs: this.#given.now(),
        actor: by,
        data: { name, before, after: null },
      });
    });
  }

  list(): Monitor[] {
    return readMonitors(this.#given.store);
  }
}

export function readMonitors(reader: StoreReader): Monitor[] {
  return reader.list({ prefix: monitorKey('') }).map(({ value }) => JSON.parse(value) as Monitor);
}

/** Where the counts of a monitor are. */
export function windowPrefix(monitor: string): string {
  return `monitorWindow/${monitor}/`;
}

function monitorKey(name: string): string {
  return `monitor/${name}`;
}
