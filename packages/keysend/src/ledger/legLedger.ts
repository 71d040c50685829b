import { KeysendError } from '../keysendError.js';
import { keysendRecordType } from '../records/recordTypes.js';
import type { StoreTransaction, ToolkitStore } from '../store/toolkitStore.js';
import type { Schedule } from '../timing/schedule.js';
import type { DestinationResolver } from '../value/recipient.js';
import type { Wallet, WalletInfo } from '../wallets/wallet.js';
import type { AuditSink, PaymentGuard } from './auditSink.js';
import { GroupCommit } from './groupCommit.js';
import type { Leg, LegPlan, LegSummary } from './leg.js';
import { LegOwnership } from './legOwnership.js';
import { type AskedWallet, LegPayer } from './legPayer.js';
import { LegRun, type RunOptions } from './legRun.js';
import { knownLeg, type LegRange, listLegs, readLeg, readSummary, summarize } from './legStore.js';
import {
  abandonLeg,
  approveLeg,
  checkReservations,
  denyLeg,
  expectState,
  planLeg,
  resolveLeg,
  retryLeg,
  type TransitionContext,
} from './legTransitions.js';
import { lookupRetries, paymentRetries, type RetryPolicy } from './retryPolicy.js';

export interface LegLedgerOptions {
  readonly store: ToolkitStore;
  readonly wallet: Wallet;
  /** 32 bytes, the same for ever (derivePreimage): with another one, what is open cannot be repeated. */
  readonly secret: Uint8Array;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly schedule: Schedule;
  readonly resolver: DestinationResolver;
  /** Names this ledger, unlike any other that uses the store, now or before: random text. */
  readonly owner: string;
  /**
   * Whether the ledger of this name may still be at work; `undefined` where that is not known, and its lease has to
   * run out. `() => false` where the app makes sure that there is no other.
   */
  readonly isOwnerAlive?: (owner: string) => boolean | undefined;
  readonly audit?: AuditSink;
  readonly guard?: PaymentGuard;
  /** After failures that may pass. */
  readonly retries?: RetryPolicy;
  /** How often to look for the outcome of what is open. */
  readonly lookups?: RetryPolicy;
  /** How long a request may need until it is in the wallet's list; 60 seconds where it is absent. */
  readonly lookupGraceMs?: number;
  /** How long others believe that we are busy; 30 seconds where it is absent. */
  readonly leaseMs?: number;
  /** How long the wallet may try each payment; 60 where it is absent. */
  readonly timeoutSeconds?: number;
  /** How long a run that is stopped waits for what is under way; 3 seconds where it is absent. */
  readonly abortGraceMs?: number;
}

const maxTextLength = 128;
/** NUL ends a text in some databases; half a surrogate pair is no character; the last code point ends their ranges. */
const unkeepable = /[\0\p{Surrogate}\u{10ffff}]/u;

/**
 * Pays each planned payment exactly once, over any wallet, through crashes of this process, of the machine and of
 * the wallet. What it relies on:
 *
 * - the store: what a transaction has put is there after a crash;
 * - the key: who wants the same payment uses the same one;
 * - the wallet's word, as far as `Wallet` promises it: `failed` is certainly not paid; and, where `repeats` is
 *   `preimage`, the same wallet pays one preimage once.
 */
export class LegLedger {
  readonly #options: LegLedgerOptions;
  readonly #commit: GroupCommit;
  readonly #ownership: LegOwnership;
  readonly #payer: LegPayer;
  readonly #visits = new Map<string, Promise<unknown>>();

  constructor(options: LegLedgerOptions) {
    const { store, schedule, now, owner, leaseMs = 30_000, isOwnerAlive } = options;
    this.#options = options;
    this.#commit = new GroupCommit({ store, schedule });
    this.#ownership = new LegOwnership({
      store,
      id: owner,
      leaseMs,
      now,
      schedule,
      isOwnerAlive,
      commit: (body) => this.#commit.run(body),
    });
    this.#payer = new LegPayer({
      ...options,
      commit: this.#commit,
      ownership: this.#ownership,
      lookups: options.lookups ?? lookupRetries,
      timeoutSeconds: options.timeoutSeconds ?? 60,
      context: () => this.#context(),
    });
  }

  get store(): ToolkitStore {
    return this.#options.store;
  }

  /**
   * Stores payments that are to be made, all or none, and reserves what they may cost. The same key again with the
   * same content is the same payment.
   * @throws KeysendError `request_invalid`, `record_invalid`, `key_conflict`, `budget_exceeded`, `not_found`
   */
  plan(legs: readonly LegPlan[]): Leg[] {
    return this.#options.store.transaction((tx) => this.planIn(tx, legs));
  }

  /** The same within a transaction of the caller's, which has to be given up where this throws. */
  planIn(tx: StoreTransaction, legs: readonly LegPlan[]): Leg[] {
    for (const leg of legs) checkPlan(leg);
    const context = this.#context();
    checkReservations(tx, context, legs);
    return legs.map((leg) => planLeg(tx, context, leg));
  }

  /**
   * Pays what is planned, after it has settled what was open when somebody crashed.
   * @returns what became of the group, of the keys, or of everything.
   * @throws KeysendError where the wallet cannot be asked what it can do; nothing has left then. What the store
   *   throws.
   */
  async run(options: RunOptions = {}): Promise<LegSummary> {
    const { store, schedule, abortGraceMs = 3_000 } = this.#options;
    this.#ownership.enter();
    try {
      const asked = await this.#askWallet(options.signal);
      const parts = {
        store,
        payer: this.#payer,
        ownership: this.#ownership,
        asked,
        schedule,
        visits: this.#visits,
        abortGraceMs,
      };
      await new LegRun(parts, options).finished();
    } finally {
      await this.#ownership.leave();
    }
    if (options.keys !== undefined) return summarize(options.keys.map((key) => knownLeg(store, key)));
    return this.summary(options.group);
  }

  /** Plans payments that failed once more, all or none. @throws KeysendError `state_conflict`, `budget_exceeded` */
  retry(keys: readonly string[]): Leg[] {
    return this.#each(keys, (tx, context, key) => retryLeg(tx, context, key));
  }

  /** Lets held payments leave with the next run, all or none. @throws KeysendError `state_conflict` */
  approve(keys: readonly string[], by: string): Leg[] {
    return this.#each(keys, (tx, context, key) => approveLeg(tx, context, { key, by }));
  }

  /** Gives held payments up, all or none. @throws KeysendError `state_conflict` */
  deny(keys: readonly string[], by: string): Leg[] {
    return this.#each(keys, (tx, context, key) => denyLeg(tx, context, { key, by }));
  }

  /** Gives up what is planned, held or failed, all or none. @throws KeysendError `state_conflict` */
  abandon(keys: readonly string[], by: string): Leg[] {
    return this.#each(keys, (tx, context, key) => abandonLeg(tx, context, { key, by }));
  }

  /**
   * Says what became of a payment that is `unknown`: what a person found out. After `not_paid` it can be retried.
   * @throws KeysendError `state_conflict`
   */
  resolve(key: string, outcome: 'paid' | 'not_paid', by: string): Leg {
    return this.#options.store.transaction((tx) => {
      const leg = expectState(knownLeg(tx, key), ['unknown'], 'resolved');
      if (this.#visits.has(key) || this.#ownership.busyForMs(leg) > 0) {
        throw new KeysendError('state_conflict', `payment ${JSON.stringify(key)}: the wallet is being asked`);
      }
      return resolveLeg(tx, this.#context(), { leg, outcome, by });
    });
  }

  get(key: string): Leg | undefined {
    return readLeg(this.#options.store, key);
  }

  /** By group, in the order in which they were planned. */
  list(range: LegRange = {}): Leg[] {
    return listLegs(this.#options.store, range);
  }

  /** Of a group, or of everything. */
  summary(group?: string): LegSummary {
    return readSummary(this.#options.store, group);
  }

  #each(
    keys: readonly string[],
    body: (tx: StoreTransaction, context: TransitionContext, key: string) => Leg,
  ): Leg[] {
    return this.#options.store.transaction((tx) => {
      const context = this.#context();
      return keys.map((key) => body(tx, context, key));
    });
  }

  #context(): TransitionContext {
    const { now, retries = paymentRetries, lookupGraceMs = 60_000, audit, guard } = this.#options;
    return { nowMs: now(), retries, graceMs: lookupGraceMs, audit, guard };
  }

  async #askWallet(signal: AbortSignal | undefined): Promise<AskedWallet> {
    const { wallet } = this.#options;
    const call = signal === undefined ? {} : { signal };
    const capabilities = await wallet.capabilities(call);
    if (!capabilities.keysend) {
      throw new KeysendError('wallet_cannot', `this ${wallet.kind} wallet cannot send keysends`);
    }
    const info = await wallet.info(call).catch((error) => {
      if (error instanceof KeysendError && error.code === 'wallet_cannot') return {};
      throw error;
    });
    const { nodeId, network } = info as Partial<WalletInfo>;
    const parts = [wallet.kind, nodeId, network, wallet.account].filter((part) => part !== undefined);
    const isOneOfAKind = nodeId !== undefined || wallet.account !== undefined;
    return { id: parts.join(':'), isOneOfAKind, capabilities };
  }
}

function checkPlan(plan: LegPlan): void {
  const { key, group, amountMsat, records, maxFeeMsat } = plan;
  for (const [what, text] of [
    ['key', key],
    ['group', group],
  ] as const) {
    if (text.length < 1 || text.length > maxTextLength) {
      throw new KeysendError(
        'request_invalid',
        `the ${what} of a payment has 1 to ${maxTextLength} characters`,
      );
    }
  }
  for (const text of [key, group, plan.scope ?? '']) {
    if (!unkeepable.test(text)) continue;
    throw new KeysendError(
      'request_invalid',
      `payment ${JSON.stringify(key)}: its key, group or scope has a character that stores do not keep apart from others`,
    );
  }
  if (plan.actor === '') throw new KeysendError('request_invalid', `payment ${key}: nobody wants it`);
  if (amountMsat <= 0n)
    throw new KeysendError('request_invalid', `payment ${key}: ${amountMsat} msat are none`);
  if (maxFeeMsat !== undefined && maxFeeMsat < 0n) {
    throw new KeysendError('request_invalid', `payment ${key}: the limit of its fee is negative`);
  }
  if (records.has(keysendRecordType)) {
    throw new KeysendError('record_invalid', `payment ${key}: the record of the preimage is the wallet's`);
  }
}
