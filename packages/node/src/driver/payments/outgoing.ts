import { bytesToHex, equalBytes } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import type { HintHop, Route } from '@rivulet/core/graph';
import { checkPayable, type Invoice } from '@rivulet/core/invoice';
import {
  keysendFinalCltvDelta,
  type PaymentRequest,
  probedRoute,
  type Sending,
  SendingError,
  sendingFeeMsat,
} from '@rivulet/core/payment';
import { encodeTlvStream, hasFeature } from '@rivulet/core/wire';
import { type NodeStorage, type OutgoingPayment, StorageError } from '@rivulet/storage';
import type { Turn, Turns } from '../turns.js';
import type { HtlcRef } from './htlcAdder.js';
import { PaymentError } from './paymentError.js';
import type { HtlcOutcome, Sender } from './sender.js';
import type { LiveSending } from './sendingRow.js';

/** What one payment may cost and how it may go; what is absent is the node's default. */
export interface SendLimits {
  readonly maxFeeMsat?: bigint;
  readonly maxCltvDelta?: number;
  readonly maxParts?: number;
  /** Only these of our channels may begin it (`FirstHop.shortChannelId`). */
  readonly firstHops?: ReadonlySet<bigint>;
}

export interface KeysendOptions extends SendLimits {
  readonly destination: Uint8Array;
  readonly amountMsat: bigint;
  readonly customRecords: ReadonlyMap<bigint, Uint8Array>;
  readonly hints?: readonly (readonly HintHop[])[];
  readonly label?: string;
  /** The same key never pays twice: the first payment's outcome is given again. */
  readonly idempotencyKey?: string;
  /** 32 bytes that nobody else knows. The same again is the same payment, which is tried again where it failed. */
  readonly preimage?: Uint8Array;
}

export interface PayInvoiceOptions extends SendLimits {
  readonly invoice: Invoice;
  /** Where the invoice leaves it open, or to give more. */
  readonly amountMsat?: bigint;
  readonly label?: string;
}

export interface ProbeOptions extends SendLimits {
  readonly destination: Uint8Array;
  readonly amountMsat: bigint;
}

export interface CircleOptions {
  readonly amountMsat: bigint;
  readonly maxFeeMsat: bigint;
  readonly firstHops: ReadonlySet<bigint>;
  /** The last hops, each ending at ourselves. */
  readonly hints: readonly (readonly HintHop[])[];
}

/** How payments to ourselves are marked in the list. */
const rebalanceLabel = 'rebalance';

/** What a payment is given where its caller says nothing. */
export interface SendDefaults {
  /** Of amounts above 1,000 sat; all of those up to it. */
  readonly maxFeePercent: number;
  readonly maxCltvDelta: number;
  readonly timeoutMs: number;
}

export interface OutgoingOptions {
  readonly turns: Turns;
  readonly storage: NodeStorage;
  readonly sender: Sender;
  readonly nodeId: Uint8Array;
  readonly currency: Invoice['currency'];
  readonly defaults: SendDefaults;
  /** Whether a node announces compulsory features that we do not know. */
  readonly needsUnknown: (nodeId: Uint8Array) => boolean;
  readonly isAccepting: () => boolean;
  readonly now: () => number;
  readonly randomBytes: (count: number) => Uint8Array;
  /** A payment that became final; after it is durable. */
  readonly onPayment: (payment: OutgoingPayment) => void;
}

/** A payment that was begun. Two calls with one idempotency key may have the outcome of one payment. */
export interface SentPayment {
  readonly paymentHash: Uint8Array;
  readonly outcome: Promise<OutgoingPayment>;
}

/** What the parts of an invoice's payment are by default, at most. */
const defaultInvoiceParts = 16;
/** HTLCs that one payment may make in all. */
const maxAttempts = 64;
/** BOLT 11 leaves 18 where an invoice says nothing; blocks may come while the payment is on its way. */
const finalDeltaMargin = 3;

/** A payment that succeeded: its row is under this hash. */
interface Ended {
  readonly paymentHash: Uint8Array;
  /** Absent where it was another call's payment. */
  readonly sending?: Sending;
}

interface Meta {
  readonly idempotencyKey?: string;
  readonly label?: string;
}

interface Waiter {
  resolve(ended: Ended): void;
  reject(error: Error): void;
}

/** What we pay, for our own account: keysend, invoices, probes. */
export class Outgoing {
  readonly #options: OutgoingOptions;
  readonly #waiters = new Map<string, Waiter[]>();

  constructor(options: OutgoingOptions) {
    this.#options = options;
  }

  /**
   * Pushes a payment to a node. `outcome` resolves when the receiver has settled, and rejects with a
   * PaymentError where the payment could not be sent or came back; no money moved then.
   * @throws PaymentError for a request that cannot be.
   */
  keysend(options: KeysendOptions): SentPayment {
    const { idempotencyKey } = options;
    const earlier =
      idempotencyKey === undefined
        ? undefined
        : this.#options.storage.getOutgoingPaymentByKey(idempotencyKey);
    if (earlier !== undefined) return this.#again(earlier, options);
    const { preimage } = options;
    const same =
      preimage === undefined ? undefined : this.#options.storage.getOutgoingPayment(sha256(preimage));
    if (same !== undefined && same.status !== 'failed') return this.#again(same, options);
    // BOLT 9: without an invoice, what its announcement says is all that is known of the destination
    if (this.#options.needsUnknown(options.destination)) {
      throw new PaymentError(
        'request_invalid',
        'this node announces that it needs a feature that Rivulet does not know: ask it for an invoice',
      );
    }
    return this.#send(this.#keysendRequest(options), options);
  }

  #keysendRequest(options: KeysendOptions): PaymentRequest {
    const { maxParts = 1, preimage = this.#options.randomBytes(32) } = options;
    return {
      ...this.#limits(options),
      paymentHash: sha256(preimage),
      destination: options.destination,
      amountMsat: options.amountMsat,
      kind: { type: 'keysend', preimage },
      ...(maxParts > 1 ? { paymentSecret: this.#options.randomBytes(32) } : {}),
      customRecords: options.customRecords,
      finalCltvDelta: keysendFinalCltvDelta,
      hints: options.hints ?? [],
      maxParts,
    };
  }

  /**
   * Pays an invoice, once: while it is being paid, or when it was, nothing is sent again.
   * @throws PaymentError, InvoiceError for an invoice that cannot be paid.
   */
  payInvoice(options: PayInvoiceOptions): SentPayment {
    const { invoice } = options;
    const nowSeconds = Math.floor(this.#options.now() / 1000);
    const { paymentHash } = invoice;
    const earlier = this.#options.storage.getOutgoingPayment(paymentHash);
    if (earlier !== undefined && earlier.status !== 'failed') {
      return { paymentHash, outcome: this.#outcomeOf(earlier) };
    }
    checkPayable(invoice, { currency: this.#options.currency, nowSeconds });
    const takesParts = hasFeature(invoice.features, 'basicMpp');
    const request: PaymentRequest = {
      ...this.#limits({ ...options, amountMsat: amountOf(options) }),
      paymentHash,
      destination: invoice.nodeId,
      amountMsat: amountOf(options),
      kind: {
        type: 'invoice',
        paymentSecret: invoice.paymentSecret,
        ...(invoice.metadata === undefined ? {} : { paymentMetadata: invoice.metadata }),
      },
      customRecords: new Map(),
      finalCltvDelta: invoice.minFinalCltvDelta + finalDeltaMargin,
      hints: invoice.hints,
      maxParts: takesParts ? (options.maxParts ?? defaultInvoiceParts) : 1,
    };
    return this.#send(request, options);
  }

  /**
   * The routes that a keysend would take now. Nothing is sent.
   * @throws PaymentError that the payment itself would end with.
   */
  route(options: ProbeOptions): readonly Route[] {
    const { sender, turns } = this.#options;
    const { sending, attempts } = asked(() =>
      sender.preview(turns.channels, this.#keysendRequest({ ...options, customRecords: new Map() })),
    );
    if (sending.status === 'failed') throw failureOf(sending);
    return attempts.map(({ route }) => route);
  }

  /**
   * Finds out whether a payment would arrive, with HTLCs that nobody can settle. Nothing of it is kept.
   * @throws PaymentError for why it would not.
   */
  async probe(options: ProbeOptions): Promise<Route | undefined> {
    const { sending } = await this.#begin(this.#probeRequest(options), {});
    return sending === undefined ? undefined : probedRoute(sending);
  }

  #probeRequest(options: ProbeOptions): PaymentRequest {
    return {
      ...this.#limits(options),
      // A hash that was made as a random number has no preimage that anybody knows.
      paymentHash: this.#options.randomBytes(32),
      destination: options.destination,
      amountMsat: options.amountMsat,
      kind: { type: 'probe' },
      customRecords: new Map(),
      finalCltvDelta: keysendFinalCltvDelta,
      hints: [],
      maxParts: 1,
    };
  }

  /**
   * Pays ourselves: what leaves by one of our channels comes back by another.
   * @throws PaymentError for a circle that cannot be.
   */
  payOurselves({ amountMsat, maxFeeMsat, firstHops, hints }: CircleOptions): SentPayment {
    const preimage = this.#options.randomBytes(32);
    const request: PaymentRequest = {
      ...this.#limits({ amountMsat, maxFeeMsat, firstHops }),
      paymentHash: sha256(preimage),
      destination: this.#options.nodeId,
      amountMsat,
      kind: { type: 'keysend', preimage },
      customRecords: new Map(),
      finalCltvDelta: keysendFinalCltvDelta,
      hints,
      maxParts: 1,
    };
    return this.#send(request, { label: rebalanceLabel });
  }

  #limits({ amountMsat, maxFeeMsat, maxCltvDelta, firstHops }: SendLimits & { amountMsat: bigint }) {
    const { defaults, now } = this.#options;
    const smallMsat = 1_000_000n;
    const usualMsat =
      amountMsat <= smallMsat ? amountMsat : (amountMsat * BigInt(defaults.maxFeePercent)) / 100n;
    return {
      maxFeeMsat: maxFeeMsat ?? usualMsat,
      maxCltvDelta: maxCltvDelta ?? defaults.maxCltvDelta,
      maxAttempts,
      deadlineMs: now() + defaults.timeoutMs,
      ...(firstHops === undefined ? {} : { firstHops }),
    };
  }

  #send(request: PaymentRequest, { idempotencyKey, label }: Meta): SentPayment {
    const sent = this.#begin(request, {
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      ...(label === undefined ? {} : { label }),
    });
    return {
      paymentHash: request.paymentHash,
      outcome: sent.then(({ paymentHash }) => this.#stored(paymentHash)),
    };
  }

  #stored(paymentHash: Uint8Array): OutgoingPayment {
    const payment = this.#options.storage.getOutgoingPayment(paymentHash);
    if (payment === undefined) throw new Error('a payment that was made is not in the storage');
    return payment;
  }

  #begin(request: PaymentRequest, meta: Meta): Promise<Ended> {
    if (!secp256k1.isPublicKey(request.destination)) {
      throw new PaymentError(
        'request_invalid',
        'the destination is not a public key: 66 hex digits from 02 or 03 on',
      );
    }
    return new Promise((resolve, reject) => {
      this.#options.turns.enqueue({
        run: (turn) => this.#run(turn, { request, meta, waiter: { resolve, reject } }),
        failed: (cause) => reject(notStored(cause)),
      });
    });
  }

  #run(turn: Turn, { request, meta, waiter }: { request: PaymentRequest; meta: Meta; waiter: Waiter }): void {
    const { paymentHash } = request;
    // Two calls with one key, one preimage or for one invoice, may be in the same turn.
    const named =
      meta.idempotencyKey === undefined ? undefined : turn.tx.getOutgoingPaymentByKey(meta.idempotencyKey);
    const earlier = named ?? turn.tx.getOutgoingPayment(paymentHash);
    if (earlier !== undefined && (earlier === named || earlier.status !== 'failed')) {
      const conflict = conflictOf(earlier, request);
      turn.afterCommit(() => {
        if (conflict !== undefined) waiter.reject(conflict);
        else this.#outcomeOf(earlier).then(waiter.resolve, waiter.reject);
      });
      return;
    }
    if (!this.#options.isAccepting()) {
      const error = new PaymentError(
        'not_accepting',
        'this node begins nothing new now: its disk is (nearly) full, or it has not seen the chain for hours (see `rivulet health`); nothing was sent',
      );
      turn.afterCommit(() => waiter.reject(error));
      return;
    }
    // Before what the payment may say at once, and only for this call: another one may have other limits.
    turn.afterCommit(() => this.#addWaiter(paymentHash, waiter));
    try {
      this.#meta = meta;
      this.#options.sender.begin(turn, request);
    } catch (cause) {
      if (!(cause instanceof SendingError)) throw cause;
      const error = new PaymentError('request_invalid', cause.message, { cause });
      turn.afterCommit(() => this.#reject(paymentHash, error));
    } finally {
      this.#meta = undefined;
    }
  }

  /** Of the payment that is being begun. */
  #meta: Meta | undefined;

  /** What the sender tells of a payment, inside the turn. */
  onChange(turn: Turn, { before, after }: { before: Sending | undefined; after: LiveSending }): void {
    const { sending } = after;
    const { paymentHash, kind } = sending.request;
    const isProbe = kind.type === 'probe';
    if (before === undefined) {
      const never = sending.attempts.every(({ failure }) => failure?.cause === 'refused_by_channel');
      if (sending.status === 'failed' && never) {
        // Nothing was sent: there is nothing to remember, and an idempotency key may be used again.
        turn.afterCommit(() => this.#finish(paymentHash, sending));
        return;
      }
      if (!isProbe) turn.tx.putOutgoingPayment(this.#rowOf(after));
    } else if (before.status === sending.status) {
      // A part that comes back when the payment is paid already takes its fee back.
      const feeMsat = sendingFeeMsat(sending);
      const isLess = sending.status === 'succeeded' && feeMsat !== sendingFeeMsat(before);
      if (isLess && !isProbe) turn.tx.updateOutgoingPayment(paymentHash, { feeMsat });
      return;
    }
    if (sending.status === 'pending') return;
    if (!isProbe && before !== undefined) turn.tx.updateOutgoingPayment(paymentHash, this.#endOf(sending));
    turn.afterCommit(() => {
      this.#finish(paymentHash, sending);
      if (!isProbe) this.#options.onPayment(this.#stored(paymentHash));
    });
  }

  /**
   * An HTLC of ours came to its end of which no payment under way knows: a keysend to a peer that was sent when the
   * database was of version 1, which kept the HTLC with the payment's row and nothing else.
   */
  settledBefore(
    turn: Turn,
    { ref, paymentHash, outcome }: { ref: HtlcRef; paymentHash: Uint8Array; outcome: HtlcOutcome },
  ): void {
    const payment = turn.tx.getOutgoingPayment(paymentHash);
    if (payment?.status !== 'pending' || payment.channelId === undefined) return;
    if (payment.htlcId !== ref.htlcId || !equalBytes(payment.channelId, ref.channelId)) return;
    const settledAtMs = this.#options.now();
    if (outcome.type === 'fulfilled') {
      const { preimage } = outcome;
      turn.tx.updateOutgoingPayment(paymentHash, { status: 'succeeded', preimage, settledAtMs });
      turn.afterCommit(() => {
        for (const waiter of this.#takeWaiters(paymentHash)) waiter.resolve({ paymentHash });
        this.#options.onPayment(this.#stored(paymentHash));
      });
      return;
    }
    const failureCode = outcome.type === 'failed' ? 'refused_by_destination' : outcome.type;
    const failureText = endedBefore[failureCode];
    turn.tx.updateOutgoingPayment(paymentHash, { status: 'failed', failureCode, failureText, settledAtMs });
    turn.afterCommit(() => {
      this.#reject(paymentHash, new PaymentError(failureCode, failureText));
      this.#options.onPayment(this.#stored(paymentHash));
    });
  }

  #endOf(sending: Sending) {
    const { preimage, failure, status } = sending;
    return {
      status,
      feeMsat: sendingFeeMsat(sending),
      settledAtMs: this.#options.now(),
      ...(preimage === undefined ? {} : { preimage }),
      ...(failure === undefined ? {} : { failureCode: failure.code, failureText: failure.text }),
    };
  }

  #rowOf({ sending, htlcs }: LiveSending): OutgoingPayment {
    const { request, startedAtMs, status } = sending;
    const [ref] = htlcs.values();
    return {
      direction: 'outgoing',
      paymentHash: request.paymentHash,
      destination: request.destination,
      amountMsat: request.amountMsat,
      records: encodeTlvStream([...request.customRecords].map(([type, value]) => ({ type, value }))),
      createdAtMs: startedAtMs,
      ...(ref === undefined ? {} : ref),
      ...this.#meta,
      ...(status === 'pending' ? { status, feeMsat: sendingFeeMsat(sending) } : this.#endOf(sending)),
    };
  }

  #wait(paymentHash: Uint8Array): Promise<Ended> {
    return new Promise((resolve, reject) => this.#addWaiter(paymentHash, { resolve, reject }));
  }

  #addWaiter(paymentHash: Uint8Array, waiter: Waiter): void {
    const key = bytesToHex(paymentHash);
    this.#waiters.set(key, [...(this.#waiters.get(key) ?? []), waiter]);
  }

  #finish(paymentHash: Uint8Array, sending: Sending): void {
    if (sending.status === 'failed') this.#reject(paymentHash, failureOf(sending));
    else for (const waiter of this.#takeWaiters(paymentHash)) waiter.resolve({ paymentHash, sending });
  }

  #reject(paymentHash: Uint8Array, error: Error): void {
    for (const waiter of this.#takeWaiters(paymentHash)) waiter.reject(error);
  }

  #takeWaiters(paymentHash: Uint8Array): readonly Waiter[] {
    const key = bytesToHex(paymentHash);
    const waiters = this.#waiters.get(key) ?? [];
    this.#waiters.delete(key);
    return waiters;
  }

  #again(earlier: OutgoingPayment, options: KeysendOptions): SentPayment {
    const conflict = conflictOf(earlier, options);
    if (conflict !== undefined) throw conflict;
    return { paymentHash: earlier.paymentHash, outcome: this.#outcomeOf(earlier) };
  }

  /** The outcome of a payment that was made before; never a second payment. */
  async #outcomeOf(earlier: OutgoingPayment): Promise<OutgoingPayment> {
    switch (earlier.status) {
      case 'succeeded':
        return earlier;
      case 'failed':
        throw new PaymentError('failed_before', earlier.failureText ?? 'the payment failed');
      case 'pending':
        await this.#wait(earlier.paymentHash);
        return this.#stored(earlier.paymentHash);
    }
  }
}

/** Of payments that an earlier version sent: how their failures are read is not known any more. */
const endedBefore = {
  refused_by_destination:
    'the payment came back from the node that it went to; it was sent by an earlier version',
  timed_out_on_chain: 'the channel was closed on chain and the payment came back after its expiry',
} as const;

function failureOf({ failure }: Sending): PaymentError {
  if (failure === undefined) return new PaymentError('internal', 'the payment failed and nothing says why');
  return new PaymentError(failure.code, failure.text, { failure });
}

/** @throws PaymentError for a request that cannot be. */
function asked<T>(run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (!(cause instanceof SendingError)) throw cause;
    throw new PaymentError('request_invalid', cause.message, { cause });
  }
}

/** Failures after which a commit may be durable all the same. */
const mayBeStored: ReadonlySet<StorageError['code']> = new Set(['io', 'corrupt', 'copy_lost', 'failed']);

function notStored(cause: unknown): PaymentError {
  const text = cause instanceof Error ? cause.message : String(cause);
  if (cause instanceof StorageError && mayBeStored.has(cause.code)) {
    const message = `the database failed while this payment was stored: after a restart it may go on. Look for it in the list of payments, or ask again with the same idempotency key: ${text}`;
    return new PaymentError('outcome_unknown', message, { cause });
  }
  return new PaymentError('not_stored', `nothing was sent: ${text}`, { cause });
}

/** @throws PaymentError */
function amountOf({ invoice, amountMsat }: PayInvoiceOptions): bigint {
  const asked = invoice.amountMsat;
  if (asked === undefined) {
    if (amountMsat !== undefined) return amountMsat;
    throw new PaymentError('request_invalid', 'this invoice leaves the amount open: say how much to pay');
  }
  if (amountMsat === undefined) return asked;
  // BOLT 4: the final node may take up to twice the amount
  if (amountMsat < asked || amountMsat > 2n * asked) {
    throw new PaymentError(
      'request_invalid',
      `this invoice asks for ${asked} msat: the amount may be that, or up to twice as much`,
    );
  }
  return amountMsat;
}

/** Where an idempotency key is used for another payment. */
function conflictOf(
  earlier: OutgoingPayment,
  { amountMsat, destination }: { readonly amountMsat: bigint; readonly destination: Uint8Array },
): PaymentError | undefined {
  if (earlier.amountMsat === amountMsat && equalBytes(earlier.destination, destination)) return undefined;
  return new PaymentError(
    'idempotency_conflict',
    'this idempotency key was used (or this preimage) for a payment of another amount or to another node; use a new one',
  );
}
