import type { AuditEntry, AuditSink, ToolkitStore } from '@rivulet/keysend';
import { unknownCounterparty } from '@rivulet/keysend/compliance';
import type { Logger } from '../logging/index.js';
import type { CancelTimer, Scheduler } from '../peers/index.js';

/** Where entries are stored; there may be none for a while. */
export interface JournalStore {
  readonly store: ToolkitStore;
  readonly audit: AuditSink;
}

export interface PolicyJournalOptions {
  readonly scheduler: Scheduler;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly logger: Logger;
}

/** A keysend that was held, as the journal tells of it. */
export interface HeldEntry {
  /** 64 hex digits. */
  readonly paymentHash: string;
  readonly amountMsat: bigint;
  readonly rule: string;
}

interface Sum {
  count: number;
  amountMsat: bigint;
}

type SumType = 'payment_refused' | 'payment_held';

const firstDelayMs = 60_000;
const longestDelayMs = 3_600_000;
const hourMs = 3_600_000;
/** Keysends that are held have entries of their own up to so many in an hour, and are summed beyond. */
const maxHeldAnHour = 100;
/** Entries that wait for a store that fails. */
const maxWaiting = 1_000;

/**
 * What the policy of keysends did, for the audit log. Payments cost their sender nothing as long as they are refused,
 * so refusals are summed by rule: at most once a minute, and the longer a flood goes on the more seldom, once an hour
 * in the end. Decisions of people are entries of their own. All of it is told after it happened, and to a file that
 * may fail: then it waits, and nothing else does.
 */
export class PolicyJournal {
  readonly #options: PolicyJournalOptions;
  #to: JournalStore | undefined;
  #waiting: AuditEntry[] = [];
  readonly #sums = new Map<string, Sum & { readonly type: SumType; readonly rule: string }>();
  /** When the first payment of these sums came. */
  #sinceMs = 0;
  #summedAtMs = 0;
  #delayMs = firstDelayMs;
  #soon: CancelTimer | undefined;
  #later: CancelTimer | undefined;
  #heldHour = { hour: 0, count: 0 };
  #failing = false;
  #lost = 0;
  #closed = false;

  constructor(options: PolicyJournalOptions) {
    this.#options = options;
  }

  /** Where entries go from now on; nowhere for now, where it is `undefined`. */
  bind(to: JournalStore | undefined): void {
    this.#to = to;
    this.#failing = false;
    if (to !== undefined && this.#waiting.length > 0) this.#writeSoon();
  }

  /** Sent back by a rule. */
  refused(rule: string, amountMsat: bigint): void {
    this.#count('payment_refused', { rule, amountMsat });
  }

  /** Waits for a decision. */
  held(entry: HeldEntry): void {
    const hour = Math.floor(this.#options.now() / hourMs);
    if (this.#heldHour.hour !== hour) this.#heldHour = { hour, count: 0 };
    if (++this.#heldHour.count > maxHeldAnHour) this.#count('payment_held', entry);
    else this.#add('payment_held', { ...entry, actor: 'policy' });
  }

  /** A person decided. */
  decided(entry: HeldEntry & { readonly accept: boolean }): void {
    this.#add(entry.accept ? 'payment_released' : 'payment_refused', { ...entry, actor: 'user' });
  }

  /** Stores what waits, sums included; from here on nothing is taken. Never throws. */
  close(): void {
    this.#closed = true;
    this.#soon?.();
    this.#later?.();
    this.#write({ sums: true });
    this.#to = undefined;
  }

  #count(type: SumType, { rule, amountMsat }: { rule: string; amountMsat: bigint }): void {
    if (this.#sums.size === 0) this.#sumLater();
    const key = `${type}/${rule}`;
    const sum = this.#sums.get(key) ?? { type, rule, count: 0, amountMsat: 0n };
    sum.count++;
    sum.amountMsat += amountMsat;
    this.#sums.set(key, sum);
  }

  #sumLater(): void {
    const nowMs = this.#options.now();
    // It was quiet for as long as the last sums were collected.
    if (nowMs - this.#summedAtMs > this.#delayMs) this.#delayMs = firstDelayMs;
    this.#sinceMs = nowMs;
    this.#schedule('later', this.#delayMs);
  }

  #add(type: string, { actor, paymentHash, amountMsat, rule }: HeldEntry & { readonly actor: string }): void {
    if (this.#waiting.length >= maxWaiting) {
      this.#waiting.shift();
      this.#lost++;
    }
    this.#waiting.push({
      type,
      atMs: this.#options.now(),
      actor,
      data: { paymentHash, counterparty: unknownCounterparty, amountMsat: amountMsat.toString(), rule },
    });
    this.#writeSoon();
  }

  /** Not inside what tells us: that is the turn of a payment. */
  #writeSoon(): void {
    if (this.#soon === undefined) this.#schedule('soon', this.#failing ? firstDelayMs : 0);
  }

  #schedule(which: 'soon' | 'later', delayMs: number): void {
    if (this.#closed) return;
    const cancel = this.#options.scheduler.schedule(delayMs, () => {
      if (which === 'soon') this.#soon = undefined;
      else this.#later = undefined;
      this.#write({ sums: which === 'later' });
    });
    if (which === 'soon') this.#soon = cancel;
    else this.#later = cancel;
  }

  #write({ sums }: { sums: boolean }): void {
    const nowMs = this.#options.now();
    const summed = sums ? Array.from(this.#sums.values(), (sum) => this.#entryOf(sum, nowMs)) : [];
    const entries = [...this.#waiting, ...summed];
    if (entries.length === 0) return;
    try {
      this.#store(entries);
    } catch (err) {
      if (!this.#failing) this.#options.logger.warn({ err }, 'the audit log cannot be written now');
      this.#failing = true;
      if (this.#waiting.length > 0) this.#writeSoon();
      if (summed.length > 0) this.#schedule('later', firstDelayMs);
      return;
    }
    if (this.#lost > 0)
      this.#options.logger.error({ lost: this.#lost }, 'entries of the audit log were lost');
    this.#lost = 0;
    this.#failing = false;
    this.#waiting = [];
    if (!sums) return;
    this.#sums.clear();
    this.#summedAtMs = nowMs;
    this.#delayMs = Math.min(this.#delayMs * 2, longestDelayMs);
  }

  #store(entries: readonly AuditEntry[]): void {
    if (this.#to === undefined) throw new Error('there is no store of the toolkit');
    const { store, audit } = this.#to;
    store.transaction((tx) => {
      for (const entry of entries) audit.append(tx, entry);
    });
  }

  #entryOf(
    { type, rule, count, amountMsat }: Sum & { type: SumType; rule: string },
    nowMs: number,
  ): AuditEntry {
    return {
      type,
      atMs: nowMs,
      actor: 'policy',
      data: {
        rule,
        count,
        counterparty: unknownCounterparty,
        amountMsat: amountMsat.toString(),
        sinceMs: this.#sinceMs,
      },
    };
  }
}
