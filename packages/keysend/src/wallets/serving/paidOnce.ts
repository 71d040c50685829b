import type { StoreTransaction, ToolkitStore } from '../../store/toolkitStore.js';
import { pause, type Schedule } from '../../timing/schedule.js';
import type { PaymentOutcome, Wallet } from '../wallet.js';

type FinalOutcome = Extract<PaymentOutcome, { status: 'succeeded' | 'failed' }>;

/** A payment of somebody else's that this wallet makes for them. */
export interface OncePayment {
  /** 64 hex digits: there is one payment of it, ever. */
  readonly hash: string;
  /** What is to be the same when it is asked for again. */
  readonly fingerprint: string;
  readonly nodeId?: string;
  readonly amountMsat: bigint;
  /** Kept with it. */
  readonly note?: string;
  /** In the transaction that makes it leave; text where it may not. */
  readonly admit?: (tx: StoreTransaction) => string | undefined;
  readonly send: (key: string) => Promise<PaymentOutcome>;
}

export type OnceResult =
  /** `outcome` comes when it is certain; it stays open only where all is closed before. */
  | { readonly type: 'paying' | 'under_way'; readonly outcome: Promise<PaymentOutcome> }
  | { readonly type: 'paid'; readonly outcome: FinalOutcome }
  /** The hash is that of another payment. */
  | { readonly type: 'conflict' }
  | { readonly type: 'refused'; readonly reason: string };

export interface OnceRow {
  readonly state: 'open' | 'succeeded' | 'failed';
  readonly hash: string;
  readonly fingerprint: string;
  readonly nodeId?: string;
  readonly amountMsat: string;
  readonly startedAtMs: number;
  readonly endedAtMs?: number;
  readonly preimage?: string;
  readonly feeMsat?: string;
  /** As the wallet tells it, where it chose another. */
  readonly paymentHash?: string;
  readonly note?: string;
}

export interface PaidOnceOptions {
  readonly wallet: Wallet;
  readonly store: ToolkitStore;
  /** Of the keys in the store, and of the wallet's payments. */
  readonly prefix: string;
  readonly now: () => number;
  readonly schedule: Schedule;
  /** In the transaction that ends it; again where what was taken for failed turns out to be paid. */
  readonly onEnd?: (tx: StoreTransaction, row: OnceRow, before: OnceRow['state']) => void;
}

const pollMs = [1_000, 2_000, 5_000, 15_000, 60_000];
/** After its answer was lost, a request may be on its way to the wallet for so long: until then, no list is complete. */
const arrivingMs = 60_000;
/** The same for one of which only the beginning is known: another process may be waiting for its answer. */
const answeringMs = 120_000;

/**
 * Pays each hash once, whoever asks how often: it is in the store before it leaves, and what is open is looked up
 * until it is certain, after a restart too.
 */
export class PaidOnce {
  readonly #options: PaidOnceOptions;
  readonly #underWay = new Map<string, Promise<PaymentOutcome>>();
  readonly #stop = new AbortController();

  constructor(options: PaidOnceOptions) {
    this.#options = options;
  }

  get(hash: string): OnceRow | undefined {
    return parse(this.#options.store.get(this.#nameOf(hash)));
  }

  /** All of them, those that were begun first at the beginning. */
  list(): OnceRow[] {
    const rows = this.#options.store.list({ prefix: this.#options.prefix }).map(({ value }) => parse(value));
    return (rows as OnceRow[]).sort((a, b) => a.startedAtMs - b.startedAtMs || (a.hash < b.hash ? -1 : 1));
  }

  pay(payment: OncePayment): OnceResult {
    const { hash, fingerprint } = payment;
    const name = this.#nameOf(hash);
    const begun = this.#options.store.transaction((tx): OnceResult | 'begun' => {
      const row = parse(tx.get(name));
      if (row !== undefined && row.fingerprint !== fingerprint) return { type: 'conflict' };
      if (row?.state === 'succeeded') return { type: 'paid', outcome: outcomeOf(row) };
      if (row?.state === 'open') return { type: 'under_way', outcome: this.#follow(row) };
      const reason = payment.admit?.(tx);
      if (reason !== undefined) return { type: 'refused', reason };
      const { nodeId, amountMsat, note } = payment;
      const opened: OnceRow = {
        state: 'open',
        hash,
        fingerprint,
        ...(nodeId !== undefined && { nodeId }),
        amountMsat: String(amountMsat),
        startedAtMs: this.#options.now(),
        ...(note !== undefined && { note }),
      };
      tx.put(name, JSON.stringify(opened));
      return 'begun';
    });
    if (begun !== 'begun') return begun;
    const outcome = this.#track(hash, this.#send(payment));
    return { type: 'paying', outcome };
  }

  /** Finds out what became of what was open when the process ended. */
  resume(): void {
    for (const { value } of this.#options.store.list({ prefix: this.#options.prefix })) {
      const row = parse(value);
      if (row?.state === 'open') void this.#follow(row);
    }
  }

  close(): void {
    this.#stop.abort();
  }

  #nameOf(hash: string): string {
    return `${this.#options.prefix}${hash}`;
  }

  #follow(row: OnceRow): Promise<PaymentOutcome> {
    return (
      this.#underWay.get(row.hash) ??
      this.#track(row.hash, this.#lookUpUntilCertain(row, row.startedAtMs + answeringMs + arrivingMs))
    );
  }

  #track(hash: string, work: Promise<PaymentOutcome>): Promise<PaymentOutcome> {
    const tracked = work.finally(() => this.#underWay.delete(hash));
    this.#underWay.set(hash, tracked);
    return tracked;
  }

  async #send(payment: OncePayment): Promise<PaymentOutcome> {
    let outcome: PaymentOutcome;
    try {
      outcome = await payment.send(this.#nameOf(payment.hash));
    } catch {
      outcome = { status: 'unknown', message: 'the wallet failed in the middle of the payment' };
    }
    if (outcome.status === 'succeeded' || outcome.status === 'failed')
      return this.#end(payment.hash, outcome);
    const row = this.get(payment.hash);
    return row === undefined ? outcome : this.#lookUpUntilCertain(row, this.#options.now() + arrivingMs);
  }

  /** @param openUntilMs before that, it is not certain that a payment was not made. */
  async #lookUpUntilCertain(row: OnceRow, openUntilMs: number): Promise<PaymentOutcome> {
    const { wallet, schedule, now } = this.#options;
    const { signal } = this.#stop;
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        const found = await wallet.lookup(
          {
            key: this.#nameOf(row.hash),
            ...(row.nodeId !== undefined && { nodeId: row.nodeId }),
            amountMsat: BigInt(row.amountMsat),
            paymentHash: row.hash,
            sinceMs: row.startedAtMs,
          },
          { signal },
        );
        if (found?.status === 'succeeded') return this.#end(row.hash, found);
        const isOpen = now() < openUntilMs;
        if (!isOpen && found?.status === 'failed') return this.#end(row.hash, found);
        if (!isOpen && found === undefined) {
          const message = 'the payment was not sent';
          return this.#end(row.hash, { status: 'failed', failure: 'other', message, retryable: true });
        }
      } catch {
        // The wallet is away: asked again later.
      }
      await pause(schedule, pollMs[Math.min(attempt, pollMs.length - 1)] as number, signal);
    }
    return { status: 'unknown', message: 'stopped before it was certain what became of the payment' };
  }

  #end(hash: string, outcome: FinalOutcome): FinalOutcome {
    const { store, now, onEnd } = this.#options;
    return store.transaction((tx) => {
      const row = parse(tx.get(this.#nameOf(hash)));
      // Another process may have found out first. That it was paid is true whoever says so, and whatever was thought.
      if (row === undefined) return outcome;
      if (row.state === 'succeeded') return outcomeOf(row);
      if (row.state === 'failed' && outcome.status === 'failed') return outcome;
      const ended: OnceRow = {
        ...row,
        state: outcome.status,
        endedAtMs: now(),
        ...(outcome.status === 'succeeded' && {
          feeMsat: String(outcome.feeMsat),
          ...(outcome.preimage !== undefined && { preimage: outcome.preimage }),
          ...(outcome.paymentHash !== undefined && { paymentHash: outcome.paymentHash }),
        }),
      };
      tx.put(this.#nameOf(hash), JSON.stringify(ended));
      onEnd?.(tx, ended, row.state);
      return outcome;
    });
  }
}

function parse(value: string | undefined): OnceRow | undefined {
  return value === undefined ? undefined : (JSON.parse(value) as OnceRow);
}

/** Of a row that succeeded. */
function outcomeOf({ preimage, paymentHash, feeMsat }: OnceRow): FinalOutcome {
  return {
    status: 'succeeded',
    feeMsat: BigInt(feeMsat ?? '0'),
    ...(preimage !== undefined && { preimage }),
    ...(paymentHash !== undefined && { paymentHash }),
  };
}
