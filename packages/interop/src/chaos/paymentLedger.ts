import { appendFileSync } from 'node:fs';

/** What whoever asked for a payment was told of it last. */
export type Told =
  /** No answer: it is to be asked again with the same key. */
  | 'nothing'
  /** It is under way. */
  | 'pending'
  | 'succeeded'
  | 'failed'
  /** It was not begun. */
  | 'refused';

type HoldState = 'open' | 'held' | 'settle_asked' | 'settled' | 'cancel_asked' | 'cancelled';

/** One payment that somebody wanted. */
export interface AskedPayment {
  /** The idempotency key of a keysend. */
  readonly key: string;
  readonly from: number;
  readonly to: number;
  readonly kind: 'keysend' | 'invoice' | 'hold';
  readonly amountMsat: bigint;
  /** Where it is known before. */
  readonly invoice?: string;
  paymentHash?: string;
  told: Told;
  /** With what words it was refused or failed. */
  reason?: string;
  attempts: number;
  /** Of a hold invoice: what its owner was told. */
  hold?: HoldState;
}

/**
 * What was asked of the nodes and what they answered, as their users know it: kept outside of the nodes, each
 * line written before its question is put.
 */
export class PaymentLedger {
  readonly asked: AskedPayment[] = [];
  readonly #path: string;
  readonly #byHash = new Map<string, AskedPayment>();

  constructor(path: string) {
    this.#path = path;
  }

  ask(payment: Omit<AskedPayment, 'told' | 'attempts'>): AskedPayment {
    const entry: AskedPayment = { ...payment, told: 'nothing', attempts: 0 };
    this.asked.push(entry);
    if (entry.paymentHash !== undefined) this.#byHash.set(entry.paymentHash, entry);
    this.note('asked', entry);
    return entry;
  }

  byHash(paymentHash: string): AskedPayment | undefined {
    return this.#byHash.get(paymentHash);
  }

  told(entry: AskedPayment, answer: { told: Told; paymentHash?: string; reason?: string }): void {
    entry.told = answer.told;
    if (answer.reason !== undefined) entry.reason = answer.reason;
    if (answer.paymentHash !== undefined) {
      entry.paymentHash = answer.paymentHash;
      this.#byHash.set(answer.paymentHash, entry);
    }
    this.note('told', entry);
  }

  note(what: string, { invoice: _, ...entry }: AskedPayment): void {
    const line = JSON.stringify({ at: new Date().toISOString(), what, ...entry }, (_key, value) =>
      typeof value === 'bigint' ? value.toString() : value,
    );
    appendFileSync(this.#path, `${line}\n`);
  }
}
