import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { encodeZbase32 } from '@rivulet/core/tower';
import { KeysendError } from '../../keysendError.js';
import * as z from '../../schema/index.js';
import type { ToolkitStore } from '../../store/toolkitStore.js';
import { pause, type Schedule, systemSchedule } from '../../timing/schedule.js';
import { checkKeysend, failed } from '../checkKeysend.js';
import {
  Deadline,
  errorOfProblem,
  HttpProblem,
  outcomeBefore,
  outcomeOfProblem,
  toBase64,
  type WalletFetch,
  WalletHttp,
} from '../http/index.js';
import type {
  CallOptions,
  InvoiceRequest,
  KeysendRequest,
  PaymentOutcome,
  PaymentQuery,
  Wallet,
  WalletCapabilities,
  WalletInfo,
} from '../wallet.js';
import { EclairMemory } from './eclairMemory.js';
import { type EclairAttempt, eclairAttempt, outcomeOfAttempts } from './eclairPayment.js';
import { receivedKeysends } from './eclairReceiving.js';

export interface EclairWalletOptions {
  /** Of its API, for example `http://127.0.0.1:8080`. */
  readonly url: string;
  /** `eclair.api.password`. */
  readonly password: string;
  readonly fetch?: WalletFetch;
  readonly schedule?: Schedule;
  /**
   * Keeps which payment of Eclair's is which: without it a key is remembered for as long as this object lives, and
   * `repeats` is `none`.
   */
  readonly store?: ToolkitStore;
}

const pollMs = 500;
/** The most that Eclair takes for an `externalId`. */
const maxExternalId = 66;

const getInfo = z.object({
  version: z.string(),
  nodeId: z.string(),
  alias: z.string(),
  network: z.optional(z.string()),
});
const balances = z.array(
  z.object({ canSend: z.int(), canReceive: z.int(), isEnabled: z.optional(z.boolean()) }),
);
const attempts = z.array(eclairAttempt);
const uuid = z.string().check(z.regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/));
const parsedInvoice = z.object({ paymentHash: z.string(), amount: z.optional(z.int()) });
const signed = z.object({ signature: z.string().check(z.regex(/^[0-9a-f]{130}$/)) });

/**
 * A wallet of an Eclair node. Eclair's API sends keysends without records, with a preimage of its own, and tells of
 * those that arrive without their records. @throws KeysendError `wallet_invalid`
 */
export function eclairWallet(options: EclairWalletOptions): Wallet {
  return new EclairWallet(options);
}

class EclairWallet implements Wallet {
  readonly kind = 'eclair';
  readonly #http: WalletHttp;
  readonly #schedule: Schedule;
  readonly #memory: EclairMemory;
  readonly #capabilities: WalletCapabilities;
  /** Payments of this object under way, by key: a second request for one waits for the first. */
  readonly #paying = new Map<string, Promise<PaymentOutcome>>();
  #isEclair = false;

  constructor({ url, password, fetch, schedule = systemSchedule, store }: EclairWalletOptions) {
    if (password === '') throw new KeysendError('wallet_invalid', 'the password of the Eclair node is empty');
    const credentials = toBase64(utf8ToBytes(`:${password}`));
    this.#schedule = schedule;
    this.#memory = new EclairMemory(store);
    this.#http = new WalletHttp({
      name: 'the Eclair node',
      url,
      headers: { authorization: `Basic ${credentials}` },
      secrets: [credentials, password],
      fetch,
      schedule,
    });
    this.#capabilities = {
      keysend: true,
      sendsRecords: false,
      repeats: this.#memory.durable ? 'lookup' : 'none',
      receives: 'amounts',
      holds: false,
      signs: true,
      paysInvoices: true,
      takesHints: false,
      limitsFees: true,
    };
  }

  async capabilities(): Promise<WalletCapabilities> {
    return this.#capabilities;
  }

  async info(call: CallOptions = {}): Promise<WalletInfo> {
    const { nodeId, alias, version, network } = await this.#ask(getInfo, { path: '/getinfo', ...call });
    const { kind } = this;
    return { kind, nodeId, alias, version, ...(network === undefined ? {} : { network }) };
  }

  async balance(call: CallOptions = {}) {
    let spendableMsat = 0n;
    let receivableMsat = 0n;
    for (const channel of await this.#ask(balances, { path: '/usablebalances', ...call })) {
      if (channel.isEnabled === false) continue;
      spendableMsat += BigInt(channel.canSend);
      receivableMsat += BigInt(channel.canReceive);
    }
    return { spendableMsat, receivableMsat };
  }

  keysend(request: KeysendRequest, call: CallOptions = {}): Promise<PaymentOutcome> {
    const refused = checkKeysend(request, this.#capabilities);
    if (refused !== undefined) return Promise.resolve(refused);
    return this.#once(request.key, () => this.#keysend(request, call));
  }

  payInvoice(request: InvoiceRequest, call: CallOptions = {}): Promise<PaymentOutcome> {
    return this.#once(request.invoice, () => this.#payInvoice(request, call));
  }

  async lookup(query: PaymentQuery, { signal }: CallOptions = {}): Promise<PaymentOutcome | undefined> {
    try {
      const entry = this.#memory.get(query.key);
      if (entry?.state === 'asked') return await this.#outcomeOf({ id: entry.id }, signal);
      if (entry?.state === 'asking') return lostAnswer;
      const byHash = await this.#attempts({ paymentHash: query.paymentHash }, signal);
      if (byHash.length > 0) return await this.#outcomeOf({ paymentHash: query.paymentHash }, signal);
      // What no memory has may have been sent by an earlier life of this app.
      return this.#memory.durable ? undefined : lostAnswer;
    } catch (problem) {
      throw errorOfProblem(problem);
    }
  }

  async *subscribe({ after = '0', signal }: { after?: string; signal: AbortSignal }) {
    if (!/^[0-9]{1,15}$/.test(after)) {
      throw new KeysendError('request_invalid', 'this cursor is none of an Eclair node: begin without one');
    }
    const list = (form: Record<string, string>) =>
      this.#http.json({ method: 'POST', path: '/listreceivedpayments', form, signal });
    try {
      yield* receivedKeysends({
        list,
        notUnderstood: () => this.#http.notUnderstood(),
        schedule: this.#schedule,
        afterMs: Number(after),
        signal,
      });
    } catch (problem) {
      if (signal.aborted) return;
      throw errorOfProblem(problem);
    }
  }

  async signMessage(message: string, call: CallOptions = {}): Promise<string> {
    const form = { msg: toBase64(utf8ToBytes(message)) };
    const { signature } = await this.#ask(signed, { path: '/signmessage', form, ...call });
    // Eclair gives it in hex; all others write it like this.
    return encodeZbase32(hexToBytes(signature));
  }

  async close(): Promise<void> {}

  /** One at a time for a key. */
  #once(key: string, pay: () => Promise<PaymentOutcome>): Promise<PaymentOutcome> {
    const running = this.#paying.get(key);
    if (running !== undefined) return running;
    const paying = pay().finally(() => this.#paying.delete(key));
    this.#paying.set(key, paying);
    return paying;
  }

  async #keysend(request: KeysendRequest, { signal }: CallOptions): Promise<PaymentOutcome> {
    const { key, nodeId, amountMsat, maxFeeMsat, timeoutSeconds = 60 } = request;
    let seen = this.#memory.get(key);
    if (seen?.state === 'asking') return lostAnswer;
    if (seen?.state === 'asked') {
      const earlier = await this.#follow({ id: seen.id, timeoutSeconds, signal });
      if (earlier.status !== 'failed') return earlier;
    }
    if (signal?.aborted === true) {
      return failed('other', 'stopped before the Eclair node was asked', true);
    }
    if (!this.#isEclair) {
      // Of whatever else is at this address, an answer to a payment would leave it open for ever.
      try {
        await this.#read(getInfo, { path: '/getinfo', signal });
        this.#isEclair = true;
      } catch (problem) {
        return outcomeBefore(problem);
      }
    }
    seen = this.#memory.begin(key, seen);
    // Another process began it in the meantime.
    if (seen !== undefined) return lostAnswer;
    let id: string;
    try {
      const externalId = key.length <= maxExternalId ? key : bytesToHex(sha256(utf8ToBytes(key)));
      const form = { nodeId, amountMsat: amountMsat.toString(), externalId, ...feeLimit(maxFeeMsat) };
      id = await this.#read(uuid, { path: '/sendtonode', form, signal });
    } catch (problem) {
      if (problem instanceof HttpProblem && problem.certain) this.#memory.forget(key);
      return outcomeOfProblem(problem);
    }
    this.#memory.asked(key, id);
    return this.#follow({ id, timeoutSeconds, signal });
  }

  async #payInvoice(request: InvoiceRequest, { signal }: CallOptions): Promise<PaymentOutcome> {
    const { invoice, amountMsat, maxFeeMsat, timeoutSeconds = 60 } = request;
    let paymentHash: string;
    try {
      const form = { invoice };
      const decoded = await this.#read(parsedInvoice, { path: '/parseinvoice', form, signal });
      ({ paymentHash } = decoded);
      if (decoded.amount === undefined && amountMsat === undefined) {
        return failed('request_invalid', 'the invoice leaves the amount open: say how much');
      }
      // Eclair would pay what it is told, whatever the invoice says.
      if (decoded.amount !== undefined && amountMsat !== undefined && BigInt(decoded.amount) !== amountMsat) {
        return failed('request_invalid', 'the invoice has an amount of its own: pay that');
      }
      // Eclair would pay it again: what it has of the hash is asked for first.
      const earlier = await this.#outcomeOf({ paymentHash }, signal);
      if (earlier.status !== 'failed') return earlier;
    } catch (problem) {
      return outcomeBefore(problem);
    }
    try {
      const amount: Record<string, string> =
        amountMsat === undefined ? {} : { amountMsat: amountMsat.toString() };
      const form = { invoice, ...amount, ...feeLimit(maxFeeMsat) };
      const id = await this.#read(uuid, { path: '/payinvoice', form, signal });
      return await this.#follow({ id, timeoutSeconds, signal });
    } catch (problem) {
      const outcome = outcomeOfProblem(problem);
      if (outcome.status === 'failed' || (problem instanceof HttpProblem && problem.aborted)) return outcome;
      const found = await this.#outcomeOf({ paymentHash }, signal).catch(() => outcome);
      return found.status === 'failed' ? outcome : found;
    }
  }

  /** Asks again and again until the outcome is there, or the time is up. */
  async #follow(given: {
    readonly id: string;
    readonly timeoutSeconds: number;
    readonly signal: AbortSignal | undefined;
  }): Promise<PaymentOutcome> {
    const { id, timeoutSeconds, signal } = given;
    const deadline = new Deadline(this.#schedule, { timeoutMs: timeoutSeconds * 1000, signal });
    try {
      while (!deadline.signal.aborted) {
        const outcome = await this.#outcomeOf({ id }, deadline.signal).catch(() => undefined);
        if (outcome !== undefined && outcome.status !== 'pending') return outcome;
        await pause(this.#schedule, pollMs, deadline.signal);
      }
      return { status: 'pending', message: 'the Eclair node is still paying it' };
    } finally {
      deadline.end();
    }
  }

  /**
   * What became of a payment. Eclair reads its list before it looks at what is under way: a payment that begins or
   * ends in between is in neither, so that a failure counts only where a second look finds the same.
   * @throws HttpProblem
   */
  async #outcomeOf(
    which: { readonly id: string } | { readonly paymentHash: string },
    signal: AbortSignal | undefined,
  ): Promise<PaymentOutcome> {
    const first = outcomeOfAttempts(await this.#attempts(which, signal));
    if (first.status !== 'failed') return first;
    const attempts = await this.#attempts(which, signal);
    // Its list was lost, or it is another node: that proves nothing.
    if (attempts.length === 0 && 'id' in which) return notListed;
    return outcomeOfAttempts(attempts);
  }

  #attempts(
    form: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ): Promise<EclairAttempt[]> {
    return this.#read(attempts, { path: '/getsentinfo', form, signal });
  }

  /** @throws HttpProblem */
  async #read<T extends z.AnySchema>(
    schema: T,
    { path, form = {}, signal }: EclairCall,
  ): Promise<z.output<T>> {
    const parsed = schema.safeParse(await this.#http.json({ method: 'POST', path, form, signal }));
    if (!parsed.success) throw this.#http.notUnderstood();
    return parsed.data;
  }

  /** @throws KeysendError */
  async #ask<T extends z.AnySchema>(schema: T, call: EclairCall): Promise<z.output<T>> {
    try {
      return await this.#read(schema, call);
    } catch (problem) {
      throw errorOfProblem(problem);
    }
  }
}

interface EclairCall {
  readonly path: string;
  readonly form?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

const lostAnswer: PaymentOutcome = {
  status: 'unknown',
  message:
    'Eclair was asked for this payment and its answer did not come: it finds payments by its own ids alone, so look for the amount in its list (`eclair-cli audit`)',
};

const notListed: PaymentOutcome = {
  status: 'unknown',
  message: 'the Eclair node does not know the payment that it has taken before: is it the same node?',
};

/** Eclair allows the larger of both: the share is set to nothing, so that the flat one counts. */
function feeLimit(maxFeeMsat: bigint | undefined): Record<string, string> {
  if (maxFeeMsat === undefined) return {};
  return { maxFeeFlatSat: (maxFeeMsat / 1000n).toString(), maxFeePct: '0' };
}
