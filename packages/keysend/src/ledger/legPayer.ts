import { bytesToHex } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { KeysendError } from '../keysendError.js';
import type { StoreTransaction, ToolkitStore } from '../store/toolkitStore.js';
import type { Schedule } from '../timing/schedule.js';
import { amountText } from '../value/amountText.js';
import type { Destination, DestinationResolver } from '../value/recipient.js';
import type { PaymentOutcome, Wallet, WalletCapabilities } from '../wallets/wallet.js';
import { derivePreimage } from './derivePreimage.js';
import type { GroupCommit } from './groupCommit.js';
import { defaultMaxFeeMsat, type Leg, type LegFailure, type LegInvoice } from './leg.js';
import type { LegOwnership } from './legOwnership.js';
import { knownLeg, readLeg } from './legStore.js';
import {
  failUnsent,
  finishLeg,
  giveUpLeg,
  keepsPreimages,
  readWitness,
  reopenLeg,
  resendLeg,
  retryWaitMs,
  startLeg,
  type TransitionContext,
  takeOverLeg,
} from './legTransitions.js';
import { type RetryPolicy, retryDelayMs } from './retryPolicy.js';

export interface LegPayerOptions {
  readonly store: ToolkitStore;
  readonly commit: GroupCommit;
  readonly wallet: Wallet;
  readonly secret: Uint8Array;
  readonly now: () => number;
  readonly schedule: Schedule;
  readonly resolver: DestinationResolver;
  readonly ownership: LegOwnership;
  readonly lookups: RetryPolicy;
  readonly timeoutSeconds: number;
  readonly context: () => TransitionContext;
}

/** What is known of the wallet during a run. */
export interface AskedWallet {
  readonly id: string;
  /** The id tells it from all other wallets: what it does not know of a payment, no other one has made. */
  readonly isOneOfAKind: boolean;
  readonly capabilities: WalletCapabilities;
}

/** What one run remembers of one payment. */
export interface LegVisit {
  readonly key: string;
  /** Ends the calls of the wallet: then it is not known what became of the payment. */
  readonly signal: AbortSignal;
  /** How often its outcome was looked for. */
  lookups: number;
  /** Until when another process had said to be busy with it. */
  waitedForLeaseMs?: number;
}

/** An invoice that ends sooner is not paid any more: the payment needs time. */
const invoiceMarginMs = 30_000;

/** How long the wallet may take beyond the time that it was given. */
const answerGraceMs = 30_000;

const unproven =
  'this wallet has not shown yet that it pays with the preimage that it is given: one that does not would pay again';
const lostMemory =
  'the wallet does not even know what it has paid before: its list was lost or cleared, and cannot tell what became of this payment';

/**
 * Takes single payments as far as they go. It is asked again and again (`visit`), and has no memory but the store.
 *
 * 1. A payment is `sending` in the store, with its destination, its hash and its invoice, before the wallet is asked.
 * 2. Whoever finds it `sending` or `unknown` asks the wallet what became of it. It is sent again only where that is
 *    certain to be the same payment: over the same wallet, with the same preimage or invoice, where the wallet tells
 *    payments by them; else where the wallet certainly never sent it; else never.
 * 3. That a payment failed is believed, after a try that nobody knows the end of, only once nothing of it can be on its
 *    way to the wallet any more, and the wallet's list says so: what a second try met says nothing of the first.
 */
export class LegPayer {
  readonly #options: LegPayerOptions;

  constructor(options: LegPayerOptions) {
    this.#options = options;
  }

  /**
   * Takes a payment one step on.
   * @returns after how many milliseconds it wants to be visited again; `undefined` once there is nothing to do.
   */
  async visit(visit: LegVisit, asked: AskedWallet): Promise<number | undefined> {
    const leg = knownLeg(this.#options.store, visit.key);
    switch (leg.state) {
      case 'planned': {
        const waitMs = retryWaitMs(leg, this.#options.context());
        return waitMs > 0 ? waitMs : this.#start(leg, { visit, asked });
      }
      case 'sending':
      case 'unknown':
        return this.#reconcile(leg, { visit, asked });
      case 'held':
      case 'succeeded':
      case 'failed':
      case 'abandoned':
        return undefined;
    }
  }

  async #start(leg: Leg, at: { visit: LegVisit; asked: AskedWallet }): Promise<number | undefined> {
    const { ownership, secret } = this.#options;
    const { key } = leg;
    if (leg.uncertainUntilMs !== undefined && leg.walletId === at.asked.id) {
      const after = await this.#askAgain(leg, at);
      if (after !== 'not paid') return after;
    }
    const found = await this.#prepare(leg, at.visit);
    if (found === undefined) return undefined;
    if ('failure' in found) {
      const failed = await this.#change((tx, context) => failUnsent(tx, context, { key, ...found }));
      return this.#next(failed, at);
    }
    const { destination, invoice } = found;
    const paymentHash = invoice?.paymentHash ?? bytesToHex(sha256(derivePreimage(secret, key)));
    const owner = ownership.id;
    const sent = { key, owner, walletId: at.asked.id, destination, invoice, paymentHash };
    const started = await this.#change((tx, context) => startLeg(tx, context, sent));
    if (started === undefined) return this.#next(knownLeg(this.#options.store, key), at);
    at.visit.lookups = 0;
    return this.#send(started, at);
  }

  /** Somebody said that it was not paid, and wants it tried again: the wallet may know better. */
  async #askAgain(
    leg: Leg,
    at: { visit: LegVisit; asked: AskedWallet },
  ): Promise<'not paid' | number | undefined> {
    if (at.asked.capabilities.repeats === 'none') return 'not paid';
    const openMs = this.#openMs(leg);
    // What is longer was said by a clock that was set back since.
    if (openMs > 0 && openMs <= this.#options.context().graceMs) return openMs;
    const { key } = leg;
    const found = await this.#lookup(leg, at.visit);
    if (found === 'unreachable') {
      const failure = { code: 'unreachable', message: 'the wallet cannot be asked about the earlier try' };
      const failed = await this.#change((tx, context) =>
        failUnsent(tx, context, { key, failure, retryable: true }),
      );
      return this.#next(failed, at);
    }
    if (found?.status === 'succeeded') return this.#finish(leg, { ...at, outcome: found });
    if (found?.status !== 'pending') return 'not paid';
    const { message } = found;
    const owner = this.#options.ownership.id;
    const reopened = await this.#change((tx, context) => reopenLeg(tx, context, { key, owner, message }));
    return this.#next(reopened, at);
  }

  /** Where it is paid, and by which invoice: what is stored, as long as it holds. */
  async #prepare(
    leg: Leg,
    { signal }: LegVisit,
  ): Promise<
    | { destination: Destination; invoice: LegInvoice | undefined }
    | { failure: LegFailure; retryable: boolean }
    | undefined
  > {
    const { resolver, now } = this.#options;
    try {
      const destination = leg.destination ?? (await resolver.resolve(leg.recipient, { signal }));
      if (destination.type === 'keysend') return { destination, invoice: undefined };
      // The one that is stored was certainly not paid: the payment would not be planned else.
      if (leg.invoice !== undefined && leg.invoice.expiresAtMs > now() + invoiceMarginMs) {
        return { destination, invoice: leg.invoice };
      }
      const { amountMsat, comment } = leg;
      const { minMsat, maxMsat, commentLength } = destination;
      if (amountMsat < minMsat || amountMsat > maxMsat) {
        const message = `${leg.recipient.address} takes ${amountText(minMsat)} to ${amountText(maxMsat)} at once, not ${amountText(amountMsat)}`;
        return { failure: { code: 'request_invalid', message }, retryable: false };
      }
      const kept = comment === undefined ? '' : [...comment].slice(0, commentLength).join('');
      const request = { amountMsat, signal, ...(kept === '' ? {} : { comment: kept }) };
      return { destination, invoice: await resolver.invoice(destination, request) };
    } catch (error) {
      // That is no fault of the address.
      if (signal.aborted) return undefined;
      const code = error instanceof KeysendError ? error.code : 'other';
      const retryable = code === 'address_unreachable' || code === 'fetch_failed' || code === 'other';
      return { failure: { code, message: messageOf(error) }, retryable };
    }
  }

  /** Asks the wallet to pay what the store says is being sent. */
  async #send(leg: Leg, at: { visit: LegVisit; asked: AskedWallet }): Promise<number | undefined> {
    const { ownership } = this.#options;
    if (!ownership.isFresh()) {
      // The machine slept, perhaps: somebody else may have taken it over meanwhile.
      const still = await this.#change((tx) => knownLeg(tx, leg.key).owner === ownership.id);
      if (!still) return 0;
    }
    const outcome = await this.#ask(leg, at);
    if (outcome.status === 'failed' && leg.uncertainUntilMs !== undefined) {
      return this.#confirmFailure(leg, { ...at, outcome });
    }
    return this.#finish(leg, { ...at, outcome });
  }

  #ask(
    leg: Leg,
    { visit: { signal }, asked }: { visit: LegVisit; asked: AskedWallet },
  ): Promise<PaymentOutcome> {
    const { wallet, secret, timeoutSeconds, schedule } = this.#options;
    const { destination, invoice, key, amountMsat, maxFeeMsat } = leg;
    // A limit that nobody asked for is what its budget reckons with: a wallet that knows none pays all the same, and
    // the budget counts what it cost.
    const assumed = leg.budgets.length > 0 && maxFeeMsat === defaultMaxFeeMsat(amountMsat);
    const unlimited = maxFeeMsat === undefined || (assumed && !asked.capabilities.limitsFees);
    const limits = { timeoutSeconds, ...(unlimited ? {} : { maxFeeMsat }) };
    const pay = async (): Promise<PaymentOutcome> => {
      if (invoice !== undefined)
        return wallet.payInvoice({ invoice: invoice.invoice, ...limits }, { signal });
      if (destination?.type !== 'keysend') {
        throw new KeysendError('store_invalid', `payment ${key}: it is being sent, and nowhere to`);
      }
      const preimage = derivePreimage(secret, key);
      if (bytesToHex(sha256(preimage)) !== leg.paymentHash) {
        return unknown('it was sent with another secret, and only that one can repeat it');
      }
      const { nodeId, hints } = destination;
      const records = new Map([...leg.records, ...destination.records]);
      const request = { nodeId, amountMsat, records, key, preimage, ...limits };
      return wallet.keysend({ ...request, ...(hints === undefined ? {} : { hints }) }, { signal });
    };
    return new Promise((resolve) => {
      let late = false;
      const cancel = schedule(timeoutSeconds * 1000 + answerGraceMs, () => {
        late = true;
        resolve(unknown('the wallet has not answered'));
      });
      pay()
        // A wallet does not reject; one that does has said nothing.
        .catch((error) => unknown(messageOf(error)))
        .then((outcome) => {
          cancel();
          resolve(outcome);
          // After the time was up, what it says is still true; what is not stored, the wallet's list tells, too.
          if (late && outcome.status === 'succeeded') void this.#store(key, outcome).catch(() => {});
        });
    });
  }

  async #reconcile(leg: Leg, at: { visit: LegVisit; asked: AskedWallet }): Promise<number | undefined> {
    const { ownership } = this.#options;
    const { visit, asked } = at;
    const { key } = leg;
    let ours = leg;
    if (leg.owner !== ownership.id || visit.lookups === 0) {
      const leaseMs = ownership.busyForMs(leg, visit.waitedForLeaseMs);
      if (leaseMs > 0) {
        // Whoever is alive renews in time: then it is theirs.
        if (visit.waitedForLeaseMs !== undefined) return undefined;
        visit.waitedForLeaseMs = ownership.busyUntilMs(leg);
        return leaseMs;
      }
      const mayLive = ownership.mayLive(leg);
      const taken = await this.#change((tx, context) =>
        takeOverLeg(tx, context, { key, seen: leg, owner: ownership.id, mayLive }),
      );
      if (taken === undefined) return 0;
      ours = taken;
    }
    visit.lookups++;
    if (ours.walletId !== asked.id) {
      return this.#giveUp(
        key,
        `it was sent over another wallet (${ours.walletId}): only that one knows what became of it`,
      );
    }
    const found = await this.#lookup(ours, at.visit);
    if (found === 'unreachable')
      return this.#waitFor(ours, at, 'the wallet cannot be asked what became of it');
    if (found?.status === 'succeeded' || found?.status === 'pending') {
      return this.#finish(ours, { ...at, outcome: found });
    }
    return this.#repeat(ours, { ...at, found });
  }

  /** The wallet does not say that a payment was made, nor that it is: sends it again where that is safe. */
  async #repeat(
    leg: Leg,
    at: { visit: LegVisit; asked: AskedWallet; found: PaymentOutcome | undefined },
  ): Promise<number | undefined> {
    const { ownership } = this.#options;
    const { found, asked } = at;
    const { key } = leg;
    // What is on its way may still arrive: until then, no list is complete.
    const openMs = this.#openMs(leg);
    if (!asked.isOneOfAKind) {
      const message =
        'this wallet does not tell which one it is, and only the one that it was sent over knows what became of it';
      return this.#giveUp(key, message);
    }
    if (found?.status === 'failed') {
      return openMs > 0 ? openMs : this.#finish(leg, { ...at, outcome: found });
    }
    switch (asked.capabilities.repeats) {
      case 'preimage':
        if (asked.capabilities.repeatsUnproven === true && leg.invoice === undefined) {
          if (keepsPreimages(this.#options.store, asked.id) !== true) return this.#giveUp(key, unproven);
        }
        break;
      case 'lookup':
        if (found !== undefined) {
          return this.#waitFor(leg, at, 'the wallet does not know what became of it');
        }
        if (openMs > 0) return openMs;
        break;
      case 'none':
        return this.#giveUp(key, 'this wallet cannot tell what became of it: look yourself, and say so');
    }
    if (found === undefined) {
      const memory = await this.#memoryOf(leg, at);
      if (memory === 'unreachable') return this.#waitFor(leg, at, 'the wallet cannot be asked again');
      if (memory === 'lost') return this.#giveUp(key, lostMemory);
    }
    const certain = found === undefined && openMs <= 0;
    const again = await this.#change((tx, context) =>
      resendLeg(tx, context, { key, owner: ownership.id, certain }),
    );
    if (again === undefined) return 0;
    return this.#send(again, at);
  }

  /** A second try failed: whether the first one did, too, only the wallet's list can say, and not too early. */
  async #confirmFailure(
    leg: Leg,
    at: { visit: LegVisit; asked: AskedWallet; outcome: PaymentOutcome },
  ): Promise<number | undefined> {
    const openMs = this.#openMs(leg);
    if (openMs > 0) return openMs;
    const found = await this.#lookup(leg, at.visit);
    const memory = found === undefined ? await this.#memoryOf(leg, at) : undefined;
    if (memory === 'lost') return this.#giveUp(leg.key, lostMemory);
    if (memory === 'kept' || (found !== undefined && found !== 'unreachable' && found.status === 'failed')) {
      return this.#finish(leg, at);
    }
    if (found !== undefined && found !== 'unreachable' && found.status === 'succeeded') {
      return this.#finish(leg, { ...at, outcome: found });
    }
    const message = at.outcome.status === 'failed' ? at.outcome.message : '';
    return this.#finish(leg, {
      ...at,
      outcome: unknown(`a second try failed (${message}), and the first one may have been paid`),
    });
  }

  /**
   * Whether the wallet still knows what it had paid before this payment. One that was restored, or whose list was
   * cleared, as a whole or of what is old, knows of nothing, and that proves nothing; so does one that chose another
   * preimage than it was given. What it has paid since proves nothing either, but where there is nothing else.
   */
  async #memoryOf(
    { witness: before }: Leg,
    at: { visit: LegVisit; asked: AskedWallet },
  ): Promise<'kept' | 'lost' | 'unreachable'> {
    const { store } = this.#options;
    const witness = before ?? readWitness(store, at.asked.id);
    const paid = witness && readLeg(store, witness.key);
    if (witness === undefined || paid === undefined) return 'kept';
    const found = await this.#lookup({ ...paid, paymentHash: witness.paymentHash }, at.visit);
    if (found === 'unreachable') return found;
    return found === undefined ? 'lost' : 'kept';
  }

  #openMs({ uncertainUntilMs = 0 }: Leg): number {
    return uncertainUntilMs - this.#options.now();
  }

  async #lookup(leg: Leg, { signal }: LegVisit): Promise<PaymentOutcome | undefined | 'unreachable'> {
    const { key, amountMsat, destination, paymentHash = '', startedAtMs = 0 } = leg;
    const nodeId = destination?.type === 'keysend' ? { nodeId: destination.nodeId } : {};
    try {
      const query = { key, amountMsat, paymentHash, sinceMs: startedAtMs, ...nodeId };
      return await this.#options.wallet.lookup(query, { signal });
    } catch {
      return 'unreachable';
    }
  }

  async #finish(
    leg: Leg,
    { outcome, ...at }: { visit: LegVisit; asked: AskedWallet; outcome: PaymentOutcome },
  ): Promise<number | undefined> {
    const after = await this.#store(leg.key, outcome);
    return this.#next(after, at);
  }

  #store(key: string, outcome: PaymentOutcome): Promise<Leg> {
    const owner = this.#options.ownership.id;
    return this.#change((tx, context) => finishLeg(tx, context, { key, owner, outcome }));
  }

  /** When to come back to a payment in the state that it is in now. */
  #next(leg: Leg, at: { visit: LegVisit }): number | undefined | Promise<number | undefined> {
    switch (leg.state) {
      case 'planned':
        return retryWaitMs(leg, this.#options.context());
      case 'sending':
      case 'unknown':
        if (leg.owner !== this.#options.ownership.id) return 0;
        return this.#waitFor(leg, at, leg.failure?.message ?? 'nobody knows what became of it');
      case 'held':
      case 'succeeded':
      case 'failed':
      case 'abandoned':
        return undefined;
    }
  }

  /** Looks again later, or leaves it as unknown. */
  #waitFor(leg: Leg, { visit }: { visit: LegVisit }, message: string): number | Promise<undefined> {
    visit.lookups = Math.max(visit.lookups, 1);
    const delayMs = retryDelayMs(this.#options.lookups, visit.lookups);
    return delayMs ?? this.#giveUp(leg.key, message);
  }

  async #giveUp(key: string, message: string): Promise<undefined> {
    const owner = this.#options.ownership.id;
    await this.#change((tx, context) => giveUpLeg(tx, context, { key, owner, message }));
  }

  #change<T>(body: (tx: StoreTransaction, context: TransitionContext) => T): Promise<T> {
    const { commit, context, ownership } = this.#options;
    const changed = commit.run((tx) => ({ untilMs: ownership.renew(tx), result: body(tx, context()) }));
    return changed.then(({ untilMs, result }) => {
      ownership.confirm(untilMs);
      return result;
    });
  }
}

function unknown(message: string): PaymentOutcome {
  return { status: 'unknown', message };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
