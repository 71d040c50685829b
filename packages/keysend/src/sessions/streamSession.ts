import { KeysendError } from '../keysendError.js';
import type { Leg, LegLedger } from '../ledger/index.js';
import { amountText } from '../value/amountText.js';
import {
  type ExtraFee,
  type FeeMode,
  type Recipient,
  recipientKey,
  type SplitCarry,
  type ValuePlan,
} from '../value/index.js';
import { addCarries } from '../value/splitCarry.js';
import type { SplitPaymentOptions } from './splitLegs.js';
import { boundariesMsOf, closeInterval, type IntervalRequest, streamGroup } from './streamInterval.js';
import { createStream, readStream, type StreamState, updateStream } from './streamState.js';
import { appendStretch, lengthMs } from './stretches.js';

export interface StreamSessionOptions extends SplitPaymentOptions {
  readonly ledger: LegLedger;
  /** A session of the same name goes on where it was: 1 to 200 bytes. */
  readonly name: string;
  /** Of a new session; one that goes on keeps the one that it began with. */
  readonly plan: ValuePlan;
  /** For a minute of content, whatever the speed of playback. */
  readonly rateMsatPerMinute: bigint;
  /** How much content is paid at once: 60 where it is absent. */
  readonly intervalSeconds?: number | undefined;
  /** Where a new session begins. */
  readonly positionSeconds?: number | undefined;
  readonly feeMode?: FeeMode | undefined;
  readonly extraFees?: readonly ExtraFee[] | undefined;
  /** Shares below it wait: 1,000 msat where it is absent. */
  readonly minPayableMsat?: bigint | undefined;
  /** A longer leap between two positions was not listened to, even if nobody said so: 300 where it is absent. */
  readonly maxLeapSeconds?: number | undefined;
  readonly now: () => number;
  /** Stops paying; what is owed is kept. */
  readonly signal?: AbortSignal | undefined;
  readonly onLeg?: ((leg: Leg) => void) | undefined;
  /** What keeps payments from being made; they are kept. */
  readonly onProblem?: ((error: unknown) => void) | undefined;
}

export interface StreamRecipientTotal {
  readonly recipient: Recipient;
  /** In payments, whatever their state. */
  readonly plannedMsat: bigint;
  readonly paidMsat: bigint;
  /** Decimal msat that wait for more: see SplitCarry. */
  readonly carriedMsat: string;
}

export interface StreamReport {
  readonly name: string;
  readonly positionSeconds: number;
  /** Of content, what was listened to twice counted twice. */
  readonly heardSeconds: number;
  /** Of it, what is not in any payment yet: the part of an interval. */
  readonly openSeconds: number;
  /** For all closed intervals: what is planned and what is carried. */
  readonly owedMsat: bigint;
  readonly paidMsat: bigint;
  readonly feesMsat: bigint;
  readonly recipients: readonly StreamRecipientTotal[];
  readonly carried: SplitCarry;
  /** Payments that are not made (yet), and why. */
  readonly unpaid: readonly Leg[];
  /** Why nothing is planned at the moment, and everything carried. */
  readonly blocked?: string | undefined;
}

/**
 * Pays by the minute for what is listened to, as the player tells (`playing`, `paused`, `seeked`, `ended`).
 *
 * - Each stretch of content counts as often as it is heard; the speed of playback changes nothing.
 * - An interval is stored with its payments and what remains of the shares in one transaction, and only then paid:
 *   after a crash the session goes on with what was stored, and no interval is paid twice.
 * - Paid and carried together are always the rate times what was heard, to the millisatoshi; each recipient gets
 *   its exact share of it, apart from what is carried.
 */
export class StreamSession {
  readonly #options: StreamSessionOptions;
  readonly #plan: ValuePlan;
  readonly #boundariesMs: readonly number[];
  readonly #runs = new Set<Promise<void>>();
  #state: StreamState;
  /** Up to where was heard, while it plays. */
  #anchorMs: number | undefined;
  #speed = 1;

  private constructor(options: StreamSessionOptions, opened: { state: StreamState; plan: ValuePlan }) {
    this.#options = options;
    this.#state = opened.state;
    this.#plan = opened.plan;
    this.#boundariesMs = boundariesMsOf(opened.plan);
  }

  /**
   * Begins a session, or goes on with the one of this name, and pays what it still owes.
   * @throws KeysendError `state_conflict` where the session of this name has another rate or interval
   */
  static open(options: StreamSessionOptions): StreamSession {
    const { ledger, name, plan, rateMsatPerMinute, intervalSeconds = 60, now } = options;
    const { feeMode, extraFees, minPayableMsat, positionSeconds = 0 } = options;
    const intervalMs = Math.round(intervalSeconds * 1_000);
    const terms = { rateMsatPerMinute, intervalMs, feeMode, extraFees, minPayableMsat };
    const opened = ledger.store.transaction((tx) => {
      const found = readStream(tx, name);
      if (found === undefined) {
        const positionMs = toMs(positionSeconds);
        return { plan, state: createStream(tx, { name, plan, terms, nowMs: now(), positionMs }) };
      }
      const { rateMsatPerMinute: rate, intervalMs: interval } = found.state.terms;
      if (rate === rateMsatPerMinute && interval === intervalMs) return found;
      throw new KeysendError(
        'state_conflict',
        `the session ${JSON.stringify(name)} pays ${amountText(rate)} a minute, every ${interval / 1_000} seconds: go on with that, or begin another session`,
      );
    });
    const session = new StreamSession(options, opened);
    session.#pay(undefined);
    return session;
  }

  /** Where to go on after a crash: what came before is stored. */
  get positionSeconds(): number {
    return this.#state.positionMs / 1_000;
  }

  /** Of content, heard and stored so far. */
  get heardSeconds(): number {
    return this.#state.heardMs / 1_000;
  }

  /** What boostagrams say of the speed of playback. */
  set speed(speed: number) {
    this.#speed = speed;
  }

  /**
   * The player plays, and is at this position: to be told every few seconds. From the second time on, what lies
   * between was listened to.
   * @throws what the store throws, KeysendError `state_conflict`: then the time since the last call is not counted yet,
   *   and the next call counts it.
   */
  playing(positionSeconds: number): void {
    this.#hear(toMs(positionSeconds));
  }

  /**
   * Stores what was heard so far, so that a crash loses nothing of it: for players that are closed without a word.
   * Each costs a transaction.
   */
  checkpoint(): void {
    this.#change(this.#state, []);
  }

  /** The player was stopped here; what was heard is stored, and paid when its interval is full. */
  paused(positionSeconds: number): void {
    if (this.#anchorMs === undefined) return;
    this.#hear(toMs(positionSeconds), { store: true });
    this.#anchorMs = undefined;
  }

  /** The listener went from here to there; what lies between was not listened to. */
  seeked(fromSeconds: number, toSeconds: number): void {
    const positionMs = toMs(toSeconds);
    const plays = this.#anchorMs !== undefined;
    if (plays) this.#hear(toMs(fromSeconds));
    this.#change({ ...this.#state, positionMs }, []);
    if (plays) this.#anchorMs = positionMs;
  }

  /** The item is over: the last part of an interval is paid for what it is. */
  ended(positionSeconds: number): void {
    this.#close(positionSeconds);
  }

  /** The listener stops: the last part of an interval is paid for what it is. Resolves once all is settled. */
  async stop(positionSeconds?: number): Promise<StreamReport> {
    this.#close(positionSeconds);
    await this.settled();
    return this.report();
  }

  /** Once nothing is under way any more. */
  async settled(): Promise<void> {
    while (this.#runs.size > 0) await Promise.all(this.#runs);
  }

  /** Tries once more what failed, and what the budget did not allow. */
  retry(): void {
    const { ledger } = this.#options;
    if (this.#state.blocked !== undefined) this.#settle(this.#state, 0);
    try {
      ledger.retry(ledger.list({ group: this.group, state: 'failed' }).map(({ key }) => key));
    } catch (error) {
      if (!(error instanceof KeysendError) || error.code !== 'budget_exceeded') throw error;
      this.#tell(error);
    }
    this.#pay(undefined);
  }

  /** The ledger's group of its payments. */
  get group(): string {
    return streamGroup(this.#state);
  }

  /** Payments that are not made (yet). */
  unpaid(): readonly Leg[] {
    return this.#options.ledger.list({ group: this.group }).filter(({ state }) => state !== 'succeeded');
  }

  report(): StreamReport {
    const { ledger, name } = this.#options;
    const { carried, owedMsat, blocked, open } = this.#state;
    const summary = ledger.summary(this.group);
    const totals = new Map<string, { recipient: Recipient; plannedMsat: bigint; paidMsat: bigint }>();
    const unpaid: Leg[] = [];
    for (const leg of ledger.list({ group: this.group })) {
      const key = recipientKey(leg.recipient);
      const total = totals.get(key) ?? { recipient: leg.recipient, plannedMsat: 0n, paidMsat: 0n };
      total.plannedMsat += leg.amountMsat;
      if (leg.state === 'succeeded') total.paidMsat += leg.amountMsat;
      else unpaid.push(leg);
      totals.set(key, total);
    }
    for (const [key, { recipient }] of Object.entries(carried)) {
      if (!totals.has(key)) totals.set(key, { recipient, plannedMsat: 0n, paidMsat: 0n });
    }
    return {
      name,
      positionSeconds: this.positionSeconds,
      heardSeconds: this.heardSeconds,
      openSeconds: lengthMs(open) / 1_000,
      owedMsat,
      paidMsat: summary.states.succeeded.amountMsat,
      feesMsat: summary.feesMsat,
      recipients: [...totals].map(([key, total]) => ({
        ...total,
        carriedMsat: carried[key]?.dueMsat ?? '0',
      })),
      carried,
      unpaid,
      blocked,
    };
  }

  #close(positionSeconds: number | undefined): void {
    if (positionSeconds !== undefined) this.#hear(toMs(positionSeconds), { store: true });
    this.#anchorMs = undefined;
    const openMs = lengthMs(this.#state.open);
    if (openMs > 0) this.#settle(this.#state, openMs);
  }

  /** Counts what was heard since the last call, and pays the intervals that are full. */
  #hear(positionMs: number, { store = false } = {}): void {
    const fromMs = this.#anchorMs;
    const { maxLeapSeconds = 300 } = this.#options;
    const heardMs = fromMs === undefined ? 0 : positionMs - fromMs;
    if (fromMs === undefined || heardMs < 0 || heardMs > maxLeapSeconds * 1_000) {
      if (store) this.#change({ ...this.#state, positionMs }, []);
      this.#anchorMs = positionMs;
      return;
    }
    const heard: StreamState = {
      ...this.#state,
      open: appendStretch(this.#state.open, { fromMs, toMs: positionMs }),
      positionMs,
      heardMs: this.#state.heardMs + heardMs,
    };
    const { intervalMs } = heard.terms;
    const openMs = lengthMs(heard.open);
    const fullMs = openMs - (openMs % intervalMs);
    if (fullMs > 0) this.#settle(heard, fullMs);
    else if (store) this.#change(heard, []);
    else this.#state = heard;
    // Only now: what was not stored is heard again.
    this.#anchorMs = positionMs;
  }

  /** Closes intervals, the last of which may be short; with 0 ms, pays what was carried. */
  #settle(state: StreamState, ms: number): void {
    const tried = withinBudget(() => this.#closeIntervals(state, ms, 'all'));
    if (tried === undefined) return;
    // What is owed stays owed. A debt that is more than a budget ever has must not keep what is new from being paid.
    const blocked = { ...state, blocked: tried.message };
    if (withinBudget(() => this.#closeIntervals(blocked, ms, 'new')) !== undefined) {
      this.#closeIntervals(blocked, ms, 'nothing');
    }
    this.#tell(tried);
  }

  #closeIntervals(state: StreamState, ms: number, pays: 'all' | 'new' | 'nothing'): void {
    const request: IntervalRequest = {
      ...this.#options,
      plan: this.#plan,
      boundariesMs: this.#boundariesMs,
      speed: this.#speed,
      defer: pays === 'nothing',
    };
    let closed = state;
    if (pays === 'all') closed = { ...state, blocked: undefined };
    else if (pays === 'new') closed = { ...state, carried: {} };
    const legs = [];
    let leftMs = ms;
    do {
      const takenMs = Math.min(leftMs, state.terms.intervalMs);
      const next = closeInterval(closed, takenMs, request);
      closed = next.state;
      legs.push(...next.legs);
      leftMs -= takenMs;
    } while (leftMs > 0);
    if (pays === 'new') closed = { ...closed, carried: addCarries(state.carried, closed.carried) };
    this.#change(closed, legs);
    const keys = legs.map(({ key }) => key);
    if (keys.length > 0) this.#pay(keys);
  }

  /** Stores a new state together with the payments that follow from it. */
  #change(after: StreamState, legs: Parameters<LegLedger['plan']>[0]): void {
    const { ledger, name } = this.#options;
    const before = this.#state;
    this.#state = ledger.store.transaction((tx) => {
      const stored = updateStream(tx, name, before, after);
      ledger.planIn(tx, legs);
      return stored;
    });
  }

  /** Whoever is told and stumbles changes nothing of what was stored: what was heard must not be heard again. */
  #tell(error: unknown): void {
    try {
      this.#options.onProblem?.(error);
    } catch {
      // It was said.
    }
  }

  #pay(keys: readonly string[] | undefined): void {
    const { ledger, signal, onLeg } = this.#options;
    const run = ledger
      .run({
        ...(keys === undefined ? { group: this.group } : { keys }),
        ...(signal === undefined ? {} : { signal }),
        ...(onLeg === undefined ? {} : { onLeg }),
      })
      .then(
        () => {},
        (error) => this.#tell(error),
      )
      .then(() => {
        this.#runs.delete(run);
      });
    this.#runs.add(run);
  }
}

/** @returns why it did not reach. */
function withinBudget(pay: () => void): KeysendError | undefined {
  try {
    pay();
    return undefined;
  } catch (error) {
    if (error instanceof KeysendError && error.code === 'budget_exceeded') return error;
    throw error;
  }
}

function toMs(seconds: number): number {
  if (!Number.isFinite(seconds) || seconds < 0) {
    throw new KeysendError('request_invalid', 'a position is a number of seconds from the beginning');
  }
  return Math.round(seconds * 1_000);
}
