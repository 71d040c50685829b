import {
  KeysendError,
  type KeysendErrorCode,
  type LegLedger,
  type LegPlan,
  type ReceivedPayment,
  type ToolkitStore,
} from '@rivulet/keysend';
import type { AuditLog } from '@rivulet/keysend/compliance';
import { ReceiptBook, type ReceiptIssuer, ReceiptReturner, receiptRecordType } from '@rivulet/keysend/proof';
import type { BoostStore, ReceivedBoost } from '@rivulet/keysend/receiving';
import { StorageError } from '@rivulet/storage';
import type { Logger } from '../logging/index.js';
import type { CancelTimer, Scheduler } from '../peers/index.js';

export interface ReceiptDeskOptions {
  readonly store: ToolkitStore;
  /** Of that store. */
  readonly boosts: BoostStore;
  /** By which name the store knows what this node received: what others received is not ours to sign for. */
  readonly source: string;
  readonly issuer: ReceiptIssuer;
  readonly audit: AuditLog;
  /** Our node, 66 hex digits. */
  readonly recipient: string;
  /** What pays for sending receipts back; asked for when it is needed first, and again where that failed. */
  readonly openLedger: () => LegLedger;
  readonly now: () => number;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

/** Up to which payment all was done. */
const handledKey = 'receipts-handled';
/** The group of their legs. */
const group = 'receipts';
const pageSize = 100;
/** How far the stored number may be behind where nothing was to be done: looking again costs little. */
const storeEvery = 1_000;
const firstRetryMs = 1_000;
const longestRetryMs = 300_000;
/** How often a payment is tried that fails for a reason that nobody knows. */
const maxTries = 10;

/** What passes by itself; all else that the toolkit refuses is refused for good. */
const passing: ReadonlySet<KeysendErrorCode> = new Set<KeysendErrorCode>([
  'wallet_unreachable',
  'wallet_unauthorized',
  'wallet_failed',
  'stopped',
  'store_invalid',
]);

/**
 * Receipts that are asked for, and those that come: each payment in the order in which they were stored, from where the
 * last run ended. A payment whose receipt cannot be made now (the disk is full) is tried again until it can, before
 * those after it; one that asks for what cannot be is left aside.
 */
export class ReceiptDesk {
  readonly #options: ReceiptDeskOptions;
  readonly #book: ReceiptBook;
  readonly #returner: ReceiptReturner;
  readonly #end = new AbortController();
  readonly #runs = new Set<Promise<void>>();
  #ledger: LegLedger | undefined;
  /** Whether what a crash left open has been taken up. */
  #resumed = false;
  /** Done, and how much of that is stored. */
  #handled: number | undefined;
  #stored = 0;
  #tries = 0;
  /** In a row: of going through the payments, and of sending receipts back. */
  readonly #failures = { tend: 0, send: 0 };
  #work: Promise<void> | undefined;
  #again = false;
  #retry: CancelTimer | undefined;

  constructor(options: ReceiptDeskOptions) {
    this.#options = options;
    const { store, audit, issuer, recipient, now } = options;
    this.#book = new ReceiptBook({ store, audit, now });
    this.#returner = new ReceiptReturner({
      store,
      issuer,
      recipient,
      now,
      audit,
      pay: async (leg) => this.#pay(leg),
    });
  }

  get #stopped(): boolean {
    return this.#end.signal.aborted;
  }

  /** There may be something to do: payments were stored. */
  notify(): void {
    if (this.#stopped) return;
    this.#again = true;
    // Until then, what failed fails again.
    if (this.#work === undefined && this.#retry === undefined) this.#work = this.#run();
  }

  /** Ends what is under way; what stays open is the next start's. */
  async stop(): Promise<void> {
    this.#end.abort();
    this.#retry?.();
    await this.#work;
    await Promise.all(this.#runs);
  }

  async #run(): Promise<void> {
    try {
      while (this.#again && !this.#stopped) {
        this.#again = false;
        await this.#tend();
      }
      this.#failures.tend = 0;
    } catch (err) {
      this.#options.logger.warn({ err }, 'receipts cannot be handled now; tried again');
      this.#failures.tend++;
      this.#retryLater();
    } finally {
      this.#work = undefined;
    }
  }

  #retryLater(): void {
    if (this.#stopped || this.#retry !== undefined) return;
    const failures = Math.max(this.#failures.tend, this.#failures.send);
    const delayMs = Math.min(firstRetryMs * 2 ** (failures - 1), longestRetryMs);
    this.#retry = this.#options.scheduler.schedule(delayMs, () => {
      this.#retry = undefined;
      this.notify();
    });
  }

  async #tend(): Promise<void> {
    const { boosts, store, source } = this.#options;
    this.#resume();
    if (this.#handled === undefined) {
      this.#stored = Number(store.get(handledKey) ?? '0');
      this.#handled = this.#stored;
    }
    while (!this.#stopped) {
      const arrived = boosts.arrivals(this.#handled, pageSize);
      if (arrived.length === 0) return;
      let done = false;
      for (const boost of arrived) {
        if (this.#stopped) return;
        if (boost.source === source && (await this.#handle(boost))) done = true;
        this.#handled = boost.id;
        this.#tries = 0;
      }
      if (done || this.#handled - this.#stored >= storeEvery) this.#storeHandled(this.#handled);
      if (arrived.length === pageSize) await this.#pause();
    }
  }

  #storeHandled(handled: number): void {
    this.#options.store.transaction((tx) => tx.put(handledKey, String(handled)));
    this.#stored = handled;
  }

  /** Lets others have their turn. */
  #pause(): Promise<void> {
    return new Promise((resolve) => this.#options.scheduler.schedule(0, resolve));
  }

  /**
   * @returns whether there was anything to do.
   * @throws what passes.
   */
  async #handle(boost: ReceivedBoost): Promise<boolean> {
    const { paymentHash, amountMsat, receivedAtMs, records } = boost;
    const payment: ReceivedPayment = { paymentHash, amountMsat, receivedAtMs, records, cursor: '' };
    try {
      const brings = records.has(receiptRecordType);
      if (brings) this.#book.acceptPayment(payment);
      return (await this.#returner.handle(payment)) !== 'not_asked' || brings;
    } catch (err) {
      if (this.#passes(err)) throw err;
      this.#options.logger.warn({ err, paymentHash }, 'a payment gets no receipt');
      return true;
    }
  }

  #passes(error: unknown): boolean {
    // A disk gets room again; a fault of ours does not go away, and must not keep the receipts of others for ever.
    if (error instanceof StorageError) return true;
    if (error instanceof KeysendError && !passing.has(error.code)) return false;
    return ++this.#tries < maxTries;
  }

  #pay(leg: LegPlan): void {
    const ledger = this.#openLedger();
    ledger.plan([leg]);
    // Its outcome is the ledger's: whoever handles payments goes on.
    this.#follow(ledger.run({ keys: [leg.key], signal: this.#end.signal }));
  }

  #openLedger(): LegLedger {
    this.#ledger ??= this.#options.openLedger();
    return this.#ledger;
  }

  /** What a crash, or a store that failed, left open. */
  #resume(): void {
    if (this.#resumed) return;
    this.#resumed = true;
    try {
      this.#follow(this.#openLedger().run({ group, signal: this.#end.signal }));
    } catch (error) {
      this.#resumed = false;
      throw error;
    }
  }

  #follow(run: Promise<unknown>): void {
    const followed = run
      .then(
        () => {
          this.#failures.send = 0;
        },
        (err) => {
          if (this.#stopped) return;
          this.#options.logger.warn({ err }, 'receipts could not be sent back now; tried again');
          this.#resumed = false;
          this.#failures.send++;
          this.#retryLater();
        },
      )
      .finally(() => this.#runs.delete(followed));
    this.#runs.add(followed);
  }
}
