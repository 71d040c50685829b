import { KeysendError } from '../../keysendError.js';
import * as z from '../../schema/index.js';
import type { PaymentOutcome } from '../wallet.js';
import { type ClnRpc, msat } from './clnRpc.js';

const row = z.object({
  created_index: z.int(),
  payment_hash: z.string(),
  status: z.enum(['pending', 'complete', 'failed']),
  created_at: z.number(),
  amount_msat: z.optional(msat),
  amount_sent_msat: z.optional(msat),
  payment_preimage: z.optional(z.string()),
  label: z.optional(z.string()),
});

/** A part of a payment in lightningd's list. */
export type ClnRow = z.output<typeof row>;

const rows = z.object({ payments: z.array(row) });
const current = z.object({ created: z.optional(z.int()) });

const pageSize = 500;
const maxPages = 2_000;
/** How far lightningd's clock and the caller's may be apart. */
const clocksApartMs = 86_400_000;

/**
 * What lightningd has sent, by label: it finds payments by their hash alone, and chooses the hash of a keysend
 * itself. Its list is read backwards as far as it matters, once; later only what is new.
 */
export class ClnHistory {
  readonly #rpc: ClnRpc;
  /** The first and the last row of each label. */
  readonly #labels = new Map<string, { first: number; last: number }>();
  #lowest: number | undefined;
  #highest = 0;
  #oldestMs = Number.POSITIVE_INFINITY;
  #reading: Promise<unknown> = Promise.resolve();

  constructor(rpc: ClnRpc) {
    this.#rpc = rpc;
  }

  /** The rows with a label that are not older. @throws HttpProblem, KeysendError `wallet_failed` */
  async labelled(label: string, sinceMs: number, signal?: AbortSignal): Promise<ClnRow[]> {
    // One reader at a time; that another one fails is not our matter.
    const reading = this.#reading.then(() => this.#readUntil(sinceMs, signal));
    this.#reading = reading.catch(() => {});
    await reading;
    const range = this.#labels.get(label);
    if (range === undefined) return [];
    const found: ClnRow[] = [];
    for (let start = range.first; start <= range.last; ) {
      const page = await this.#page(start, signal);
      found.push(...page.filter((one) => one.label === label));
      const last = page.at(-1);
      if (last === undefined) break;
      start = last.created_index + 1;
    }
    return found;
  }

  /** @throws HttpProblem */
  async withHash(paymentHash: string, signal?: AbortSignal): Promise<ClnRow[]> {
    const list = await this.#rpc.call(
      'listsendpays',
      { payment_hash: paymentHash },
      { schema: rows, signal },
    );
    return list.payments;
  }

  async #readUntil(sinceMs: number, signal: AbortSignal | undefined): Promise<void> {
    const params = { subsystem: 'sendpays', indexname: 'created', nextvalue: 0 };
    const { created: top = 0 } = await this.#rpc.call('wait', params, { schema: current, signal });
    // Below what was there before: another list, or an older copy of this one.
    if (top < this.#highest) this.#labels.clear();
    if (this.#lowest === undefined || top < this.#highest) {
      this.#oldestMs = Number.POSITIVE_INFINITY;
      this.#lowest = top + 1;
      this.#highest = top;
    }
    let pages = 0;
    while (this.#highest < top) {
      this.#countPage(pages++);
      const page = this.#note(await this.#page(this.#highest + 1, signal));
      this.#highest = Math.max(page.at(-1)?.created_index ?? top, this.#highest + 1);
    }
    while (this.#lowest > 1 && this.#oldestMs > sinceMs - clocksApartMs) {
      this.#countPage(pages++);
      const start = Math.max(1, this.#lowest - pageSize);
      this.#note(await this.#page(start, signal));
      this.#lowest = start;
    }
  }

  #countPage(pages: number): void {
    if (pages < maxPages) return;
    throw new KeysendError(
      'wallet_failed',
      'the list of payments of the Core Lightning node is too long to be read',
    );
  }

  #note(page: readonly ClnRow[]): readonly ClnRow[] {
    for (const { label, created_index: index, created_at: seconds } of page) {
      this.#oldestMs = Math.min(this.#oldestMs, seconds * 1000);
      if (label === undefined) continue;
      const range = this.#labels.get(label);
      if (range === undefined) this.#labels.set(label, { first: index, last: index });
      else {
        range.first = Math.min(range.first, index);
        range.last = Math.max(range.last, index);
      }
    }
    return page;
  }

  async #page(start: number, signal: AbortSignal | undefined): Promise<ClnRow[]> {
    const params = { index: 'created', start, limit: pageSize };
    const list = await this.#rpc.call('listsendpays', params, { schema: rows, signal });
    return list.payments;
  }
}

/**
 * What became of the payment of these rows; `undefined` where there are none. That all have failed is said as
 * `failed`, though lightningd may be about to try another route: the caller knows for how long.
 */
export function outcomeOfRows(found: readonly ClnRow[]): PaymentOutcome | undefined {
  if (found.length === 0) return undefined;
  const complete = found.filter(({ status }) => status === 'complete');
  const [first] = complete;
  if (first !== undefined) {
    // The parts of a payment have one hash; the preimage is out as soon as one of them arrived.
    let feeMsat = 0n;
    for (const { amount_sent_msat: sent, amount_msat: amount } of complete) {
      if (sent !== undefined && amount !== undefined && sent > amount) feeMsat += sent - amount;
    }
    return {
      status: 'succeeded',
      paymentHash: first.payment_hash,
      ...(first.payment_preimage === undefined ? {} : { preimage: first.payment_preimage }),
      feeMsat,
    };
  }
  if (found.some(({ status }) => status === 'pending')) {
    return { status: 'pending', message: 'the payment is under way' };
  }
  return {
    status: 'failed',
    failure: 'other',
    message: 'every attempt of the payment failed',
    retryable: true,
  };
}
