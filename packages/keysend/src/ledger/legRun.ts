import type { ToolkitStore } from '../store/toolkitStore.js';
import type { Schedule } from '../timing/schedule.js';
import type { Leg, LegState } from './leg.js';
import type { LegOwnership } from './legOwnership.js';
import type { AskedWallet, LegPayer, LegVisit } from './legPayer.js';
import { knownLeg, listLegKeys } from './legStore.js';

export interface RunOptions {
  /** Those of one group; of all groups where neither this nor `keys` is given. */
  readonly group?: string;
  /** These alone. */
  readonly keys?: readonly string[];
  /** How many are under way at once; 100 where it is absent. */
  readonly concurrency?: number;
  /** Lets no more leave, and waits a few seconds for those under way; what stays open is settled by the next run. */
  readonly signal?: AbortSignal;
  /** Called after every step that a payment has made, with what is stored. */
  readonly onLeg?: (leg: Leg) => void;
}

export interface LegRunParts {
  readonly store: ToolkitStore;
  readonly payer: LegPayer;
  readonly ownership: LegOwnership;
  readonly asked: AskedWallet;
  readonly schedule: Schedule;
  /** Payments that any run of this ledger visits right now. */
  readonly visits: Map<string, Promise<unknown>>;
  readonly abortGraceMs: number;
}

/** How long a wallet may take to end a call. */
const answerMs = 1_000;

/** How many keys are read at once. */
const pageSize = 256;

/** What may be unsettled since a crash comes first. */
const dueStates: readonly LegState[] = ['sending', 'unknown', 'planned'];

/** Pays what is planned and settles what is open, many at once, until there is nothing left to do. */
export class LegRun {
  readonly #parts: LegRunParts;
  readonly #options: RunOptions;
  readonly #keys: Iterator<string>;
  /** Those whose turn has come again. */
  readonly #ready: LegVisit[] = [];
  readonly #waiting = new Map<LegVisit, () => void>();
  readonly #seen = new Set<string>();
  /** Ends the wallet's calls, too: when a run that is stopped has waited long enough. */
  readonly #giveUp = new AbortController();
  #cancelGrace: () => void = () => {};
  #underWay = 0;
  #error: { readonly cause: unknown } | undefined;
  #end: () => void = () => {};

  constructor(parts: LegRunParts, options: RunOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#keys = options.keys === undefined ? this.#due() : options.keys[Symbol.iterator]();
  }

  /** @throws what the store throws: then nothing more leaves. */
  async finished(): Promise<void> {
    const { signal } = this.#options;
    const abort = (): void => this.#abort();
    signal?.addEventListener('abort', abort);
    await new Promise<void>((resolve) => {
      this.#end = resolve;
      if (signal?.aborted) this.#abort();
      this.#pump();
    });
    signal?.removeEventListener('abort', abort);
    this.#cancelGrace();
    for (const cancel of this.#waiting.values()) cancel();
    this.#waiting.clear();
    if (this.#error !== undefined) throw this.#error.cause;
  }

  #abort(): void {
    for (const cancel of this.#waiting.values()) cancel();
    this.#waiting.clear();
    this.#ready.length = 0;
    const { schedule, abortGraceMs } = this.#parts;
    this.#cancelGrace = schedule(abortGraceMs, () => {
      this.#giveUp.abort();
      // What does not even end when it is told to is left alone.
      this.#cancelGrace = schedule(answerMs, () => this.#end());
    });
    this.#pump();
  }

  get #stopped(): boolean {
    return this.#options.signal?.aborted === true || this.#error !== undefined;
  }

  #pump(): void {
    const { concurrency = 100 } = this.#options;
    while (!this.#stopped && this.#underWay < concurrency) {
      const visit = this.#next();
      if (visit === undefined) break;
      this.#underWay++;
      this.#visit(visit)
        .catch((cause) => {
          this.#error ??= { cause };
        })
        .then(() => {
          this.#underWay--;
          this.#pump();
        });
    }
    if (this.#underWay === 0 && (this.#stopped || this.#waiting.size === 0)) this.#end();
  }

  #next(): LegVisit | undefined {
    const ready = this.#ready.shift();
    if (ready !== undefined) return ready;
    for (;;) {
      try {
        const { value, done } = this.#keys.next();
        if (done === true) return undefined;
        if (this.#seen.has(value)) continue;
        this.#seen.add(value);
        return { key: value, lookups: 0, signal: this.#giveUp.signal };
      } catch (cause) {
        this.#error ??= { cause };
        return undefined;
      }
    }
  }

  async #visit(visit: LegVisit): Promise<void> {
    const { visits, payer, ownership, asked, store, schedule } = this.#parts;
    // Another run of this ledger is there: what comes after it is seen then.
    for (let other = visits.get(visit.key); other !== undefined; other = visits.get(visit.key)) await other;
    const before = knownLeg(store, visit.key);
    ownership.enter();
    const work = payer.visit(visit, asked);
    visits.set(
      visit.key,
      work.catch(() => {}),
    );
    let delayMs: number | undefined;
    try {
      delayMs = await work;
    } finally {
      visits.delete(visit.key);
      await ownership.leave();
    }
    this.#report(before, visit.key);
    if (delayMs === undefined || this.#stopped) return;
    if (delayMs <= 0) {
      this.#ready.push(visit);
      return;
    }
    const cancel = schedule(delayMs, () => {
      this.#waiting.delete(visit);
      this.#ready.push(visit);
      this.#pump();
    });
    this.#waiting.set(visit, cancel);
  }

  #report(before: Leg, key: string): void {
    const { onLeg } = this.#options;
    if (onLeg === undefined) return;
    const after = knownLeg(this.#parts.store, key);
    if (before.state !== after.state || before.attempts !== after.attempts) onLeg(after);
  }

  *#due(): Generator<string> {
    const { store } = this.#parts;
    const { group } = this.#options;
    for (const state of dueStates) {
      let after: string | undefined;
      for (;;) {
        const keys = listLegKeys(store, { group, state, after, limit: pageSize });
        yield* keys;
        if (keys.length < pageSize) break;
        after = keys.at(-1);
      }
    }
  }
}
