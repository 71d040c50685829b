import { bytesToHex, hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { hmacSha256, sha256 } from '@rivulet/core/crypto';
import { decodeInvoice } from '@rivulet/core/invoice';
import type * as z from 'zod/mini';
import { keysendRecordType } from '../../records/recordTypes.js';
import { sortableNumber } from '../../store/sortableKey.js';
import type { ToolkitStore } from '../../store/toolkitStore.js';
import type { Schedule } from '../../timing/schedule.js';
import { defaultMaxFeeMsat } from '../checkKeysend.js';
import { type OncePayment, type OnceRow, PaidOnce } from '../serving/paidOnce.js';
import type { PaymentOutcome, Wallet, WalletFailure } from '../wallet.js';
import type { NostrEvent } from './nostrEvent.js';
import { type NwcGrant, nwcGrants } from './nwcGrants.js';
import type { NwcIncoming } from './nwcIncoming.js';
import { listParams, lookupParams, metadataOf, payInvoiceParams, payKeysendParams } from './nwcProtocol.js';

/** What an app is answered. */
export interface ServedAnswer {
  readonly result_type: string;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly result: unknown;
}

export interface ServedRequest {
  readonly event: NostrEvent;
  readonly grant: NwcGrant;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

interface NwcRequestsOptions {
  readonly wallet: Wallet;
  readonly store: ToolkitStore;
  readonly secret: Uint8Array;
  readonly incoming: NwcIncoming;
  readonly now: () => number;
  readonly schedule: Schedule;
}

/** A request for a payment that was taken; with the answer once there is one. */
interface TakenRequest {
  readonly answer?: ServedAnswer;
}

/** With a payment, in the store. */
interface PaymentNote {
  readonly reservedMsat: string;
  readonly invoice?: string;
  readonly records?: readonly (readonly [string, string])[];
}

const requestPrefix = 'nwc-service/request/';
/** NIP-47: larger pages may not fit through a relay. */
const maxPage = 20;

const codes: Record<WalletFailure, string> = {
  no_route: 'PAYMENT_FAILED',
  fee_limit: 'PAYMENT_FAILED',
  insufficient_balance: 'INSUFFICIENT_BALANCE',
  refused_by_destination: 'PAYMENT_FAILED',
  timeout: 'PAYMENT_FAILED',
  request_invalid: 'OTHER',
  wallet_cannot: 'NOT_IMPLEMENTED',
  unauthorized: 'RESTRICTED',
  quota_exceeded: 'QUOTA_EXCEEDED',
  unreachable: 'PAYMENT_FAILED',
  rate_limited: 'RATE_LIMITED',
  other: 'PAYMENT_FAILED',
};

class Refusal extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** Carries out what apps ask for. */
export class NwcRequests {
  readonly #options: NwcRequestsOptions;
  readonly #payments = new Map<string, PaidOnce>();

  constructor(options: NwcRequestsOptions) {
    this.#options = options;
  }

  /** What became of payments that were under way when the process ended. */
  resume(grants: readonly NwcGrant[]): void {
    for (const { clientPubkey } of grants) this.#paymentsOf(clientPubkey).resume();
  }

  close(): void {
    for (const payments of this.#payments.values()) payments.close();
  }

  forgetBefore(beforeMs: number): void {
    const before = `${requestPrefix}${sortableNumber(Math.max(0, Math.floor(beforeMs / 1000)))}`;
    this.#options.store.transaction((tx) => {
      for (const { key } of tx.list({ prefix: requestPrefix, before })) tx.delete(key);
    });
  }

  /** Nothing where it is not certain what to answer, and will not be before the end of the process. */
  async answer(request: ServedRequest): Promise<ServedAnswer | undefined> {
    const { method, grant } = request;
    try {
      if (!grant.methods.includes(method)) {
        const served = method.startsWith('multi_') || method.startsWith('make_');
        throw new Refusal(
          served ? 'NOT_IMPLEMENTED' : 'RESTRICTED',
          `this connection does not allow ${method}`,
        );
      }
      switch (method) {
        case 'pay_keysend':
          return await this.#pay(request, () => this.#keysendOf(request));
        case 'pay_invoice':
          return await this.#pay(request, () => this.#invoiceOf(request));
        case 'get_balance': {
          const { spendableMsat } = await this.#options.wallet.balance();
          return { result_type: method, error: null, result: { balance: Number(spendableMsat) } };
        }
        case 'get_info':
          return { result_type: method, error: null, result: await this.#info(grant) };
        case 'lookup_invoice':
          return { result_type: method, error: null, result: this.#lookup(request) };
        case 'list_transactions':
          return { result_type: method, error: null, result: { transactions: this.#list(request) } };
        case 'sign_message': {
          const message = request.params.message;
          if (typeof message !== 'string') throw new Refusal('OTHER', 'a message is needed');
          const signature = await this.#options.wallet.signMessage(message);
          return { result_type: method, error: null, result: { message, signature } };
        }
        default:
          throw new Refusal('NOT_IMPLEMENTED', `${method} is not served`);
      }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { result_type: method, error: { code: error.code, message: error.message }, result: null };
    }
  }

  async #pay(
    { event, grant, method }: ServedRequest,
    read: () => Promise<OncePayment>,
  ): Promise<ServedAnswer | undefined> {
    const { store } = this.#options;
    const key = `${requestPrefix}${sortableNumber(event.created_at)}/${event.id}`;
    const earlier = store.get(key);
    const taken = earlier === undefined ? undefined : (JSON.parse(earlier) as TakenRequest);
    if (taken?.answer !== undefined) return taken.answer;
    const keep = (answer: ServedAnswer): ServedAnswer => {
      try {
        store.transaction((tx) => tx.put(key, JSON.stringify({ answer } satisfies TakenRequest)));
      } catch {
        // It is true all the same; what became of the payment is stored with that.
      }
      return answer;
    };
    const refuse = (code: string, message: string): ServedAnswer =>
      keep({ result_type: method, error: { code, message }, result: null });
    let payment: OncePayment;
    try {
      payment = await read();
    } catch (error) {
      if (error instanceof Refusal) return refuse(error.code, error.message);
      throw error;
    }
    const payments = this.#paymentsOf(grant.clientPubkey);
    // Taken by a process that ended in the middle: what failed meanwhile is not tried again for the same request.
    if (taken !== undefined && payments.get(payment.hash)?.state === 'failed') {
      return refuse('PAYMENT_FAILED', 'the payment failed');
    }
    store.transaction((tx) => tx.put(key, JSON.stringify({} satisfies TakenRequest)));
    const result = payments.pay(payment);
    switch (result.type) {
      case 'conflict':
        return refuse('OTHER', 'this preimage or invoice was used for another payment');
      case 'refused':
        return refuse('QUOTA_EXCEEDED', result.reason);
      case 'paid':
      case 'paying':
      case 'under_way': {
        let outcome: PaymentOutcome;
        try {
          outcome = await result.outcome;
        } catch {
          // It may have been paid, and that cannot be stored: whoever hears of an error pays again.
          return undefined;
        }
        switch (outcome.status) {
          case 'succeeded':
            return keep({ result_type: method, error: null, result: paidResult(outcome) });
          case 'failed':
            return refuse(codes[outcome.failure], outcome.message);
          case 'pending':
          case 'unknown':
            return undefined;
        }
      }
    }
  }

  async #keysendOf({ event, grant, params }: ServedRequest): Promise<OncePayment> {
    const { amount, pubkey, preimage: given, tlv_records } = read(payKeysendParams, params);
    const { wallet, secret } = this.#options;
    const amountMsat = BigInt(amount);
    if (amountMsat === 0n) throw new Refusal('OTHER', 'the amount has to be at least 1 msat');
    const records = new Map<bigint, Uint8Array>();
    for (const { type, value } of tlv_records ?? []) {
      // A preimage among the records is not taken for one: that of the request is, or ours.
      if (BigInt(type) === keysendRecordType) continue;
      if (!/^([0-9a-fA-F]{2})*$/.test(value))
        throw new Refusal('OTHER', `the value of record ${type} is not hex`);
      records.set(BigInt(type), hexToBytes(value));
    }
    const preimage =
      given === undefined || given === null || given === ''
        ? hmacSha256(secret, utf8ToBytes(`nwc-service/preimage/${event.id}`))
        : hexToBytes(given);
    const nodeId = pubkey.toLowerCase();
    const sorted = [...records].sort(([a], [b]) => (a < b ? -1 : 1));
    const said = sorted.map(([type, value]) => [String(type), bytesToHex(value)] as const);
    const fees = await this.#feesOf(amountMsat);
    return {
      hash: bytesToHex(sha256(preimage)),
      fingerprint: fingerprint(['pay_keysend', nodeId, String(amount), said]),
      nodeId,
      amountMsat,
      ...this.#reserving(grant, amountMsat, { records: said }),
      send: (key) => wallet.keysend({ nodeId, amountMsat, records, preimage, key, ...fees }),
    };
  }

  async #invoiceOf({ grant, params }: ServedRequest): Promise<OncePayment> {
    const { invoice, amount } = read(payInvoiceParams, params);
    const { wallet } = this.#options;
    const decoded = this.#decode(invoice);
    if (
      decoded.amountMsat !== undefined &&
      typeof amount === 'number' &&
      BigInt(amount) !== decoded.amountMsat
    ) {
      throw new Refusal('OTHER', 'the invoice has another amount');
    }
    const amountMsat = decoded.amountMsat ?? BigInt(amount ?? 0);
    if (amountMsat === 0n) throw new Refusal('OTHER', 'the invoice leaves the amount open: give one');
    const fees = await this.#feesOf(amountMsat);
    return {
      hash: bytesToHex(decoded.paymentHash),
      fingerprint: fingerprint(['pay_invoice', invoice.toLowerCase(), String(amountMsat)]),
      amountMsat,
      ...this.#reserving(grant, amountMsat, { invoice }),
      send: () =>
        wallet.payInvoice({ invoice, ...(decoded.amountMsat === undefined && { amountMsat }), ...fees }),
    };
  }

  async #feesOf(amountMsat: bigint): Promise<{ maxFeeMsat?: bigint }> {
    const { limitsFees } = await this.#options.wallet.capabilities();
    return limitsFees ? { maxFeeMsat: defaultMaxFeeMsat(amountMsat) } : {};
  }

  /** The most that it may cost is set aside in the budget, in the transaction that makes it leave. */
  #reserving(
    { clientPubkey }: NwcGrant,
    amountMsat: bigint,
    about: Omit<PaymentNote, 'reservedMsat'>,
  ): Pick<OncePayment, 'note' | 'admit'> {
    const reservedMsat = amountMsat + defaultMaxFeeMsat(amountMsat);
    const note: PaymentNote = { reservedMsat: String(reservedMsat), ...about };
    return {
      note: JSON.stringify(note),
      admit: (tx) =>
        nwcGrants.reserve(tx, { clientPubkey, amountMsat: reservedMsat, nowMs: this.#options.now() }),
    };
  }

  #paymentsOf(clientPubkey: string): PaidOnce {
    const known = this.#payments.get(clientPubkey);
    if (known !== undefined) return known;
    const { wallet, store, now, schedule } = this.#options;
    const payments = new PaidOnce({
      wallet,
      store,
      prefix: `nwc-paid/${clientPubkey.slice(0, 16)}/`,
      now,
      schedule,
      onEnd(tx, row, before) {
        const reservedMsat = before === 'open' ? BigInt(noteOf(row).reservedMsat) : 0n;
        const spentMsat =
          row.state === 'succeeded' ? BigInt(row.amountMsat) + BigInt(row.feeMsat ?? '0') : 0n;
        nwcGrants.settle(tx, { clientPubkey, reservedMsat, spentMsat, nowMs: now() });
      },
    });
    this.#payments.set(clientPubkey, payments);
    return payments;
  }

  #decode(invoice: string) {
    try {
      return decodeInvoice(invoice);
    } catch (error) {
      throw new Refusal('OTHER', `this is no invoice: ${(error as Error).message}`);
    }
  }

  async #info({ methods }: NwcGrant) {
    const { nodeId = '', alias = '', network = '' } = await this.#options.wallet.info();
    return {
      alias,
      color: '',
      pubkey: nodeId,
      network: network === 'bitcoin' ? 'mainnet' : network,
      block_height: 0,
      block_hash: '',
      methods,
      notifications: ['payment_received'],
    };
  }

  #lookup({ grant, params }: ServedRequest): unknown {
    const { payment_hash, invoice } = read(lookupParams, params);
    const hash =
      payment_hash?.toLowerCase() ?? (invoice ? bytesToHex(this.#decode(invoice).paymentHash) : '');
    const row = this.#paymentsOf(grant.clientPubkey).get(hash);
    const found = row === undefined ? this.#incoming(grant, hash) : outgoing(row);
    if (found === undefined) throw new Refusal('NOT_FOUND', 'there is no such payment of this connection');
    return found;
  }

  /** What arrives is everybody's who may list it. */
  #incoming({ methods }: NwcGrant, hash: string) {
    return methods.includes('list_transactions') ? this.#options.incoming.get(hash) : undefined;
  }

  #list({ grant, params }: ServedRequest): unknown[] {
    const { from, until, limit, offset, type } = read(listParams, params);
    const unpaid = params.unpaid === true;
    const sent = this.#paymentsOf(grant.clientPubkey).list().map(outgoing);
    const all = [
      ...(type === 'incoming' ? [] : sent.filter(({ state }) => unpaid || state === 'settled')),
      ...(type === 'outgoing' ? [] : this.#options.incoming.list()),
    ].filter(({ created_at: at }) => at >= (from ?? 0) && at <= (until ?? Number.POSITIVE_INFINITY));
    // NIP-47: the newest come first; those of one second in the order in which they came, backwards.
    all.reverse().sort((a, b) => b.created_at - a.created_at);
    const start = offset ?? 0;
    return all.slice(start, start + Math.min(limit || maxPage, maxPage));
  }
}

function read<T extends z.ZodMiniType>(schema: T, params: unknown): z.output<T> {
  const parsed = schema.safeParse(params);
  if (parsed.success) return parsed.data;
  throw new Refusal('OTHER', `invalid parameter: ${parsed.error.issues[0]?.path.join('.') || 'params'}`);
}

function fingerprint(parts: unknown): string {
  return bytesToHex(sha256(utf8ToBytes(JSON.stringify(parts))));
}

function paidResult({ preimage, feeMsat }: Extract<PaymentOutcome, { status: 'succeeded' }>) {
  return { preimage: preimage ?? '', fees_paid: Number(feeMsat) };
}

function noteOf(row: OnceRow): PaymentNote {
  return row.note === undefined ? { reservedMsat: '0' } : (JSON.parse(row.note) as PaymentNote);
}

const states = { open: 'pending', succeeded: 'settled', failed: 'failed' } as const;

function outgoing(row: OnceRow) {
  const { invoice = '', records = [] } = noteOf(row);
  return {
    type: 'outgoing',
    state: states[row.state],
    invoice,
    description: '',
    preimage: row.preimage ?? '',
    payment_hash: row.hash,
    amount: Number(row.amountMsat),
    fees_paid: Number(row.feeMsat ?? 0),
    created_at: Math.floor(row.startedAtMs / 1000),
    ...(row.state === 'succeeded' && { settled_at: Math.floor((row.endedAtMs ?? row.startedAtMs) / 1000) }),
    metadata: metadataOf(records.map(([type, value]) => [BigInt(type), value])),
  };
}
