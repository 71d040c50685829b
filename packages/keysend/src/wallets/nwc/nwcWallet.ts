import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import type * as z from 'zod/mini';
import { KeysendError } from '../../keysendError.js';
import { type Schedule, systemSchedule } from '../../timing/schedule.js';
import { checkKeysend } from '../checkKeysend.js';
import { shownText } from '../http/index.js';
import type {
  CallOptions,
  InvoiceRequest,
  KeysendRequest,
  PaymentOutcome,
  PaymentQuery,
  Wallet,
  WalletCapabilities,
  WalletFailure,
} from '../wallet.js';
import { nostrPublicKey } from './nip44.js';
import { type NwcAnswer, NwcClient, untilAborted } from './nwcClient.js';
import { errorOfAnswer, meaningOfCode } from './nwcFailures.js';
import {
  balanceResultSchema,
  infoResultSchema,
  type NwcTransaction,
  payResultSchema,
  signResultSchema,
  transactionSchema,
} from './nwcProtocol.js';
import { receivedPayments } from './nwcReceiving.js';
import { parseNwcUri } from './nwcUri.js';
import type { WebSocketConstructor } from './relayConnection.js';

export interface NwcWalletOptions {
  /** nostr+walletconnect://… */
  readonly uri: string;
  /** The browser's, or that of `ws`; the global one where it is absent. */
  readonly WebSocket?: WebSocketConstructor;
  readonly now?: () => number;
  readonly randomBytes?: (length: number) => Uint8Array;
  readonly schedule?: Schedule;
}

const maxNumber = BigInt(Number.MAX_SAFE_INTEGER);
/** Longer than a relay and a wallet need to pass a request on, once it may not be taken any more. */
const settlingMs = 5_000;
const callTimeoutMs = 20_000;
/** The keys of requests that are remembered. */
const maxRemembered = 10_000;

/**
 * A wallet behind Nostr Wallet Connect (NIP-47). A keysend has the preimage that the caller chose; whether the wallet
 * keeps to it shows in its answer alone.
 * @throws KeysendError `wallet_invalid`
 */
export function nwcWallet(options: NwcWalletOptions): Wallet {
  return new NwcWallet(options);
}

class NwcWallet implements Wallet {
  readonly kind = 'nwc';
  readonly account: string;
  readonly #client: NwcClient;
  readonly #secrets: readonly string[];
  readonly #now: () => number;
  readonly #schedule: Schedule;
  #methods: Promise<WalletMethods> | undefined;
  /** When the wallet may no longer take a request for this payment, by payment hash; while one waits, no time is known. */
  readonly #openUntilMs = new Map<string, number>();

  constructor(options: NwcWalletOptions) {
    const connection = parseNwcUri(options.uri);
    const WebSocket = options.WebSocket ?? (globalThis.WebSocket as WebSocketConstructor | undefined);
    if (WebSocket === undefined) {
      throw new KeysendError(
        'wallet_invalid',
        'there is no WebSocket here: give one, for example that of `ws`',
      );
    }
    // Many accounts share a node, and some services name none; what one connection pays, another may not see.
    const { walletPubkey, secret } = connection;
    this.account = `${walletPubkey.slice(0, 32)}.${nostrPublicKey(secret).slice(0, 32)}`;
    this.#now = options.now ?? Date.now;
    this.#schedule = options.schedule ?? systemSchedule;
    this.#secrets = [bytesToHex(connection.secret), options.uri];
    this.#client = new NwcClient({
      connection,
      WebSocket,
      now: this.#now,
      schedule: this.#schedule,
      randomBytes:
        options.randomBytes ?? ((length) => globalThis.crypto.getRandomValues(new Uint8Array(length))),
    });
  }

  async capabilities({ signal }: CallOptions = {}): Promise<WalletCapabilities> {
    const { methods } = await this.#knownMethods(signal);
    const pays = methods.has('pay_keysend');
    return {
      keysend: pays,
      sendsRecords: pays,
      // Without `lookup_invoice`, nothing of the wallet's says what became of a payment whose answer was lost.
      repeats: methods.has('lookup_invoice') ? 'preimage' : 'none',
      // NIP-47: the preimage is a parameter that a wallet may have, and some nodes choose their own.
      repeatsUnproven: true,
      receives: methods.has('list_transactions') ? 'records' : 'none',
      holds: false,
      signs: methods.has('sign_message'),
      paysInvoices: methods.has('pay_invoice'),
      takesHints: false,
      limitsFees: false,
    };
  }

  async info({ signal }: CallOptions = {}) {
    const info = await this.#infoResult(signal);
    const text = (value: string | null | undefined): string | undefined =>
      value === null || value === undefined || value === '' ? undefined : value;
    const nodeId = text(info.pubkey)?.toLowerCase();
    const [alias, network] = [text(info.alias), text(info.network)];
    return {
      kind: this.kind,
      ...(nodeId !== undefined && /^0[23][0-9a-f]{64}$/.test(nodeId) && { nodeId }),
      ...(alias !== undefined && { alias: this.#shown(alias) }),
      ...(network !== undefined && { network: this.#shown(network) }),
    } as const;
  }

  async balance({ signal }: CallOptions = {}) {
    const { balance } = await this.#call('get_balance', {}, balanceResultSchema, signal);
    return { spendableMsat: BigInt(balance) };
  }

  async keysend(request: KeysendRequest, { signal }: CallOptions = {}): Promise<PaymentOutcome> {
    const { nodeId, amountMsat, records, preimage, timeoutSeconds = 60 } = request;
    let problem: PaymentOutcome | undefined;
    try {
      problem = checkKeysend(request, await this.capabilities(signal === undefined ? {} : { signal }));
    } catch (error) {
      return outcomeBeforeSending(error, (text) => this.#shown(text));
    }
    if (problem !== undefined) return problem;
    if (amountMsat > maxNumber) return refused('the amount is too large for NWC');
    const tlvRecords: { type: number; value: string }[] = [];
    for (const [type, value] of records) {
      // Its JSON has no larger whole numbers: most wallets would read another type.
      if (type > maxNumber) return refused(`NWC cannot say a record of type ${type}`);
      tlvRecords.push({ type: Number(type), value: bytesToHex(value) });
    }
    const preimageHex = bytesToHex(preimage);
    return this.#pay({
      method: 'pay_keysend',
      params: {
        amount: Number(amountMsat),
        pubkey: nodeId,
        preimage: preimageHex,
        ...(tlvRecords.length > 0 && { tlv_records: tlvRecords }),
      },
      timeoutMs: timeoutSeconds * 1000,
      lookupParams: { payment_hash: bytesToHex(sha256(preimage)) },
      secrets: [preimageHex],
      signal,
    });
  }

  async payInvoice(request: InvoiceRequest, { signal }: CallOptions = {}): Promise<PaymentOutcome> {
    const { invoice, amountMsat, maxFeeMsat, timeoutSeconds = 60 } = request;
    if (maxFeeMsat !== undefined) return refused('a wallet over NWC takes no limit of the fee');
    return this.#pay({
      method: 'pay_invoice',
      params: { invoice, ...(amountMsat !== undefined && { amount: Number(amountMsat) }) },
      timeoutMs: timeoutSeconds * 1000,
      lookupParams: { invoice },
      secrets: [],
      signal,
    });
  }

  async lookup(query: PaymentQuery, { signal }: CallOptions = {}): Promise<PaymentOutcome | undefined> {
    const found = await this.#find({ payment_hash: query.paymentHash }, signal);
    if (found !== 'not_found') return found;
    const openUntilMs = this.#openUntilMs.get(query.paymentHash) ?? 0;
    if (this.#now() >= openUntilMs) return undefined;
    return {
      status: 'unknown',
      message: 'the wallet does not know the payment, but may still get the request',
    };
  }

  subscribe(options: { after?: string; signal: AbortSignal }) {
    return receivedPayments(
      {
        now: this.#now,
        schedule: this.#schedule,
        serviceInfo: (signal) => this.#client.serviceInfo(signal),
        subscribeNotifications: (info, listener) => this.#client.subscribeNotifications(info, listener),
        requireReceiving: async (signal) => {
          const { methods } = await this.#knownMethods(signal);
          if (!methods.has('list_transactions')) {
            throw new KeysendError('wallet_cannot', 'this connection does not allow to list what arrives');
          }
        },
        list: (params, schema, signal) => this.#call('list_transactions', params, schema, signal),
      },
      options,
    );
  }

  async signMessage(message: string, { signal }: CallOptions = {}): Promise<string> {
    const { methods } = await this.#knownMethods(signal);
    if (!methods.has('sign_message')) {
      throw new KeysendError('wallet_cannot', 'this connection does not allow to sign messages');
    }
    const { signature } = await this.#call('sign_message', { message }, signResultSchema, signal);
    if (!/^[ybndrfg8ejkmcpqxot1uwisza345h769]{104}$/.test(signature)) {
      throw new KeysendError('wallet_cannot', "the wallet's signature is not that of a Lightning node");
    }
    return signature;
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  async #pay(payment: {
    readonly method: 'pay_keysend' | 'pay_invoice';
    readonly params: Readonly<Record<string, unknown>>;
    readonly timeoutMs: number;
    readonly lookupParams: { readonly payment_hash?: string; readonly invoice?: string };
    readonly secrets: readonly string[];
    readonly signal: AbortSignal | undefined;
  }): Promise<PaymentOutcome> {
    const { method, timeoutMs, lookupParams, secrets, signal } = payment;
    let answer: NwcAnswer;
    try {
      const { methods } = await this.#knownMethods(signal);
      if (!methods.has(method)) return refused(`this connection does not allow ${method}`);
      const { payment_hash: hash } = lookupParams;
      // It may have to wait for others before it is sent.
      if (hash !== undefined) this.#remember(hash, Number.POSITIVE_INFINITY);
      try {
        answer = await this.#client.request({ method, params: payment.params, timeoutMs, signal });
      } finally {
        if (hash !== undefined) this.#remember(hash, this.#now() + timeoutMs + settlingMs);
      }
    } catch (error) {
      return outcomeBeforeSending(error, (text) => this.#shown(text, secrets));
    }
    switch (answer.type) {
      case 'result':
        return this.#outcomeOfResult(answer.result, secrets);
      case 'none': {
        const message = this.#shown(answer.message, secrets);
        if (answer.written) {
          return { status: 'unknown', message: `${message}; whether it was paid is not known yet` };
        }
        const failure = answer.why === 'stopped' ? 'other' : 'unreachable';
        return { status: 'failed', failure, message, retryable: true };
      }
      case 'error': {
        const { failure, retryable, certain } = meaningOfCode(answer.code);
        const message = `the wallet said ${this.#shown(`${answer.code}: ${answer.message}`, secrets)}`;
        const failed = { status: 'failed', failure, message, retryable } as const;
        const isCertain = certain === 'always' || (certain === 'once' && !answer.repeated);
        return isCertain ? failed : await this.#outcomeOfUnclear(failed, lookupParams);
      }
    }
  }

  /** An error that the wallet may also give of a payment that is under way, or that was made before. */
  async #outcomeOfUnclear(
    failed: Extract<PaymentOutcome, { status: 'failed' }>,
    lookupParams: { readonly payment_hash?: string; readonly invoice?: string },
  ): Promise<PaymentOutcome> {
    const { methods } = await this.#knownMethods(undefined);
    if (!methods.has('lookup_invoice')) return { status: 'unknown', message: failed.message };
    try {
      const found = await this.#find(lookupParams, undefined);
      return found === 'not_found' || found.status === 'failed' ? failed : found;
    } catch {
      return { status: 'unknown', message: `${failed.message}; and it did not answer what became of it` };
    }
  }

  #outcomeOfResult(result: unknown, secrets: readonly string[]): PaymentOutcome {
    const parsed = payResultSchema.safeParse(result);
    if (!parsed.success) {
      const message = `the wallet's answer was not understood: ${this.#shown(JSON.stringify(result) ?? '', secrets)}`;
      return { status: 'unknown', message };
    }
    return succeeded(parsed.data);
  }

  /** @throws KeysendError */
  async #find(
    params: { readonly payment_hash?: string; readonly invoice?: string },
    signal: AbortSignal | undefined,
  ): Promise<PaymentOutcome | 'not_found'> {
    const { methods } = await this.#knownMethods(signal);
    if (!methods.has('lookup_invoice')) {
      return { status: 'unknown', message: 'this connection does not allow to look payments up' };
    }
    let found: NwcTransaction;
    try {
      found = await this.#call('lookup_invoice', params, transactionSchema, signal);
    } catch (error) {
      if (error instanceof KeysendError && error.code === 'not_found') return 'not_found';
      throw error;
    }
    if (found.type !== 'incoming') return outcomeOfTransaction(found);
    // The wallet was asked for what it was paid itself: perhaps by us, from one account of it to another.
    const outcome = outcomeOfTransaction(found);
    if (outcome.status !== 'succeeded') return 'not_found';
    return { status: 'unknown', message: 'the wallet tells only that it has received this payment itself' };
  }

  #remember(hash: string, untilMs: number): void {
    this.#openUntilMs.delete(hash);
    this.#openUntilMs.set(hash, untilMs);
    for (const oldest of this.#openUntilMs.keys()) {
      if (this.#openUntilMs.size <= maxRemembered) break;
      this.#openUntilMs.delete(oldest);
    }
  }

  async #knownMethods(signal: AbortSignal | undefined): Promise<WalletMethods> {
    // Asked for all callers: none of them ends it for the others.
    this.#methods ??= this.#askMethods().catch((error: unknown) => {
      this.#methods = undefined;
      throw error;
    });
    return untilAborted(this.#methods, signal);
  }

  /** What this connection may do; where it may not ask that, what the wallet says to everybody. */
  async #askMethods(): Promise<WalletMethods> {
    const service = await this.#client.serviceInfo();
    if (!service.methods.has('get_info')) return { methods: service.methods };
    try {
      const { methods } = await this.#infoResult(undefined);
      return { methods: methods === null || methods === undefined ? service.methods : new Set(methods) };
    } catch (error) {
      if (error instanceof KeysendError && error.code === 'wallet_cannot')
        return { methods: service.methods };
      throw error;
    }
  }

  #infoResult(signal: AbortSignal | undefined) {
    return this.#call('get_info', {}, infoResultSchema, signal);
  }

  /** @throws KeysendError */
  async #call<T extends z.ZodMiniType>(
    method: string,
    params: Readonly<Record<string, unknown>>,
    schema: T,
    signal: AbortSignal | undefined,
  ): Promise<z.infer<T>> {
    const answer = await this.#client.request({ method, params, timeoutMs: callTimeoutMs, signal });
    if (answer.type !== 'result') {
      const said = answer.type === 'error' ? `${answer.code}: ${answer.message}` : answer.message;
      throw errorOfAnswer(method, answer, this.#shown(said));
    }
    const parsed = schema.safeParse(answer.result);
    if (parsed.success) return parsed.data;
    throw new KeysendError('wallet_failed', `the wallet's answer to ${method} was not understood`);
  }

  #shown(text: string, secrets: readonly string[] = []): string {
    return shownText(text, [...this.#secrets, ...secrets]);
  }
}

interface WalletMethods {
  readonly methods: ReadonlySet<string>;
}

function refused(message: string): PaymentOutcome {
  return { status: 'failed', failure: 'wallet_cannot', message, retryable: false };
}

const failures: Partial<Record<string, WalletFailure>> = {
  wallet_unreachable: 'unreachable',
  wallet_unauthorized: 'unauthorized',
  wallet_cannot: 'wallet_cannot',
};

/** Whatever ends it while the wallet is still asked what it can do: nothing was paid. */
function outcomeBeforeSending(error: unknown, shown: (text: string) => string): PaymentOutcome {
  const known = error instanceof KeysendError ? error : undefined;
  const failure = failures[known?.code ?? ''] ?? 'other';
  const message = known === undefined ? 'the wallet could not be asked' : shown(known.message);
  return { status: 'failed', failure, message, retryable: failure === 'unreachable' || failure === 'other' };
}

function succeeded(paid: { preimage?: string | null | undefined; fees_paid?: number | null | undefined }) {
  const preimage = paid.preimage ?? '';
  const feeMsat = BigInt(paid.fees_paid ?? 0);
  if (!/^[0-9a-fA-F]{64}$/.test(preimage)) return { status: 'succeeded', feeMsat } as const;
  const paymentHash = bytesToHex(sha256(hexToBytes(preimage)));
  return { status: 'succeeded', preimage: preimage.toLowerCase(), paymentHash, feeMsat } as const;
}

function outcomeOfTransaction(found: NwcTransaction): PaymentOutcome {
  const settled = found.state === 'settled' || (found.settled_at ?? 0) > 0;
  if (settled) return { ...succeeded(found), paymentHash: found.payment_hash.toLowerCase() };
  if (found.state === 'failed') {
    const message = 'the wallet says that the payment failed';
    return { status: 'failed', failure: 'other', message, retryable: true };
  }
  return { status: 'pending', message: 'the wallet says that the payment is under way' };
}
