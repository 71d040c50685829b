import { bytesToHex, hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { formatShortChannelId } from '@rivulet/core/wire';
import { KeysendError } from '../../keysendError.js';
import * as z from '../../schema/index.js';
import { type Schedule, systemSchedule } from '../../timing/schedule.js';
import { checkKeysend, failed } from '../checkKeysend.js';
import {
  errorOfProblem,
  HttpProblem,
  outcomeBefore,
  outcomeOfProblem,
  type WalletFetch,
} from '../http/index.js';
import type {
  CallOptions,
  InvoiceRequest,
  KeysendRequest,
  PaymentOutcome,
  PaymentQuery,
  SubscribeOptions,
  Wallet,
  WalletBalance,
  WalletCapabilities,
  WalletInfo,
} from '../wallet.js';
import { ClnHistory, type ClnRow, outcomeOfRows } from './clnHistory.js';
import { hasPlugin, keptKeysends, paidKeysends } from './clnReceiving.js';
import { ClnRpc, clnCode, clnErrorOf, msat } from './clnRpc.js';

export interface ClnWalletOptions {
  /** Of clnrest, for example `https://127.0.0.1:3010`. */
  readonly url: string;
  /**
   * It has to allow what is used: `getinfo`, `listpeerchannels`, `keysend` and `xkeysend`, `listsendpays`, `wait`,
   * `decode`, `pay` and `xpay`, `signmessage`, and `rivulet-keysends` (or `waitanyinvoice`) to receive.
   */
  readonly rune: string;
  /** For a certificate that the node has made itself, one that trusts it (`pinnedFetch` of `@rivulet/keysend/node`). */
  readonly fetch?: WalletFetch;
  readonly schedule?: Schedule;
  readonly now?: () => number;
  /**
   * How far back a keysend with the same key is looked for before one is sent; 30 days where it is absent. A key must
   * not be used for another payment after that.
   */
  readonly lookBackMs?: number;
}

const getInfo = z.object({
  id: z.string(),
  alias: z.optional(z.string()),
  version: z.string(),
  network: z.optional(z.string()),
});
const channels = z.object({
  channels: z.array(
    z.object({
      state: z.string(),
      peer_connected: z.optional(z.boolean()),
      spendable_msat: z.optional(msat),
      receivable_msat: z.optional(msat),
    }),
  ),
});
const paid = z.object({
  payment_preimage: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  amount_msat: msat,
  amount_sent_msat: msat,
});
const decoded = z.object({ valid: z.boolean(), payment_hash: z.optional(z.string()) });
const signed = z.object({ zbase: z.string() });

/** The longest time that lightningd is told to go on trying. */
const maxRetrySeconds = 120;
/** An HTLC may take longer than the tries do; how much longer than them the answer is waited for. */
const graceMs = 15_000;
/** After that, what was asked for has left traces in lightningd's list, or never will. */
const settleMs = 60_000;
const maxRemembered = 10_000;

type ClnVersion = readonly [year: number, month: number];

/** A wallet of a Core Lightning node, over clnrest. @throws KeysendError `wallet_invalid` */
export function clnWallet(options: ClnWalletOptions): Wallet {
  return new ClnWallet(options);
}

/** What is known in this process of a payment that was asked for. */
interface Asked {
  /** Until then lightningd may begin, or try again; 0 once it has said that it is over. */
  untilMs: number;
}

interface Payment extends CallOptions {
  readonly name: string;
  readonly methods: readonly string[];
  readonly params: Readonly<Record<string, unknown>>;
  readonly timeoutSeconds: number;
  /** Earlier attempts of the same payment. */
  readonly rows: (signal?: AbortSignal) => Promise<readonly ClnRow[]>;
}

/**
 * Core Lightning chooses the preimage of a keysend itself. A payment is found again by its label, which is its key:
 * before each try, and after each that ended without an answer.
 */
class ClnWallet implements Wallet {
  readonly kind = 'cln';
  readonly #rpc: ClnRpc;
  readonly #history: ClnHistory;
  readonly #now: () => number;
  readonly #lookBackMs: number;
  readonly #asked = new Map<string, Asked>();
  readonly #underWay = new Map<string, Promise<PaymentOutcome>>();
  #version: ClnVersion | undefined;
  #plugin: boolean | undefined;

  constructor({ url, rune, fetch, schedule = systemSchedule, now = Date.now, lookBackMs }: ClnWalletOptions) {
    // Others cannot be sent at all, and who tries quotes them.
    if (!/^[\w+/=-]+$/.test(rune.trim())) {
      throw new KeysendError(
        'wallet_invalid',
        'the rune has to be base64, as `lightning-cli createrune` shows it',
      );
    }
    this.#rpc = new ClnRpc({ url, rune: rune.trim(), fetch, schedule });
    this.#history = new ClnHistory(this.#rpc);
    this.#now = now;
    this.#lookBackMs = lookBackMs ?? 30 * 86_400_000;
  }

  async capabilities({ signal }: CallOptions = {}): Promise<WalletCapabilities> {
    try {
      return await this.#capabilities(signal);
    } catch (problem) {
      throw errorOfProblem(problem);
    }
  }

  /** @throws HttpProblem */
  async #capabilities(signal: AbortSignal | undefined): Promise<WalletCapabilities> {
    const version = await this.#knownVersion(signal);
    // Before v23.11 its list cannot be read in parts.
    const recent = isFrom(version, [23, 11]);
    return {
      keysend: recent,
      sendsRecords: true,
      repeats: recent ? 'lookup' : 'none',
      receives: (await this.#hasPlugin(signal)) ? 'records' : 'amounts',
      holds: false,
      signs: true,
      paysInvoices: recent,
      takesHints: keysendMethods(version)[0] === 'keysend' && !isFrom(version, [27, 3]),
      limitsFees: true,
    };
  }

  async info({ signal }: CallOptions = {}): Promise<WalletInfo> {
    const { id, alias, version, network } = await this.#rpc.ask('getinfo', {}, { schema: getInfo, signal });
    return {
      kind: this.kind,
      nodeId: id,
      version,
      ...(alias === undefined ? {} : { alias }),
      ...(network === undefined ? {} : { network }),
    };
  }

  async balance({ signal }: CallOptions = {}): Promise<WalletBalance> {
    const list = await this.#rpc.ask('listpeerchannels', {}, { schema: channels, signal });
    let spendableMsat = 0n;
    let receivableMsat = 0n;
    for (const channel of list.channels) {
      const usable = channel.state === 'CHANNELD_NORMAL' || channel.state === 'CHANNELD_AWAITING_SPLICE';
      if (!usable || channel.peer_connected === false) continue;
      spendableMsat += channel.spendable_msat ?? 0n;
      receivableMsat += channel.receivable_msat ?? 0n;
    }
    return { spendableMsat, receivableMsat };
  }

  async keysend(request: KeysendRequest, call: CallOptions = {}): Promise<PaymentOutcome> {
    let version: ClnVersion;
    try {
      version = await this.#knownVersion(call.signal);
      const problem = checkKeysend(request, await this.#capabilities(call.signal));
      if (problem !== undefined) return problem;
      // It goes as a number of JSON.
      if (request.amountMsat > Number.MAX_SAFE_INTEGER) {
        return failed('request_invalid', 'the amount is too large for one payment of Core Lightning');
      }
    } catch (error) {
      return outcomeBefore(error);
    }
    const { nodeId, amountMsat, records, maxFeeMsat, hints = [], timeoutSeconds = 60 } = request;
    const label = labelOf(request.key);
    return this.#once({
      ...call,
      name: label,
      rows: (signal) => this.#history.labelled(label, this.#now() - this.#lookBackMs, signal),
      // Only the old call takes them.
      methods: hints.length > 0 ? ['keysend'] : keysendMethods(version),
      params: {
        destination: nodeId,
        amount_msat: Number(amountMsat),
        label,
        ...feeParams(version, maxFeeMsat),
        ...(records.size > 0 && {
          extratlvs: Object.fromEntries(
            Array.from(records, ([type, value]) => [type.toString(), bytesToHex(value)]),
          ),
        }),
        ...(hints.length > 0 && {
          routehints: hints.map((hops) =>
            hops.map((hop) => ({
              id: bytesToHex(hop.nodeId),
              scid: formatShortChannelId(hop.shortChannelId),
              feebase: hop.feeBaseMsat,
              feeprop: hop.feeProportionalMillionths,
              expirydelta: hop.cltvExpiryDelta,
            })),
          ),
        }),
      },
      timeoutSeconds,
    });
  }

  async payInvoice(request: InvoiceRequest, call: CallOptions = {}): Promise<PaymentOutcome> {
    const { invoice, amountMsat, maxFeeMsat, timeoutSeconds = 60 } = request;
    let version: ClnVersion;
    let hash: string;
    try {
      version = await this.#knownVersion(call.signal);
      if (!isFrom(version, [23, 11]))
        return failed('wallet_cannot', 'Core Lightning v23.11 or later is needed');
      const answer = await this.#rpc.call(
        'decode',
        { string: invoice },
        { schema: decoded, signal: call.signal },
      );
      if (!answer.valid || answer.payment_hash === undefined) {
        return failed('request_invalid', 'this is no invoice that can be paid');
      }
      hash = answer.payment_hash;
    } catch (error) {
      return outcomeBefore(error);
    }
    const isNew = isFrom(version, [24, 11]);
    return this.#once({
      ...call,
      name: hash,
      rows: (signal) => this.#history.withHash(hash, signal),
      methods: isNew ? ['xpay', 'pay'] : ['pay'],
      params: {
        [isNew ? 'invstring' : 'bolt11']: invoice,
        ...(amountMsat !== undefined && { amount_msat: Number(amountMsat) }),
        ...feeParams(version, maxFeeMsat),
      },
      timeoutSeconds,
    });
  }

  async lookup(query: PaymentQuery, { signal }: CallOptions = {}): Promise<PaymentOutcome | undefined> {
    try {
      const label = labelOf(query.key);
      const byHash = await this.#history.withHash(query.paymentHash, signal);
      if (byHash.length > 0) return this.#judge(query.paymentHash, byHash, query.sinceMs);
      return this.#judge(label, await this.#history.labelled(label, query.sinceMs, signal), query.sinceMs);
    } catch (problem) {
      throw errorOfProblem(problem);
    }
  }

  subscribe(options: SubscribeOptions) {
    const received = async function* (wallet: ClnWallet) {
      let plugin: boolean;
      try {
        plugin = await wallet.#hasPlugin(options.signal);
      } catch (problem) {
        if (options.signal.aborted) return;
        throw errorOfProblem(problem);
      }
      yield* plugin ? keptKeysends(wallet.#rpc, options) : paidKeysends(wallet.#rpc, options);
    };
    return received(this);
  }

  async signMessage(message: string, { signal }: CallOptions = {}): Promise<string> {
    return (await this.#rpc.ask('signmessage', { message }, { schema: signed, signal })).zbase;
  }

  async close(): Promise<void> {}

  /** Callers with the same payment share one try. */
  async #once(payment: Payment): Promise<PaymentOutcome> {
    const underWay = this.#underWay.get(payment.name);
    if (underWay !== undefined) return underWay;
    const paying = this.#pay(payment).finally(() => this.#underWay.delete(payment.name));
    this.#underWay.set(payment.name, paying);
    return paying;
  }

  async #pay(payment: Payment): Promise<PaymentOutcome> {
    const { name, methods, params, rows, signal } = payment;
    try {
      const earlier = this.#judge(name, await rows(signal), 0);
      if (earlier !== undefined && earlier.status !== 'failed') return earlier;
    } catch (error) {
      // Only where nothing was asked for before is it certain that nothing is under way.
      const open = (this.#asked.get(name)?.untilMs ?? 0) > this.#now();
      return open ? outcomeOfProblem(undefined) : outcomeBefore(error);
    }
    const retrySeconds = Math.max(1, Math.min(payment.timeoutSeconds, maxRetrySeconds));
    const asked = this.#remember(name, this.#now() + retrySeconds * 1000 + settleMs);
    let problem: unknown;
    for (const method of methods) {
      const timeoutMs = payment.timeoutSeconds * 1000 + graceMs;
      const all = { ...params, retry_for: retrySeconds };
      try {
        const answer = await this.#rpc.call(method, withoutUnknown(method, all), {
          schema: paid,
          timeoutMs,
          signal,
        });
        asked.untilMs = 0;
        return succeeded(answer);
      } catch (error) {
        problem = error;
        // This version does not have the method, or not any more: then nothing was done.
        if (clnErrorOf((error as Partial<HttpProblem>).body)?.code !== clnCode.methodNotFound) break;
      }
    }
    if (problem instanceof HttpProblem && problem.certain) {
      asked.untilMs = 0;
      return outcomeOfProblem(problem);
    }
    return this.#outcomeOfUncertain(payment, problem, asked);
  }

  /** lightningd has said that it failed, or nothing that was understood: its list knows. */
  async #outcomeOfUncertain(payment: Payment, problem: unknown, asked: Asked): Promise<PaymentOutcome> {
    const aborted = problem instanceof HttpProblem && problem.aborted;
    const error = problem instanceof HttpProblem ? clnErrorOf(problem.body) : undefined;
    const open = outcomeOfProblem(problem);
    if (aborted) return open;
    let found: PaymentOutcome | undefined;
    try {
      found = outcomeOfRows(await payment.rows());
    } catch {
      return open;
    }
    if (found?.status === 'succeeded' || found?.status === 'pending') return found;
    // An answer with one of lightningd's codes about payments is the end of the payment; any other end may be one of
    // the connection alone, and proxies write {code, message} as well, with an HTTP status.
    const code = error?.code ?? 0;
    const ended = code > clnCode.inProgress && code < 300 && problem instanceof HttpProblem;
    if (!ended) return open;
    asked.untilMs = 0;
    const { failure, message, retryable } = problem;
    const neededFeeMsat = failure === 'fee_limit' ? feeOf(error?.data) : undefined;
    return {
      status: 'failed',
      failure,
      message,
      retryable,
      ...(neededFeeMsat === undefined ? {} : { neededFeeMsat }),
    };
  }

  /** What the rows of a payment say, unless lightningd may still begin it or try it again. */
  #judge(name: string, found: readonly ClnRow[], sinceMs: number): PaymentOutcome | undefined {
    const outcome = outcomeOfRows(found);
    if (outcome?.status === 'succeeded' || outcome?.status === 'pending') return outcome;
    const untilMs = this.#asked.get(name)?.untilMs ?? othersUntilMs(found, sinceMs);
    if (this.#now() >= untilMs) return outcome;
    const message =
      outcome === undefined
        ? 'the node does not know the payment yet: it may have been asked for a moment ago'
        : 'the attempts of the payment failed, and there may be another one in a moment';
    return { status: 'unknown', message };
  }

  #remember(name: string, untilMs: number): Asked {
    const asked = { untilMs };
    this.#asked.delete(name);
    this.#asked.set(name, asked);
    for (const oldest of this.#asked.keys()) {
      if (this.#asked.size <= maxRemembered) break;
      this.#asked.delete(oldest);
    }
    return asked;
  }

  /** @throws HttpProblem */
  async #knownVersion(signal: AbortSignal | undefined): Promise<ClnVersion> {
    if (this.#version !== undefined) return this.#version;
    const { version } = await this.#rpc.call('getinfo', {}, { schema: getInfo, signal });
    const match = /(\d{1,2})\.(\d{1,2})/.exec(version);
    // What does not say its version was built by somebody from what is new.
    this.#version = match === null ? [26, 6] : [Number(match[1]), Number(match[2])];
    return this.#version;
  }

  /** @throws HttpProblem */
  async #hasPlugin(signal: AbortSignal | undefined): Promise<boolean> {
    this.#plugin ??= await hasPlugin(this.#rpc, signal);
    return this.#plugin;
  }
}

/** Another process may have asked for it: as long after as it can take. */
function othersUntilMs(found: readonly ClnRow[], sinceMs: number): number {
  const newestMs = Math.max(sinceMs, ...found.map(({ created_at: seconds }) => seconds * 1000));
  return newestMs + maxRetrySeconds * 1000 + settleMs;
}

function isFrom([year, month]: ClnVersion, [fromYear, fromMonth]: ClnVersion): boolean {
  return year > fromYear || (year === fromYear && month >= fromMonth);
}

/**
 * Up to v27.03 the old call is better for recipients: `xkeysend` of v26.06 leaves 22 blocks to them, less than Eclair
 * and LDK want (`keysend` 42), and takes no route hints. From v27.03 on `keysend` is what `xkeysend` was.
 */
function keysendMethods(version: ClnVersion): readonly string[] {
  return isFrom(version, [26, 6]) ? ['keysend', 'xkeysend'] : ['keysend'];
}

/** Before v24.11 the limit is said by two others. */
function feeParams(version: ClnVersion, maxFeeMsat: bigint | undefined): Readonly<Record<string, number>> {
  if (maxFeeMsat === undefined) return {};
  if (isFrom(version, [24, 11])) return { maxfee: Number(maxFeeMsat) };
  return { maxfeepercent: 0, exemptfee: Number(maxFeeMsat) };
}

/** `xkeysend` has no route hints; `pay` has another name for the invoice. */
function withoutUnknown(
  method: string,
  params: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const { routehints, invstring, ...others } = params;
  return {
    ...others,
    ...(routehints !== undefined && method === 'keysend' && { routehints }),
    ...(invstring !== undefined && { [method === 'pay' ? 'bolt11' : 'invstring']: invstring }),
  };
}

/** The key, where lightningd's labels give it back as it is. */
function labelOf(key: string): string {
  return /^[\w .,:;/@+#=()-]{1,128}$/.test(key) ? key : `sha256:${bytesToHex(sha256(utf8ToBytes(key)))}`;
}

function succeeded(answer: z.output<typeof paid>): PaymentOutcome {
  const { payment_preimage: preimage, amount_msat: amountMsat, amount_sent_msat: sentMsat } = answer;
  return {
    status: 'succeeded',
    preimage,
    paymentHash: bytesToHex(sha256(hexToBytes(preimage))),
    feeMsat: sentMsat > amountMsat ? sentMsat - amountMsat : 0n,
  };
}

/** What a route would have cost that was too expensive. */
function feeOf(data: unknown): bigint | undefined {
  const parsed = z.object({ fee: msat }).safeParse(data);
  return parsed.success ? parsed.data.fee : undefined;
}
