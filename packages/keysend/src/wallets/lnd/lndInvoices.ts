import { bytesToHex } from '@rivulet/core/bytes';
import { keysendRecordType } from '../../records/recordTypes.js';
import * as z from '../../schema/index.js';
import { pause, type Schedule } from '../../timing/schedule.js';
import type { HeldKeysend } from '../holdingWallet.js';
import { fromBase64, HttpProblem, type WalletHttp } from '../http/index.js';
import type { ReceivedPayment } from '../wallet.js';
import { grpcErrorOf, int64, problemOfGrpc } from './lndHttp.js';

const invoice = z.object({
  r_hash: z.string(),
  r_preimage: z.optional(z.string()),
  state: z.enum(['OPEN', 'SETTLED', 'CANCELED', 'ACCEPTED']),
  is_keysend: z.optional(z.boolean()),
  settle_index: z.optional(int64),
  settle_date: z.optional(int64),
  creation_date: z.optional(int64),
  amt_paid_msat: z.optional(int64),
  htlcs: z.optional(
    z.array(
      z.object({
        state: z.optional(z.string()),
        amt_msat: z.optional(int64),
        custom_records: z.optional(z.record(z.string(), z.string())),
      }),
    ),
  ),
});

export type LndInvoice = z.output<typeof invoice>;

const invoiceLine = z.object({ result: invoice });
const invoiceList = z.object({ invoices: z.array(invoice), last_index_offset: z.optional(int64) });

const pageSize = 100;
const pollMs = 1_000;
/** `fetch` of Node.js ends a stream that is silent for five minutes: nothing is wrong then. */
const silenceCodes: ReadonlySet<string> = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']);

/** All records of a keysend; those of a part that was given back are not counted. */
function recordsOf({ htlcs = [] }: LndInvoice): Map<bigint, Uint8Array> {
  const records = new Map<bigint, Uint8Array>();
  for (const { state, custom_records: custom = {} } of htlcs) {
    if (state === 'CANCELED') continue;
    for (const [type, value] of Object.entries(custom)) {
      if (/^[0-9]{1,20}$/.test(type)) records.set(BigInt(type), fromBase64(value));
    }
  }
  return records;
}

function isKeysend(one: LndInvoice): boolean {
  // Old versions do not say it: there the record does.
  return one.is_keysend ?? recordsOf(one).has(keysendRecordType);
}

function withoutPreimage(records: Map<bigint, Uint8Array>): Map<bigint, Uint8Array> {
  records.delete(keysendRecordType);
  return records;
}

function receivedOf(one: LndInvoice): ReceivedPayment {
  return {
    paymentHash: bytesToHex(fromBase64(one.r_hash)),
    amountMsat: one.amt_paid_msat ?? 0n,
    receivedAtMs: Number(one.settle_date ?? 0n) * 1000,
    records: withoutPreimage(recordsOf(one)),
    cursor: (one.settle_index ?? 0n).toString(),
  };
}

/** What arrives, from LND's list of invoices: it makes one for each keysend. */
export class LndInvoices {
  readonly #http: WalletHttp;
  readonly #schedule: Schedule;

  constructor(http: WalletHttp, schedule: Schedule) {
    this.#http = http;
    this.#schedule = schedule;
  }

  /**
   * Settled keysends, after a settle index. @throws HttpProblem when the connection breaks; ends with the signal.
   */
  async *settled(after: bigint, signal: AbortSignal): AsyncGenerator<ReceivedPayment, undefined> {
    let last = after;
    if (last === 0n) {
      // LND tells of what was settled after an index above 0 only: the one with index 1 is looked for in its list.
      const first = await this.#first(signal);
      if (first === undefined) return undefined;
      last = 1n;
      if (isKeysend(first)) yield receivedOf(first);
    }
    while (!signal.aborted) {
      try {
        const path = `/v1/invoices/subscribe?settle_index=${last}`;
        for await (const line of this.#http.lines({ method: 'GET', path, signal })) {
          const one = this.#read(invoiceLine, this.#withoutError(line)).result;
          const index = one.settle_index ?? 0n;
          // New invoices come on the same stream.
          if (one.state !== 'SETTLED' || index <= last) continue;
          last = index;
          if (isKeysend(one)) yield receivedOf(one);
        }
        if (!signal.aborted) {
          const fields = { certain: false, failure: 'unreachable', retryable: true } as const;
          throw new HttpProblem('the LND node ended the stream of invoices', fields);
        }
      } catch (problem) {
        if (signal.aborted) return undefined;
        if (!isSilence(problem)) throw problem;
      }
    }
    return undefined;
  }

  /** The very first invoice that was settled. Waits for it, since LND's stream could miss it. */
  async #first(signal: AbortSignal): Promise<LndInvoice | undefined> {
    while (!signal.aborted) {
      try {
        for await (const one of this.#list('', signal)) {
          if (one.state === 'SETTLED' && one.settle_index === 1n) return one;
        }
      } catch (problem) {
        if (signal.aborted) return undefined;
        throw problem;
      }
      await pause(this.#schedule, pollMs, signal);
    }
    return undefined;
  }

  /** Keysends that are held, each once, until the signal aborts. @throws HttpProblem */
  async *held(signal: AbortSignal): AsyncGenerator<HeldKeysend, undefined> {
    let told = new Set<string>();
    while (!signal.aborted) {
      const waiting = new Set<string>();
      try {
        for await (const one of this.#list('pending_only=true&', signal)) {
          if (one.state !== 'ACCEPTED' || !isKeysend(one)) continue;
          waiting.add(one.r_hash);
          if (told.has(one.r_hash)) continue;
          const { paymentHash, amountMsat, records } = receivedOf(one);
          yield { paymentHash, amountMsat, records };
        }
      } catch (problem) {
        if (signal.aborted) return undefined;
        throw problem;
      }
      // Only what still waits is remembered.
      told = waiting;
      await pause(this.#schedule, pollMs, signal);
    }
    return undefined;
  }

  /** @throws HttpProblem */
  async preimageOf(paymentHash: string, signal?: AbortSignal): Promise<string | undefined> {
    const answer = await this.#http.json({ method: 'GET', path: `/v1/invoice/${paymentHash}`, signal });
    return this.#read(invoice, answer).r_preimage;
  }

  /** Oldest first. @throws HttpProblem */
  async *#list(filter: string, signal: AbortSignal): AsyncGenerator<LndInvoice, undefined> {
    let offset = 0n;
    for (;;) {
      const path = `/v1/invoices?${filter}index_offset=${offset}&num_max_invoices=${pageSize}`;
      const page = this.#read(invoiceList, await this.#http.json({ method: 'GET', path, signal }));
      yield* page.invoices;
      const next = page.last_index_offset ?? 0n;
      if (page.invoices.length < pageSize || next <= offset) return undefined;
      offset = next;
    }
  }

  #withoutError(line: string): unknown {
    const body = this.#http.parse(line);
    const error = grpcErrorOf(body);
    if (error === undefined) return body;
    const { message, certain, failure, retryable } = problemOfGrpc(error);
    throw new HttpProblem(this.#http.shown(message), { certain, failure, retryable });
  }

  #read<T extends z.AnySchema>(schema: T, body: unknown): z.output<T> {
    const parsed = schema.safeParse(body);
    if (!parsed.success) throw this.#http.notUnderstood();
    return parsed.data;
  }
}

function isSilence(problem: unknown): boolean {
  let error: unknown = problem;
  for (let depth = 0; depth < 4 && typeof error === 'object' && error !== null; depth++) {
    const { code, cause } = error as { code?: unknown; cause?: unknown };
    if (silenceCodes.has(String(code))) return true;
    error = cause;
  }
  return false;
}
