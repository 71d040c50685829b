import { bytesToHex, equalBytes } from '@rivulet/core/bytes';
import type { Channel, ChannelEvent, ChannelRefusal, Htlc } from '@rivulet/core/channel';
import { hmacSha256, secp256k1, sha256 } from '@rivulet/core/crypto';
import {
  createKeysend,
  decideIncoming,
  type Keysend,
  KeysendError,
  type ReceivePolicy,
} from '@rivulet/core/payment';
import { encodeTlvStream } from '@rivulet/core/wire';
import type { IncomingPayment, NodeStorage, OutgoingPayment } from '@rivulet/storage';
import { channelLogger, type Logger } from '../logging/logger.js';
import { readPaymentFailure } from './failureText.js';
import { PaymentError } from './paymentError.js';
import { channelKey, type Turn, type Turns } from './turns.js';

export interface KeysendOptions {
  readonly destination: Uint8Array;
  readonly amountMsat: bigint;
  readonly customRecords: ReadonlyMap<bigint, Uint8Array>;
  readonly label?: string;
  /** The same key never pays twice: the first payment's outcome is given again. */
  readonly idempotencyKey?: string;
}

export interface PaymentsOptions {
  readonly turns: Turns;
  readonly storage: NodeStorage;
  readonly nodePrivateKey: Uint8Array;
  /** Onion session keys derive from it and from the payment hash, so that a restart can read failures. */
  readonly sessionSecret: Uint8Array;
  readonly policy: ReceivePolicy;
  readonly blockHeight: () => number;
  readonly now: () => number;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly logger: Logger;
  /** A payment that became final; after it is durable. */
  readonly onPayment: (payment: OutgoingPayment | IncomingPayment) => void;
}

/** A payment that was begun. Two calls with one idempotency key may have the outcome of one payment. */
export interface SentPayment {
  readonly paymentHash: Uint8Array;
  readonly outcome: Promise<OutgoingPayment>;
}

interface Waiter {
  resolve(payment: OutgoingPayment): void;
  reject(error: Error): void;
}

type AddOutcome = { readonly htlc: Htlc } | { readonly refused: ChannelRefusal };

/** Sends keysends over our own channels and takes those that come in. */
export class Payments {
  readonly #options: PaymentsOptions;
  readonly #waiters = new Map<string, Waiter[]>();
  /** What the channel answered to the `addHtlc` that is being executed. */
  #outcome: AddOutcome | undefined;

  constructor(options: PaymentsOptions) {
    this.#options = options;
  }

  /**
   * Pushes a payment to a node that we have a channel with. `outcome` resolves when the receiver has settled,
   * and rejects with a PaymentError where the payment could not be sent or came back; no money moved then.
   * @throws PaymentError for a request that cannot be.
   */
  keysend(options: KeysendOptions): SentPayment {
    const { idempotencyKey } = options;
    if (idempotencyKey !== undefined) {
      const earlier = this.#options.storage.getOutgoingPaymentByKey(idempotencyKey);
      if (earlier !== undefined) {
        checkSame(earlier, options);
        return { paymentHash: earlier.paymentHash, outcome: this.#outcomeOf(earlier, options) };
      }
    }
    const preimage = this.#options.randomBytes(32);
    const paymentHash = sha256(preimage);
    const keysend = this.#create(options, { preimage, paymentHash });
    const outcome = this.#wait(paymentHash);
    this.#options.turns.enqueue({
      run: (turn) => this.#send(turn, { options, keysend, paymentHash }),
      failed: (error) => {
        const text = error instanceof Error ? error.message : String(error);
        this.#finish(
          paymentHash,
          new PaymentError('not_stored', `nothing was sent: ${text}`, { cause: error }),
        );
      },
    });
    return { paymentHash, outcome };
  }

  #create(
    { destination, amountMsat, customRecords }: KeysendOptions,
    { preimage, paymentHash }: { preimage: Uint8Array; paymentHash: Uint8Array },
  ): Keysend {
    if (!secp256k1.isPublicKey(destination)) {
      throw new PaymentError(
        'request_invalid',
        'the destination is not a public key: 66 hex digits from 02 or 03 on',
      );
    }
    try {
      return createKeysend({
        destination,
        amountMsat,
        preimage,
        sessionKey: this.#sessionKey(paymentHash),
        blockHeight: this.#options.blockHeight(),
        customRecords,
      });
    } catch (cause) {
      if (cause instanceof KeysendError) throw new PaymentError('request_invalid', cause.message, { cause });
      throw cause;
    }
  }

  #sessionKey(paymentHash: Uint8Array): Uint8Array {
    return hmacSha256(this.#options.sessionSecret, paymentHash);
  }

  #wait(paymentHash: Uint8Array): Promise<OutgoingPayment> {
    return new Promise((resolve, reject) => {
      const key = bytesToHex(paymentHash);
      this.#waiters.set(key, [...(this.#waiters.get(key) ?? []), { resolve, reject }]);
    });
  }

  #finish(paymentHash: Uint8Array, outcome: OutgoingPayment | PaymentError): void {
    const key = bytesToHex(paymentHash);
    const waiters = this.#waiters.get(key) ?? [];
    this.#waiters.delete(key);
    for (const waiter of waiters) {
      if (outcome instanceof PaymentError) waiter.reject(outcome);
      else waiter.resolve(outcome);
    }
  }

  /** The outcome of the payment that was made with this key before; never a second payment. */
  async #outcomeOf(earlier: OutgoingPayment, options: KeysendOptions): Promise<OutgoingPayment> {
    checkSame(earlier, options);
    switch (earlier.status) {
      case 'succeeded':
        return earlier;
      case 'failed':
        throw failureOf(earlier);
      case 'pending':
        return this.#wait(earlier.paymentHash);
    }
  }

  #send(
    turn: Turn,
    { options, keysend, paymentHash }: { options: KeysendOptions; keysend: Keysend; paymentHash: Uint8Array },
  ): void {
    const { idempotencyKey } = options;
    // Two calls with one key may be in the same turn.
    const earlier =
      idempotencyKey === undefined ? undefined : turn.tx.getOutgoingPaymentByKey(idempotencyKey);
    if (earlier !== undefined) {
      turn.afterCommit(() => {
        const forward = (outcome: OutgoingPayment | PaymentError) => this.#finish(paymentHash, outcome);
        this.#outcomeOf(earlier, options).then(forward, forward);
      });
      return;
    }
    let refused: PaymentError | undefined;
    for (const channel of this.#candidates(turn, options.destination)) {
      this.#outcome = undefined;
      const requestId = bytesToHex(paymentHash);
      turn.command(channelKey(channel.params.channelId), { type: 'addHtlc', requestId, htlc: keysend.htlc });
      // The channel's answer came by an event.
      const outcome = this.#outcome as AddOutcome | undefined;
      if (outcome === undefined) continue;
      if ('htlc' in outcome) {
        this.#store(turn, { options, paymentHash, channel, htlc: outcome.htlc });
        return;
      }
      refused ??= new PaymentError('refused_by_channel', outcome.refused.message, { cause: outcome.refused });
    }
    const error = refused ?? noChannel(turn, options.destination);
    turn.afterCommit(() => this.#finish(paymentHash, error));
  }

  /** Channels with the destination that can be used, the one with the most balance first. */
  #candidates(turn: Turn, destination: Uint8Array): Channel[] {
    const node = bytesToHex(destination);
    const usable: Channel[] = [];
    for (const channel of turn.channels.values()) {
      if (channel.phase.name !== 'open' || channel.link !== 'online') continue;
      if (bytesToHex(channel.params.remoteNodeId) === node) usable.push(channel);
    }
    const spendable = (channel: Channel) => channel.localMsat - channel.offeredMsat;
    return usable.sort((a, b) => (spendable(a) < spendable(b) ? 1 : -1));
  }

  #store(
    turn: Turn,
    {
      options,
      paymentHash,
      channel,
      htlc,
    }: { options: KeysendOptions; paymentHash: Uint8Array; channel: Channel; htlc: Htlc },
  ): void {
    turn.tx.putOutgoingPayment({
      direction: 'outgoing',
      paymentHash,
      destination: options.destination,
      amountMsat: options.amountMsat,
      feeMsat: 0n,
      status: 'pending',
      records: encodeRecords(options.customRecords),
      createdAtMs: this.#options.now(),
      channelId: channel.params.channelId,
      htlcId: htlc.id,
      label: options.label,
      idempotencyKey: options.idempotencyKey,
    });
  }

  /** Called for every event of a channel, inside its turn. */
  onEvent(turn: Turn, channel: Channel, event: ChannelEvent): void {
    switch (event.type) {
      case 'htlcAdded':
        this.#outcome = { htlc: event.htlc };
        return;
      case 'htlcRefused':
        this.#outcome = { refused: event.reason };
        return;
      case 'htlcReceived':
        this.#receive(turn, channel, event.htlc);
        return;
      case 'htlcFulfilled':
        this.#succeed(turn, { paymentHash: event.htlc.paymentHash, preimage: event.preimage });
        return;
      case 'htlcFailed':
        this.#fail(turn, event);
        return;
      case 'htlcOver':
      case 'phaseChanged':
      case 'online':
      case 'commandRefused':
        return;
      default:
        event satisfies never;
    }
  }

  #receive(turn: Turn, channel: Channel, htlc: Htlc): void {
    const { channelId } = channel.params;
    const decision = decideIncoming({
      htlc,
      nodePrivateKey: this.#options.nodePrivateKey,
      blockHeight: this.#options.blockHeight(),
      policy: this.#options.policy,
      isSeen: (paymentHash) => turn.tx.hasSeenHash(paymentHash),
    });
    if (decision.type === 'accept') {
      const { payment } = decision;
      const received: IncomingPayment = {
        direction: 'incoming',
        paymentHash: payment.paymentHash,
        preimage: payment.preimage,
        amountMsat: payment.amountMsat,
        status: 'settled',
        records: encodeRecords(payment.customRecords),
        channelId,
        htlcId: htlc.id,
        receivedAtMs: this.#options.now(),
      };
      turn.tx.putIncomingPayment(received);
      turn.afterCommit(() => this.#options.onPayment(received));
    } else {
      const { cause } = decision;
      channelLogger(this.#options.logger, channelId).info(
        { cause, htlcId: htlc.id, amountMsat: htlc.amountMsat },
        'an incoming payment was refused',
      );
    }
    turn.command(channelKey(channelId), { type: 'settleHtlc', id: htlc.id, settlement: decision.settlement });
  }

  #succeed(turn: Turn, { paymentHash, preimage }: { paymentHash: Uint8Array; preimage: Uint8Array }): void {
    const payment = turn.tx.getOutgoingPayment(paymentHash);
    if (payment === undefined || payment.status === 'succeeded') return;
    const update = { status: 'succeeded', preimage, settledAtMs: this.#options.now() } as const;
    turn.tx.updateOutgoingPayment(paymentHash, update);
    this.#report(turn, { ...payment, ...update });
  }

  #fail(turn: Turn, { htlc, settlement }: Extract<ChannelEvent, { type: 'htlcFailed' }>): void {
    const payment = turn.tx.getOutgoingPayment(htlc.paymentHash);
    if (payment === undefined || payment.status !== 'pending') return;
    const sessionKey = this.#sessionKey(htlc.paymentHash);
    const failure = readPaymentFailure({ settlement, destination: payment.destination, sessionKey });
    const update = {
      status: 'failed',
      failureCode: failure.code,
      failureText: failure.text,
      settledAtMs: this.#options.now(),
    } as const;
    turn.tx.updateOutgoingPayment(htlc.paymentHash, update);
    this.#report(turn, { ...payment, ...update });
  }

  #report(turn: Turn, payment: OutgoingPayment): void {
    turn.afterCommit(() => {
      this.#finish(payment.paymentHash, payment.status === 'failed' ? failureOf(payment) : payment);
      this.#options.onPayment(payment);
    });
  }

  /** A payment whose HTLC was resolved on chain: with its preimage, or back to us for good. */
  resolveOnChain(
    turn: Turn,
    { paymentHash, preimage }: { paymentHash: Uint8Array; preimage?: Uint8Array },
  ): void {
    if (preimage !== undefined) {
      this.#succeed(turn, { paymentHash, preimage });
      return;
    }
    const payment = turn.tx.getOutgoingPayment(paymentHash);
    if (payment === undefined || payment.status !== 'pending') return;
    const update = {
      status: 'failed',
      failureCode: 'timed_out_on_chain',
      failureText: 'the channel was closed on chain and the payment came back after its expiry',
      settledAtMs: this.#options.now(),
    } as const;
    turn.tx.updateOutgoingPayment(paymentHash, update);
    this.#report(turn, { ...payment, ...update });
  }
}

/** @throws PaymentError where an idempotency key is used for another payment. */
function checkSame(earlier: OutgoingPayment, { amountMsat, destination }: KeysendOptions): void {
  if (earlier.amountMsat === amountMsat && equalBytes(earlier.destination, destination)) return;
  throw new PaymentError(
    'idempotency_conflict',
    'this idempotency key was used for a payment of another amount or to another node; use a new key',
  );
}

function encodeRecords(records: ReadonlyMap<bigint, Uint8Array>): Uint8Array {
  return encodeTlvStream([...records].map(([type, value]) => ({ type, value })));
}

function failureOf(payment: OutgoingPayment): PaymentError {
  return new PaymentError('failed_by_receiver', payment.failureText ?? 'the payment failed');
}

function noChannel(turn: Turn, destination: Uint8Array): PaymentError {
  const node = bytesToHex(destination);
  const channels = [...turn.channels.values()].filter(
    ({ params }) => bytesToHex(params.remoteNodeId) === node,
  );
  if (channels.length === 0) {
    return new PaymentError(
      'no_channel',
      'there is no channel with this node; open one first (payments over other nodes are not possible yet)',
    );
  }
  const [channel] = channels as [Channel];
  const why =
    channel.phase.name !== 'open'
      ? `the channel with this node is not open for payments (${channel.phase.name})`
      : 'this node is not connected; the payment can be made when it is back';
  return new PaymentError('channel_unavailable', why);
}
