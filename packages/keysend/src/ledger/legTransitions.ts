import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { KeysendError } from '../keysendError.js';
import type { StoreReader, StoreTransaction } from '../store/toolkitStore.js';
import type { Destination } from '../value/recipient.js';
import type { PaymentOutcome } from '../wallets/wallet.js';
import type { AuditSink, JudgedPayment, PaymentGuard } from './auditSink.js';
import { checkTogether, release, reserve, settle, spendUnreserved } from './budgets.js';
import { keyPart } from './keyPart.js';
import {
  defaultMaxFeeMsat,
  type Leg,
  type LegFailure,
  type LegInvoice,
  type LegPlan,
  type LegWitness,
} from './leg.js';
import { planContent } from './legCodec.js';
import { insertLeg, knownLeg, nextSequence, readLeg, updateLeg } from './legStore.js';
import { type RetryPolicy, retryDelayMs } from './retryPolicy.js';

/** What every change of a payment's state goes by. */
export interface TransitionContext {
  readonly nowMs: number;
  readonly retries: RetryPolicy;
  /** How long a request may be on its way to the wallet. */
  readonly graceMs: number;
  readonly audit: AuditSink | undefined;
  readonly guard: PaymentGuard | undefined;
}

// Each of these reads the payment again: between two transactions, another process may have changed it.

/**
 * Says no where the budgets do not reach for all of these payments together.
 * @throws KeysendError `budget_exceeded`, `not_found` for an unknown budget
 */
export function checkReservations(
  tx: StoreTransaction,
  context: TransitionContext,
  plans: readonly LegPlan[],
): void {
  const costs = plans
    .filter(({ key, budgets = [] }) => budgets.length > 0 && readLeg(tx, key) === undefined)
    .map(({ budgets: names = [], scope, amountMsat, maxFeeMsat = defaultMaxFeeMsat(amountMsat) }) => ({
      names,
      scope,
      amountMsat: amountMsat + maxFeeMsat,
    }));
  checkTogether(tx, costs, context.nowMs);
}

/**
 * Stores a payment that is to be made, and reserves what it may cost.
 * @throws KeysendError `key_conflict`, `budget_exceeded`, `not_found` for an unknown budget
 */
export function planLeg(tx: StoreTransaction, context: TransitionContext, plan: LegPlan): Leg {
  const budgets = [...new Set(plan.budgets ?? [])];
  const maxFeeMsat =
    plan.maxFeeMsat ?? (budgets.length === 0 ? undefined : defaultMaxFeeMsat(plan.amountMsat));
  const meant = { ...plan, budgets, maxFeeMsat };
  const before = readLeg(tx, plan.key);
  if (before !== undefined) {
    if (planContent(before) === planContent(meant)) return before;
    throw new KeysendError(
      'key_conflict',
      `the key ${JSON.stringify(plan.key)} names another payment already: a new payment needs a new key`,
    );
  }
  const leg: Leg = {
    ...meant,
    state: 'planned',
    sequence: nextSequence(tx),
    plannedAtMs: context.nowMs,
    changedAtMs: context.nowMs,
    attempts: 0,
  };
  reserveFor(tx, context, leg);
  insertLeg(tx, leg);
  return leg;
}

/**
 * Lets a planned payment leave, unless the guard holds or refuses it.
 * @returns undefined where it is not to be sent now.
 */
export function startLeg(
  tx: StoreTransaction,
  context: TransitionContext,
  given: {
    key: string;
    owner: string;
    walletId: string;
    destination: Destination;
    invoice: LegInvoice | undefined;
    paymentHash: string;
  },
): Leg | undefined {
  const { key, ...rest } = given;
  const leg = knownLeg(tx, key);
  if (leg.state !== 'planned' || retryWaitMs(leg, context) > 0) return undefined;
  if (given.invoice !== undefined && !claimInvoice(tx, key, given.invoice)) {
    const message = `${leg.recipient.address} gave an invoice that another payment has: paid twice, it arrives once`;
    endTry(tx, context, {
      leg: { ...leg, invoice: undefined },
      failure: { code: 'address_unreachable', message },
      retryable: true,
    });
    return undefined;
  }
  const { destination } = given;
  const nodeId = destination.type === 'keysend' ? { nodeId: destination.nodeId } : {};
  const verdict = context.guard?.judge(tx, { ...judgedOf(context, leg), ...nodeId });
  if (verdict?.action === 'refuse') {
    fail(tx, context, { leg, failure: { code: 'refused_by_guard', message: verdict.reason } });
    return undefined;
  }
  if (verdict?.action === 'hold' && leg.approvedBy === undefined) {
    change(tx, context, leg, { state: 'held', heldFor: verdict.reason, retryAtMs: undefined });
    report(tx, context, { type: 'leg_held', leg, data: { reason: verdict.reason } });
    return undefined;
  }
  const started = change(tx, context, leg, {
    ...rest,
    witness:
      leg.startedAtMs !== undefined && leg.walletId === given.walletId
        ? leg.witness
        : readWitness(tx, given.walletId),
    state: 'sending',
    startedAtMs: leg.startedAtMs ?? context.nowMs,
    sentAtMs: context.nowMs,
    retryAtMs: undefined,
    heldFor: undefined,
    uncertainUntilMs: undefined,
  });
  report(tx, context, {
    type: 'payment_started',
    leg,
    data: { attempt: leg.attempts + 1, paymentHash: given.paymentHash },
  });
  return started;
}

/** For how long a payment waits for its next try. */
export function retryWaitMs({ retryAtMs = 0 }: Leg, { nowMs, retries }: TransitionContext): number {
  const waitMs = Math.max(0, retryAtMs - nowMs);
  // No wait is that long: the clock was set back.
  return waitMs > Math.max(retries.maxDelayMs, retries.firstDelayMs) ? 0 : waitMs;
}

/** An invoice is one payment's: paid for a second one, it would count for both, and arrive once. */
function claimInvoice(tx: StoreTransaction, key: string, { paymentHash }: LegInvoice): boolean {
  const place = `legInvoice/${keyPart(paymentHash)}`;
  const holder = tx.get(place);
  if (holder === key) return true;
  const other = holder === undefined ? undefined : readLeg(tx, holder);
  // Some hosts give the same invoice until it is paid: what certainly was not may be another's.
  const isOver = other?.state === 'failed' || other?.state === 'abandoned';
  if (other !== undefined && !(isOver && other.uncertainUntilMs === undefined)) return false;
  tx.put(place, key);
  return true;
}

/** Before the wallet was asked, something failed: the address, the invoice. */
export function failUnsent(
  tx: StoreTransaction,
  context: TransitionContext,
  { key, failure, retryable }: { key: string; failure: LegFailure; retryable: boolean },
): Leg {
  const leg = knownLeg(tx, key);
  if (leg.state !== 'planned') return leg;
  const ended = endTry(tx, context, { leg, failure, retryable });
  const { uncertainUntilMs } = leg;
  return uncertainUntilMs === undefined ? ended : change(tx, context, ended, { uncertainUntilMs });
}

/**
 * Makes a payment ours that nobody is busy with (any more): from now on, an earlier try is reckoned with.
 * @param given.mayLive whoever was busy with it may be there all the same (the clock has leapt, the machine slept), and
 *   have sent it just now.
 */
export function takeOverLeg(
  tx: StoreTransaction,
  context: TransitionContext,
  { key, seen, owner, mayLive }: { key: string; seen: Leg; owner: string; mayLive: boolean },
): Leg | undefined {
  const leg = knownLeg(tx, key);
  if (leg.state !== seen.state || leg.owner !== seen.owner || leg.changedAtMs !== seen.changedAtMs) {
    return undefined;
  }
  const sentMs = mayLive ? context.nowMs : (leg.sentAtMs ?? 0);
  const untilMs = Math.max(leg.uncertainUntilMs ?? 0, sentMs + context.graceMs);
  // What is longer than from now on was said by a clock that was set back since.
  const latestMs = context.nowMs + context.graceMs;
  return change(tx, context, leg, { owner, uncertainUntilMs: Math.min(untilMs, latestMs) });
}

/**
 * Before the wallet is asked once more in the same try.
 * @param given.certain nothing was sent before, after all.
 */
export function resendLeg(
  tx: StoreTransaction,
  context: TransitionContext,
  { key, owner, certain }: { key: string; owner: string; certain: boolean },
): Leg | undefined {
  const leg = knownLeg(tx, key);
  if (!isBusy(leg) || leg.owner !== owner) return undefined;
  return change(tx, context, leg, {
    state: 'sending',
    sentAtMs: context.nowMs,
    ...(certain ? { uncertainUntilMs: undefined } : {}),
  });
}

/**
 * Stores what became of a payment. That it was paid counts whoever says so and whatever was thought before; the rest
 * counts from its owner alone.
 */
export function finishLeg(
  tx: StoreTransaction,
  context: TransitionContext,
  { key, owner, outcome }: { key: string; owner: string; outcome: PaymentOutcome },
): Leg {
  const leg = knownLeg(tx, key);
  if (outcome.status === 'succeeded') return succeed(tx, context, { leg, outcome });
  if (!isBusy(leg) || leg.owner !== owner) return leg;
  switch (outcome.status) {
    case 'failed': {
      const { failure: code, message, neededFeeMsat, retryable } = outcome;
      return endTry(tx, context, { leg, failure: { code, message, neededFeeMsat }, retryable });
    }
    case 'pending':
      return change(tx, context, leg, {
        uncertainUntilMs: Math.max(leg.uncertainUntilMs ?? 0, context.nowMs),
        failure: { code: 'pending', message: outcome.message },
      });
    case 'unknown':
      return doubt(tx, context, {
        leg,
        message: outcome.message,
        owner,
        untilMs: context.nowMs + context.graceMs,
      });
  }
}

/** An earlier try, of which somebody had said that it failed, is under way after all. */
export function reopenLeg(
  tx: StoreTransaction,
  context: TransitionContext,
  { key, owner, message }: { key: string; owner: string; message: string },
): Leg {
  const leg = knownLeg(tx, key);
  if (leg.state !== 'planned') return leg;
  return change(tx, context, leg, {
    state: 'sending',
    owner,
    retryAtMs: undefined,
    failure: { code: 'pending', message },
  });
}

/** Leaves a payment whose outcome could not be found out. */
export function giveUpLeg(
  tx: StoreTransaction,
  context: TransitionContext,
  { key, owner, message }: { key: string; owner: string; message: string },
): Leg {
  const leg = knownLeg(tx, key);
  if (!isBusy(leg) || leg.owner !== owner) return leg;
  const { uncertainUntilMs: untilMs = context.nowMs } = leg;
  return doubt(tx, context, { leg, message, owner: undefined, untilMs });
}

/** What a person found out. @throws KeysendError `state_conflict` */
export function resolveLeg(
  tx: StoreTransaction,
  context: TransitionContext,
  { leg, outcome, by }: { leg: Leg; outcome: 'paid' | 'not_paid'; by: string },
): Leg {
  if (outcome === 'paid') {
    const paid: PaymentOutcome = { status: 'succeeded', feeMsat: 0n };
    return succeed(tx, context, { leg, outcome: paid, actor: by });
  }
  const failure = { code: 'other', message: `not paid, says ${by}` };
  const failed = fail(tx, context, { leg, failure, actor: by });
  // Before it is sent again, the wallet is asked once more.
  const { uncertainUntilMs = context.nowMs } = leg;
  return change(tx, context, failed, { uncertainUntilMs });
}

/** Plans a payment that failed once more. @throws KeysendError `state_conflict`, `budget_exceeded` */
export function retryLeg(tx: StoreTransaction, context: TransitionContext, key: string): Leg {
  const leg = expectState(knownLeg(tx, key), ['failed'], 'tried again');
  reserveFor(tx, context, leg);
  return change(tx, context, leg, {
    state: 'planned',
    attempts: 0,
    retryAtMs: undefined,
    failure: undefined,
    // What an address stands for may have changed since; an invoice is asked for anew where it has run out.
    ...(leg.recipient.type === 'lnaddress' && leg.invoice === undefined ? { destination: undefined } : {}),
  });
}

/** @throws KeysendError `state_conflict` */
export function approveLeg(
  tx: StoreTransaction,
  context: TransitionContext,
  { key, by }: { key: string; by: string },
): Leg {
  const leg = expectState(knownLeg(tx, key), ['held'], 'approved');
  const approved = change(tx, context, leg, { state: 'planned', approvedBy: by, heldFor: undefined });
  report(tx, context, { type: 'leg_approved', leg, actor: by });
  return approved;
}

/** @throws KeysendError `state_conflict` */
export function denyLeg(
  tx: StoreTransaction,
  context: TransitionContext,
  { key, by }: { key: string; by: string },
): Leg {
  const leg = expectState(knownLeg(tx, key), ['held'], 'denied');
  release(tx, { id: reservationOf(leg) });
  context.guard?.forget?.(tx, judgedOf(context, leg));
  const denied = change(tx, context, leg, {
    state: 'abandoned',
    failure: { code: 'denied', message: `denied by ${by}` },
  });
  report(tx, context, { type: 'leg_denied', leg, actor: by });
  return denied;
}

/** @throws KeysendError `state_conflict`: what may have been paid cannot be given up. */
export function abandonLeg(
  tx: StoreTransaction,
  context: TransitionContext,
  { key, by }: { key: string; by: string },
): Leg {
  const leg = expectState(knownLeg(tx, key), ['planned', 'held', 'failed'], 'abandoned');
  release(tx, { id: reservationOf(leg) });
  context.guard?.forget?.(tx, judgedOf(context, leg));
  const abandoned = change(tx, context, leg, { state: 'abandoned', retryAtMs: undefined });
  report(tx, context, { type: 'leg_abandoned', leg, actor: by });
  return abandoned;
}

/** @throws KeysendError `state_conflict` */
export function expectState(leg: Leg, states: readonly Leg['state'][], verb: string): Leg {
  if (states.includes(leg.state)) return leg;
  throw new KeysendError(
    'state_conflict',
    `the payment ${JSON.stringify(leg.key)} is ${leg.state}, and only what is ${states.join(' or ')} can be ${verb}`,
  );
}

function isBusy({ state }: Leg): boolean {
  return state === 'sending' || state === 'unknown';
}

function endTry(
  tx: StoreTransaction,
  context: TransitionContext,
  { leg, failure, retryable }: { leg: Leg; failure: LegFailure; retryable: boolean },
): Leg {
  const attempts = leg.attempts + 1;
  const delayMs = retryable ? retryDelayMs(context.retries, attempts) : undefined;
  if (delayMs === undefined) return fail(tx, context, { leg, failure });
  return change(tx, context, leg, {
    state: 'planned',
    attempts,
    failure,
    retryAtMs: context.nowMs + delayMs,
    owner: undefined,
    uncertainUntilMs: undefined,
  });
}

function fail(
  tx: StoreTransaction,
  context: TransitionContext,
  { leg, failure, actor }: { leg: Leg; failure: LegFailure; actor?: string },
): Leg {
  release(tx, { id: reservationOf(leg) });
  context.guard?.forget?.(tx, judgedOf(context, leg));
  const failed = change(tx, context, leg, {
    state: 'failed',
    attempts: leg.attempts + 1,
    failure,
    retryAtMs: undefined,
    owner: undefined,
    uncertainUntilMs: undefined,
  });
  const data = { failure: failure.code, message: failure.message };
  report(tx, context, { type: 'payment_failed', leg, data, ...(actor === undefined ? {} : { actor }) });
  return failed;
}

function succeed(
  tx: StoreTransaction,
  context: TransitionContext,
  given: { leg: Leg; outcome: Extract<PaymentOutcome, { status: 'succeeded' }>; actor?: string },
): Leg {
  const { leg, outcome, actor } = given;
  if (leg.state === 'succeeded') return leg;
  const { feeMsat, paymentHash = leg.paymentHash, preimage } = outcome;
  const costMsat = leg.amountMsat + feeMsat;
  if (!settle(tx, { id: reservationOf(leg), costMsat })) {
    const { budgets, scope } = leg;
    spendUnreserved(tx, { names: budgets, costMsat, atMs: context.nowMs, scope });
  }
  // It was given back: money that is gone is gone, whatever the guard says now.
  if (leg.state === 'failed' || leg.state === 'abandoned') context.guard?.judge(tx, judgedOf(context, leg));
  if (actor === undefined) {
    putWitness(tx, leg);
    putProof(tx, leg, preimage);
  }
  const paid = change(tx, context, leg, {
    state: 'succeeded',
    attempts: leg.attempts + 1,
    feeMsat,
    paymentHash,
    preimage,
    failure: undefined,
    retryAtMs: undefined,
    owner: undefined,
    uncertainUntilMs: undefined,
  });
  const data = { feeMsat: feeMsat.toString(), paymentHash: paymentHash ?? null };
  report(tx, context, { type: 'payment_succeeded', leg, data, ...(actor === undefined ? {} : { actor }) });
  return paid;
}

/** The last payment that a wallet has made: what it should still know. */
function putWitness(tx: StoreTransaction, { key, walletId, paymentHash }: Leg): void {
  if (walletId === undefined || paymentHash === undefined) return;
  tx.put(witnessKey(walletId), JSON.stringify({ key, paymentHash } satisfies LegWitness));
}

export function readWitness(reader: StoreReader, walletId: string): LegWitness | undefined {
  const text = reader.get(witnessKey(walletId));
  return text === undefined ? undefined : (JSON.parse(text) as LegWitness);
}

/** The wallet tells with which preimage it has paid: whether that is the one that it was given is worth remembering. */
function putProof(tx: StoreTransaction, leg: Leg, preimage: string | undefined): void {
  const { destination, walletId, paymentHash } = leg;
  if (destination?.type !== 'keysend' || walletId === undefined || preimage === undefined) return;
  const kept = bytesToHex(sha256(hexToBytes(preimage))) === paymentHash;
  if (keepsPreimages(tx, walletId) !== kept) tx.put(proofKey(walletId), kept ? 'kept' : 'changed');
}

/** Whether a wallet keeps to the preimages that it is given; `undefined` where it has not shown that yet. */
export function keepsPreimages(reader: StoreReader, walletId: string): boolean | undefined {
  const text = reader.get(proofKey(walletId));
  return text === undefined ? undefined : text === 'kept';
}

function proofKey(walletId: string): string {
  return `legProof/${keyPart(walletId)}`;
}

function witnessKey(walletId: string): string {
  return `legWitness/${keyPart(walletId)}`;
}

function doubt(
  tx: StoreTransaction,
  context: TransitionContext,
  { leg, message, owner, untilMs }: { leg: Leg; message: string; owner: string | undefined; untilMs: number },
): Leg {
  const failure = { code: 'unknown', message };
  const unknown = change(tx, context, leg, { state: 'unknown', uncertainUntilMs: untilMs, failure, owner });
  if (leg.state !== 'unknown') report(tx, context, { type: 'payment_unknown', leg, data: { message } });
  return unknown;
}

function change(tx: StoreTransaction, context: TransitionContext, leg: Leg, changes: Partial<Leg>): Leg {
  return updateLeg(tx, leg, { ...leg, ...changes, changedAtMs: context.nowMs });
}

function reserveFor(tx: StoreTransaction, context: TransitionContext, leg: Leg): void {
  if (leg.budgets.length === 0) return;
  reserve(tx, {
    id: reservationOf(leg),
    names: leg.budgets,
    amountMsat: leg.amountMsat + (leg.maxFeeMsat ?? 0n),
    atMs: context.nowMs,
    scope: leg.scope,
  });
}

function judgedOf({ nowMs }: TransitionContext, { key, recipient, amountMsat }: Leg): JudgedPayment {
  return { direction: 'outgoing', counterparty: recipient.address, amountMsat, atMs: nowMs, id: key };
}

function reservationOf({ key }: Leg): string {
  return `leg:${key}`;
}

function report(
  tx: StoreTransaction,
  context: TransitionContext,
  given: {
    type: string;
    leg: Leg;
    actor?: string;
    data?: Readonly<Record<string, string | number | boolean | null>>;
  },
): void {
  const { type, leg, actor = leg.actor ?? 'user', data = {} } = given;
  context.audit?.append(tx, {
    type,
    atMs: context.nowMs,
    actor,
    data: {
      leg: leg.key,
      counterparty: leg.recipient.address,
      amountMsat: leg.amountMsat.toString(),
      purpose: leg.group,
      ...data,
    },
  });
}
