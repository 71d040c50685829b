import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@rivulet/core/bytes';
import type { Payment, RivuletClient } from '@rivulet/sdk';
import { KeysendError } from '../../keysendError.js';
import { pause, type Schedule, systemSchedule } from '../../timing/schedule.js';
import { checkKeysend, failed } from '../checkKeysend.js';
import type { HeldKeysend, HoldingWallet } from '../holdingWallet.js';
import { Deadline } from '../http/index.js';
import type {
  CallOptions,
  InvoiceRequest,
  KeysendRequest,
  PaymentOutcome,
  ReceivedPayment,
  WalletCapabilities,
} from '../wallet.js';
import { certainFailure, daemonErrorOf, failureOf, keysendErrorOf } from './rivuletFailure.js';

/** What of the daemon's client is used: `createClient` of `@rivulet/sdk` makes one. */
export type RivuletWalletClient = Pick<
  RivuletClient,
  | 'info'
  | 'channels'
  | 'keysend'
  | 'pay'
  | 'decodeInvoice'
  | 'invoices'
  | 'payments'
  | 'payment'
  | 'signMessage'
  | 'heldKeysends'
  | 'decideKeysend'
  | 'events'
>;

export interface RivuletWalletOptions {
  readonly schedule?: Schedule;
}

const capabilities: WalletCapabilities = {
  keysend: true,
  sendsRecords: true,
  repeats: 'preimage',
  receives: 'records',
  holds: true,
  signs: true,
  paysInvoices: true,
  takesHints: true,
  limitsFees: true,
};

const timeoutMs = 30_000;
/** How much longer than the payment's own time the answer is waited for. */
const graceMs = 15_000;
const pageSize = 100;
const pollMs = 1_000;

/** A wallet of a Rivulet daemon, over its client. */
export function rivuletWallet(
  client: RivuletWalletClient,
  { schedule = systemSchedule }: RivuletWalletOptions = {},
): HoldingWallet {
  /** A call with an end. Rejects with what the client rejects with, or with an Expired. */
  async function within<T>(
    { signal, limitMs = timeoutMs }: { signal: AbortSignal | undefined; limitMs?: number },
    call: (options: { signal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    const deadline = new Deadline(schedule, { timeoutMs: limitMs, signal });
    try {
      return await deadline.race(call({ signal: deadline.signal }));
    } catch (error) {
      if (deadline.expired) throw new Ended('timeout');
      if (deadline.signal.aborted) throw new Ended('aborted');
      throw error;
    } finally {
      deadline.end();
    }
  }

  /** A call that pays nothing. */
  async function ask<T>(
    { signal }: CallOptions,
    call: (options: { signal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    try {
      return await within({ signal }, call);
    } catch (error) {
      if (!(error instanceof Ended)) throw keysendErrorOf(error);
      if (error.how === 'aborted')
        throw new KeysendError('stopped', 'stopped before the Rivulet node answered');
      throw new KeysendError('wallet_unreachable', 'the Rivulet node did not answer in time');
    }
  }

  /** What the node knows of a hash; `undefined` where it certainly never sent it. */
  async function find(paymentHash: string, call: CallOptions): Promise<Payment | undefined> {
    try {
      return await within({ signal: call.signal }, (options) =>
        client.payment({ paymentHash, direction: 'outgoing' }, options),
      );
    } catch (error) {
      if (daemonErrorOf(error)?.code === 'unknown_payment') return undefined;
      if (error instanceof Ended) {
        throw error.how === 'aborted'
          ? new KeysendError('stopped', 'stopped before the Rivulet node answered')
          : new KeysendError('wallet_unreachable', 'the Rivulet node did not answer in time');
      }
      throw keysendErrorOf(error);
    }
  }

  async function send(
    sending: {
      readonly paymentHash: string;
      readonly timeoutSeconds: number;
      readonly signal: AbortSignal | undefined;
    },
    call: (options: { signal: AbortSignal }) => Promise<Payment>,
  ): Promise<PaymentOutcome> {
    const { paymentHash, timeoutSeconds, signal } = sending;
    if (signal?.aborted === true) {
      return failed('other', 'stopped before the Rivulet node was asked', true);
    }
    try {
      return outcomeOf(await within({ signal, limitMs: timeoutSeconds * 1000 + graceMs }, call));
    } catch (error) {
      const certain = certainFailure(error);
      if (certain !== undefined) return certain;
      const unknown: PaymentOutcome = {
        status: 'unknown',
        message: 'the answer of the Rivulet node did not come: whether it was paid is not known yet',
      };
      if (error instanceof Ended && error.how === 'aborted') return unknown;
      // The request may still be on its way: only that it was paid, or is being paid, is final.
      const payment = await find(paymentHash, { ...(signal === undefined ? {} : { signal }) }).catch(
        () => undefined,
      );
      return payment === undefined || payment.status === 'failed' ? unknown : outcomeOf(payment);
    }
  }

  async function keysend(request: KeysendRequest, { signal }: CallOptions = {}): Promise<PaymentOutcome> {
    const refused = checkKeysend(request, capabilities);
    if (refused !== undefined) return refused;
    const { nodeId, amountMsat, preimage, maxFeeMsat, timeoutSeconds = 60, hints = [] } = request;
    const body = {
      nodeId,
      amountMsat,
      records: new Map(request.records),
      preimage: bytesToHex(preimage),
      waitSeconds: Math.min(600, timeoutSeconds),
      ...(maxFeeMsat === undefined ? {} : { maxFeeMsat }),
      ...(hints.length === 0
        ? {}
        : {
            hints: hints.map((hops) =>
              hops.map((hop) => ({
                nodeId: bytesToHex(hop.nodeId),
                shortChannelId: shortChannelIdText(hop.shortChannelId),
                feeBaseMsat: hop.feeBaseMsat,
                feeProportionalMillionths: hop.feeProportionalMillionths,
                cltvExpiryDelta: hop.cltvExpiryDelta,
              })),
            ),
          }),
    };
    const sending = { paymentHash: bytesToHex(sha256(preimage)), timeoutSeconds, signal };
    return send(sending, (options) => client.keysend(body, options));
  }

  async function payInvoice(request: InvoiceRequest, call: CallOptions = {}): Promise<PaymentOutcome> {
    const { invoice, amountMsat, maxFeeMsat, timeoutSeconds = 60 } = request;
    let paymentHash: string;
    try {
      ({ paymentHash } = await within({ signal: call.signal }, (options) =>
        client.decodeInvoice({ invoice }, options),
      ));
    } catch (error) {
      const message =
        error instanceof Ended ? 'the Rivulet node did not answer' : keysendErrorOf(error).message;
      return certainFailure(error) ?? failed('unreachable', `${message}; nothing was paid`, true);
    }
    const body = {
      invoice,
      waitSeconds: Math.min(600, timeoutSeconds),
      ...(amountMsat === undefined ? {} : { amountMsat }),
      ...(maxFeeMsat === undefined ? {} : { maxFeeMsat }),
    };
    const sending = { paymentHash, timeoutSeconds, signal: call.signal };
    return send(sending, (options) => client.pay(body, options));
  }

  /** Whether it paid an invoice of the node. */
  async function isInvoice({ kind, paymentHash }: Payment, signal: AbortSignal): Promise<boolean> {
    if (kind !== undefined) return kind === 'invoice';
    // An older daemon, which has to be asked about each.
    const known = (options: CallOptions) =>
      client.invoices({ paymentHash, limit: 1 }, options).then(
        ({ invoices }) => invoices.length > 0,
        (error: unknown) => {
          if (daemonErrorOf(error)?.code === 'unknown_invoice') return false;
          throw error;
        },
      );
    return ask({ signal }, known);
  }

  /** What came in after a place in the list, oldest first: invoices that were paid are no keysends. */
  async function* listAfter(
    after: number,
    signal: AbortSignal,
  ): AsyncGenerator<ReceivedPayment | number, undefined> {
    let last = after;
    for (;;) {
      const request = { direction: 'incoming', after: last, limit: pageSize } as const;
      const page = await ask({ signal }, (options) => client.payments(request, options));
      for (const payment of page.payments) {
        last = payment.sequence;
        yield (await isInvoice(payment, signal)) ? last : receivedOf(payment);
      }
      if (page.next === undefined) return undefined;
    }
  }

  async function* subscribe(after: number, signal: AbortSignal): AsyncGenerator<ReceivedPayment, undefined> {
    let last = after;
    while (!signal.aborted) {
      // The stream stands before the list is read: what comes in between is in one of them.
      const stream = new AbortController();
      const abort = () => stream.abort();
      signal.addEventListener('abort', abort, { once: true });
      try {
        const events = await ask({ signal }, () => client.events({ signal: stream.signal }));
        for (;;) {
          for await (const one of listAfter(last, signal)) {
            last = typeof one === 'number' ? one : Number(one.cursor);
            if (typeof one !== 'number') yield one;
          }
          // Events only say that there is more: the list has the order.
          for (;;) {
            const next = await events.next();
            if (next.done === true) {
              if (signal.aborted) return undefined;
              throw new KeysendError('wallet_unreachable', 'the Rivulet node ended its stream of events');
            }
            if (next.value.type === 'payment_received') break;
          }
        }
      } catch (error) {
        // It missed some events: the list has them.
        if (daemonErrorOf(error)?.code !== 'events_lagged') throw error;
      } finally {
        // Whoever leaves the loop may be waiting for an event: only this ends that.
        signal.removeEventListener('abort', abort);
        stream.abort();
      }
    }
    return undefined;
  }

  return {
    kind: 'rivulet',
    capabilities: async () => capabilities,
    async info(call = {}) {
      const { nodeId, alias, network, version } = await ask(call, (options) => client.info({}, options));
      return { kind: 'rivulet', nodeId, alias, network, version };
    },
    async balance(call = {}) {
      const { channels } = await ask(call, (options) => client.channels({}, options));
      let spendableMsat = 0n;
      let receivableMsat = 0n;
      for (const channel of channels) {
        if (!channel.usable) continue;
        spendableMsat += channel.spendableMsat;
        receivableMsat += channel.receivableMsat;
      }
      return { spendableMsat, receivableMsat };
    },
    keysend,
    payInvoice,
    async lookup({ paymentHash }, call = {}) {
      const payment = await find(paymentHash, call);
      return payment === undefined ? undefined : outcomeOf(payment);
    },
    async *subscribe({ after = '0', signal }) {
      if (!/^[0-9]{1,15}$/.test(after)) {
        throw new KeysendError('request_invalid', 'this cursor is none of a Rivulet node: begin without one');
      }
      if (signal.aborted) return;
      try {
        yield* subscribe(Number(after), signal);
      } catch (error) {
        if (signal.aborted) return;
        throw keysendErrorOf(error);
      }
    },
    async signMessage(message, call = {}) {
      return (await ask(call, (options) => client.signMessage({ message }, options))).signature;
    },
    async *heldKeysends({ signal }) {
      let told = new Set<string>();
      while (!signal.aborted) {
        let held: readonly HeldKeysend[];
        try {
          held = (await ask({ signal }, (options) => client.heldKeysends({}, options))).keysends;
        } catch (error) {
          if (signal.aborted) return;
          throw error;
        }
        for (const { paymentHash, amountMsat, records } of held) {
          if (!told.has(paymentHash)) yield { paymentHash, amountMsat, records };
        }
        // Only what still waits is remembered.
        told = new Set(held.map(({ paymentHash }) => paymentHash));
        await pause(schedule, pollMs, signal);
      }
    },
    async decide(decision, call = {}) {
      try {
        await ask(call, (options) => client.decideKeysend(decision, options));
      } catch (error) {
        if (!(error instanceof KeysendError) || error.code !== 'request_invalid') throw error;
        throw new KeysendError('state_conflict', error.message);
      }
    },
    close: async () => {},
  };
}

/** BOLT 7: block, transaction and output; here to load none of the wire's code for one line. */
function shortChannelIdText(id: bigint): string {
  return `${id >> 40n}x${(id >> 16n) & 0xff_ffffn}x${id & 0xffffn}`;
}

/** A call whose time was up, or whose caller wanted no more. */
class Ended extends Error {
  readonly how: 'timeout' | 'aborted';

  constructor(how: 'timeout' | 'aborted') {
    super(how);
    this.how = how;
  }
}

function outcomeOf(payment: Payment): PaymentOutcome {
  const { status, paymentHash, preimage, feeMsat, failure } = payment;
  switch (status) {
    case 'succeeded':
      return { status, paymentHash, ...(preimage === undefined ? {} : { preimage }), feeMsat };
    case 'pending':
      return { status, message: 'the Rivulet node is still paying it' };
    case 'failed':
      return failureOf(failure ?? { code: 'internal', message: 'the payment failed' });
  }
}

function receivedOf({ paymentHash, amountMsat, records, sequence, ...at }: Payment): ReceivedPayment {
  return {
    paymentHash,
    amountMsat,
    receivedAtMs: at.settledAtMs ?? at.createdAtMs,
    records,
    cursor: sequence.toString(),
  };
}
