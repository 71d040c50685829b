import { createHash } from 'node:crypto';
import { join } from 'node:path';
import * as z from 'zod/mini';
import type { Schedule } from '../../timing/schedule.js';
import {
  cannotKeep,
  type HookAnswer,
  type KeysendLimits,
  msatOf,
  msatSchema,
  readHookedKeysend,
  refusalOf,
} from './htlcAccepted.js';
import { KeysendLog, type SettledKeysend } from './keysendLog.js';

export interface ClnPluginOptions {
  /** Writes one message to lightningd. */
  readonly send: (message: Readonly<Record<string, unknown>>) => void;
  /** lightningd's own calls, once its socket is known. */
  readonly callLightningd: (
    socketPath: string,
    method: string,
    params: Readonly<Record<string, unknown>>,
  ) => Promise<unknown>;
  readonly now: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly schedule: Schedule;
  /** lightningd wants the plugin to end. */
  readonly onEnd: () => void;
}

const optionNames = {
  file: 'rivulet-keysend-file',
  minimum: 'rivulet-keysend-minimum',
  refuse: 'rivulet-keysend-refuse',
} as const;

const manifest = {
  options: [
    {
      name: optionNames.file,
      type: 'string',
      default: 'rivulet-keysends.log',
      description: 'The file in the lightning folder that keeps every keysend with its records',
    },
    {
      name: optionNames.minimum,
      type: 'int',
      default: 0,
      description: 'Fail keysends of less than so many millisatoshis',
    },
    { name: optionNames.refuse, type: 'bool', default: false, description: 'Fail all keysends' },
  ],
  rpcmethods: [
    {
      name: 'rivulet-keysends',
      usage: '[after] [limit] [wait]',
      description:
        'Keysends that were received after an index, with all their records; waits for one if told to',
      category: 'payment',
    },
  ],
  subscriptions: ['invoice_payment', 'shutdown'],
  // Before the plugin that takes keysends: it takes out the records that it does not know.
  hooks: [{ name: 'htlc_accepted', before: ['keysend'] }],
  nonnumericids: true,
  dynamic: true,
} as const;

const messageSchema = z.object({
  id: z.optional(z.union([z.string(), z.number()])),
  method: z.string(),
  params: z.optional(z.unknown()),
});

const initSchema = z.object({
  options: z.optional(z.record(z.string(), z.unknown())),
  configuration: z.object({ 'lightning-dir': z.string(), 'rpc-file': z.string() }),
});

const paidSchema = z.object({ msat: msatSchema, preimage: z.string().check(z.regex(/^[0-9a-f]{64}$/)) });

const invoicesSchema = z.object({
  invoices: z.array(
    z.object({
      status: z.string(),
      amount_received_msat: z.optional(msatSchema),
      paid_at: z.optional(z.number()),
    }),
  ),
});

const count = (max: number) =>
  z.optional(z.nullable(z.pipe(z.coerce.number(), z.int().check(z.nonnegative(), z.maximum(max)))));
const listSchema = z.object({
  after: count(Number.MAX_SAFE_INTEGER),
  limit: count(1_000),
  wait: count(60),
});

/** After that, an invoice of a keysend that still is unpaid is forgotten: lightningd's own expire after 7 days. */
const pendingMs = 14 * 86_400_000;
const maxWaiting = 1_000;

type Id = string | number;

/**
 * The plugin's half of Core Lightning's plugin protocol: keeps every record of every keysend before lightningd goes
 * on with it, and tells only of those that lightningd then says were paid.
 */
export class ClnPlugin {
  readonly #options: ClnPluginOptions;
  readonly #waiting = new Set<() => void>();
  #log: KeysendLog | undefined;
  #limits: KeysendLimits = { minimumMsat: 0n, refuse: false };

  constructor(options: ClnPluginOptions) {
    this.#options = options;
  }

  /** A message of lightningd: a request or a notification. */
  receive(value: unknown): void {
    const parsed = messageSchema.safeParse(value);
    if (!parsed.success) return;
    const { id, method, params } = parsed.data;
    if (id === undefined) this.#notified(method, params);
    else this.#asked(id, method, params);
  }

  close(): void {
    this.#wake();
    this.#log?.close();
    this.#log = undefined;
  }

  #asked(id: Id, method: string, params: unknown): void {
    switch (method) {
      case 'getmanifest':
        this.#answer(id, manifest);
        break;
      case 'init':
        this.#answer(id, this.#init(params));
        break;
      case 'htlc_accepted':
        this.#answer(id, this.#htlcAccepted(params));
        break;
      case 'rivulet-keysends':
        this.#list(id, params);
        break;
      default:
        this.#fail(id, -32_601, `no such method: ${method}`);
    }
  }

  #notified(method: string, params: unknown): void {
    if (method === 'shutdown') {
      this.close();
      this.#options.onEnd();
    } else if (method === 'invoice_payment') {
      const inner = (params as { invoice_payment?: unknown } | undefined)?.invoice_payment ?? params;
      const parsed = paidSchema.safeParse(inner);
      if (!parsed.success) return;
      const { preimage, msat } = parsed.data;
      const hash = createHash('sha256').update(Buffer.from(preimage, 'hex')).digest('hex');
      this.#settled(hash, msatOf(msat), this.#options.now());
    }
  }

  /** `disable` is how a plugin says that it cannot work. */
  #init(params: unknown): Readonly<Record<string, unknown>> {
    const parsed = initSchema.safeParse(params);
    if (!parsed.success) return { disable: 'init was not understood' };
    const { options = {}, configuration } = parsed.data;
    const folder = configuration['lightning-dir'];
    const minimum = options[optionNames.minimum] ?? 0;
    if (typeof minimum !== 'number' || !Number.isSafeInteger(minimum) || minimum < 0) {
      return { disable: `${optionNames.minimum} is no number of millisatoshis` };
    }
    this.#limits = { minimumMsat: BigInt(minimum), refuse: options[optionNames.refuse] === true };
    const file = String(options[optionNames.file] ?? 'rivulet-keysends.log');
    try {
      const id = Buffer.from(this.#options.randomBytes(8)).toString('hex');
      this.#log = KeysendLog.open(join(folder, file), id);
    } catch (error) {
      return { disable: `the list of keysends cannot be opened: ${(error as Error).message}` };
    }
    if (this.#log.damaged > 0) {
      this.#say('unusual', `${this.#log.damaged} lines of the list of keysends are damaged and left out`);
    }
    void this.#reconcile(join(folder, configuration['rpc-file']));
    return {};
  }

  /** What was under way when the plugin or lightningd ended: the invoice of each says what became of it. */
  async #reconcile(socketPath: string): Promise<void> {
    for (const { hash, atMs } of this.#log?.pending ?? []) {
      try {
        const result = await this.#options.callLightningd(socketPath, 'listinvoices', { payment_hash: hash });
        const [invoice] = invoicesSchema.parse(result).invoices;
        if (invoice?.status === 'paid') {
          const paidAtMs = invoice.paid_at === undefined ? this.#options.now() : invoice.paid_at * 1000;
          this.#settled(hash, msatOf(invoice.amount_received_msat ?? 0), paidAtMs);
        } else if (invoice?.status === 'expired' || this.#options.now() - atMs > pendingMs) {
          this.#log?.dropped(hash);
        }
      } catch (error) {
        this.#say('unusual', `what became of keysend ${hash} is not known yet: ${(error as Error).message}`);
      }
    }
  }

  #htlcAccepted(params: unknown): HookAnswer {
    const keysend = readHookedKeysend(params);
    if (keysend === undefined) return { result: 'continue' };
    const refusal = refusalOf(keysend, this.#limits);
    if (refusal !== undefined) return refusal;
    const { hash, msat, records } = keysend;
    try {
      if (this.#log === undefined) return cannotKeep;
      this.#log.arrived({ hash, msat: String(msat), atMs: this.#options.now(), records });
      return { result: 'continue' };
    } catch (error) {
      this.#say('broken', `a keysend was failed because it cannot be kept: ${(error as Error).message}`);
      return cannotKeep;
    }
  }

  #settled(hash: string, msat: bigint, atMs: number): void {
    try {
      if (this.#log?.settled(hash, { msat, atMs }) === true) this.#wake();
    } catch (error) {
      // It still is under way in the list: the next start finds out.
      this.#say('broken', `that keysend ${hash} was paid cannot be kept: ${(error as Error).message}`);
    }
  }

  #list(id: Id, params: unknown): void {
    const [after, limit, wait] = Array.isArray(params) ? params : [];
    const parsed = listSchema.safeParse(Array.isArray(params) ? { after, limit, wait } : (params ?? {}));
    if (!parsed.success) {
      this.#fail(id, -32_602, 'after, limit (to 1,000) and wait (seconds, to 60) are whole numbers');
      return;
    }
    const query = { after: parsed.data.after ?? 0, limit: parsed.data.limit ?? 100 };
    const seconds = parsed.data.wait ?? 0;
    const answer = (): void => {
      const log = this.#log;
      if (log === undefined) this.#fail(id, -1, 'the list of keysends is closed');
      else {
        const keysends = log.list(query.after, query.limit).map(shown);
        this.#answer(id, { log: log.id, last: log.last, keysends });
      }
    };
    // Another file has other indexes: whoever is ahead of it has to be told at once.
    if (seconds === 0 || this.#log?.last !== query.after || this.#waiting.size >= maxWaiting) {
      answer();
      return;
    }
    const wake = (): void => {
      cancel();
      if (this.#waiting.delete(wake)) answer();
    };
    const cancel = this.#options.schedule(seconds * 1000, wake);
    this.#waiting.add(wake);
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  #answer(id: Id, result: Readonly<Record<string, unknown>>): void {
    this.#options.send({ jsonrpc: '2.0', id, result });
  }

  #fail(id: Id, code: number, message: string): void {
    this.#options.send({ jsonrpc: '2.0', id, error: { code, message } });
  }

  #say(level: 'unusual' | 'broken', message: string): void {
    this.#options.send({ jsonrpc: '2.0', method: 'log', params: { level, message } });
  }
}

function shown({ index, hash, msat, atMs, records }: SettledKeysend): Readonly<Record<string, unknown>> {
  return {
    index,
    payment_hash: hash,
    amount_msat: Number(msat),
    received_at_ms: atMs,
    records: records.map(([type, value]) => ({ type, value })),
  };
}
