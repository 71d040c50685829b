import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { keysendRecordType } from '../../records/recordTypes.js';
import * as z from '../../schema/index.js';
import { amountText } from '../../value/amountText.js';
import { defaultMaxFeeMsat, failed } from '../checkKeysend.js';
import { HttpProblem, outcomeOfProblem, toBase64, type WalletHttp } from '../http/index.js';
import type { CallOptions, InvoiceRequest, KeysendRequest, PaymentOutcome, PaymentQuery } from '../wallet.js';
import {
  grpcCode,
  grpcErrorOf,
  grpcErrorOfText,
  int64,
  isOfLnd,
  problemOfGrpc,
  toPathBase64,
} from './lndHttp.js';
import {
  isFinal,
  type LndPayment,
  lndPayment,
  oldAnswer,
  outcomeOfOldAnswer,
  outcomeOfPayment,
  paymentLine,
} from './lndPayment.js';

/** How much longer than the payment's own time the answer is waited for. */
const graceMs = 15_000;
/** A day: how far LND's clock and the caller's may be apart. */
const clocksApartMs = 86_400_000;

const largeAnswer = 32_000_000;

const payReq = z.object({ payment_hash: z.string(), num_msat: z.optional(int64) });
const paymentList = z.object({ payments: z.array(lndPayment), first_index_offset: z.optional(int64) });
const routes = z.object({ routes: z.array(z.object({ total_fees_msat: int64 })) });

interface Sending extends CallOptions {
  readonly body: Readonly<Record<string, unknown>>;
  readonly paymentHash: string;
  readonly amountMsat: bigint;
  readonly timeoutSeconds: number;
  readonly secrets: readonly string[];
}

/**
 * Payments over LND's router. LND refuses a second payment with the same hash while the first is under way or has
 * arrived, and stores a payment before it sends anything: so what it says of a hash is the truth.
 */
export class LndSender {
  readonly #http: WalletHttp;
  /** Old versions, and those without the router's calls. */
  #oldCall = false;

  constructor(http: WalletHttp) {
    this.#http = http;
  }

  async keysend(request: KeysendRequest, { signal }: CallOptions): Promise<PaymentOutcome> {
    const { preimage, amountMsat, nodeId, timeoutSeconds = 60 } = request;
    const hash = sha256(preimage);
    const maxFeeMsat = request.maxFeeMsat ?? defaultMaxFeeMsat(amountMsat);
    const hints = request.hints ?? [];
    const records = new Map([...request.records, [keysendRecordType, preimage]]);
    const outcome = await this.#send({
      paymentHash: bytesToHex(hash),
      amountMsat,
      timeoutSeconds,
      ...(signal === undefined ? {} : { signal }),
      secrets: [bytesToHex(preimage), toBase64(preimage)],
      body: {
        dest: toBase64(hexToBytes(nodeId)),
        amt_msat: amountMsat.toString(),
        payment_hash: toBase64(hash),
        dest_custom_records: Object.fromEntries(
          Array.from(records, ([type, value]) => [type.toString(), toBase64(value)]),
        ),
        // Without it only routes that cost nothing are tried.
        fee_limit_msat: maxFeeMsat.toString(),
        timeout_seconds: timeoutSeconds,
        no_inflight_updates: true,
        max_parts: 1,
        ...(hints.length === 0
          ? {}
          : {
              route_hints: hints.map((hops) => ({
                hop_hints: hops.map((hop) => ({
                  node_id: bytesToHex(hop.nodeId),
                  chan_id: hop.shortChannelId.toString(),
                  fee_base_msat: hop.feeBaseMsat,
                  fee_proportional_millionths: hop.feeProportionalMillionths,
                  cltv_expiry_delta: hop.cltvExpiryDelta,
                })),
              })),
              // Of a node that nobody has announced LND knows no features: it takes records (bit 9, TLV onions).
              dest_features: [9],
            }),
      },
    });
    if (outcome.status !== 'failed' || outcome.failure !== 'no_route' || hints.length > 0) return outcome;
    return (await this.#tooLowFee({ nodeId, amountMsat, maxFeeMsat }, signal)) ?? outcome;
  }

  async payInvoice(request: InvoiceRequest, { signal }: CallOptions): Promise<PaymentOutcome> {
    const { invoice, timeoutSeconds = 60 } = request;
    let decoded: z.output<typeof payReq>;
    try {
      const path = `/v1/payreq/${encodeURIComponent(invoice)}`;
      decoded = this.#read(payReq, await this.#http.json({ method: 'GET', path, signal }));
    } catch (problem) {
      // Only read so far: nothing is paid.
      if (!(problem instanceof HttpProblem)) throw problem;
      const { message, failure, retryable, body } = problem;
      if (failure !== 'other' || grpcErrorOfText(body) === undefined)
        return failed(failure, message, retryable);
      return failed('request_invalid', message);
    }
    const stated = decoded.num_msat ?? 0n;
    if (stated > 0n && request.amountMsat !== undefined && request.amountMsat !== stated) {
      return failed('request_invalid', 'the invoice has an amount of its own: pay that');
    }
    const amountMsat = stated > 0n ? stated : request.amountMsat;
    if (amountMsat === undefined || amountMsat <= 0n) {
      return failed('request_invalid', 'the invoice leaves the amount open: say how much');
    }
    return this.#send({
      paymentHash: decoded.payment_hash,
      amountMsat,
      timeoutSeconds,
      ...(signal === undefined ? {} : { signal }),
      secrets: [],
      body: {
        payment_request: invoice,
        ...(stated > 0n ? {} : { amt_msat: amountMsat.toString() }),
        fee_limit_msat: (request.maxFeeMsat ?? defaultMaxFeeMsat(amountMsat)).toString(),
        timeout_seconds: timeoutSeconds,
        no_inflight_updates: true,
      },
    });
  }

  /** @throws HttpProblem */
  async lookup(query: PaymentQuery, { signal }: CallOptions): Promise<PaymentOutcome | undefined> {
    const payment = await this.#find(query, signal);
    return payment === undefined ? undefined : outcomeOfPayment(payment);
  }

  async #send(sending: Sending): Promise<PaymentOutcome> {
    if (this.#oldCall) return this.#sendOld(sending);
    const { body, signal, timeoutSeconds, secrets } = sending;
    try {
      const lines = this.#http.lines({
        method: 'POST',
        path: '/v2/router/send',
        json: body,
        timeoutMs: timeoutSeconds * 1000 + graceMs,
        signal,
        secrets,
      });
      const payment = await this.#lastOf(lines);
      if (payment !== undefined && isFinal(payment)) return this.#settled(payment, sending);
      throw this.#http.notUnderstood();
    } catch (problem) {
      if (!(problem instanceof HttpProblem)) return outcomeOfProblem(problem);
      if (problem.certain) {
        if (problem.failure !== 'wallet_cannot') return outcomeOfProblem(problem);
        this.#oldCall = true;
        return this.#sendOld(sending);
      }
      if (problem.aborted) return outcomeOfProblem(problem);
      return this.#afterDoubt(problem, sending);
    }
  }

  /** The last state that a stream of a payment tells. @throws HttpProblem */
  async #lastOf(lines: AsyncIterable<string>): Promise<LndPayment | undefined> {
    let last: LndPayment | undefined;
    for await (const line of lines) {
      try {
        last = this.#paymentOf(line);
      } catch (problem) {
        if (last === undefined || !(problem instanceof HttpProblem) || !problem.certain) throw problem;
        // It was begun: whatever is said afterwards is not said of that.
        throw this.#http.notUnderstood();
      }
      if (isFinal(last)) return last;
    }
    return last;
  }

  /** @throws HttpProblem */
  #paymentOf(line: string): LndPayment {
    const body = this.#http.parse(line);
    const error = grpcErrorOf(body);
    if (error !== undefined) {
      const { message, certain, failure, retryable, body: said } = problemOfGrpc(error);
      throw new HttpProblem(this.#http.shown(message), {
        certain,
        failure,
        retryable,
        ...(said === undefined ? {} : { body: said }),
      });
    }
    return this.#read(paymentLine, body).result;
  }

  /** A final state: unless it is that of another payment under the same hash. */
  #settled(payment: LndPayment, { amountMsat }: Sending): PaymentOutcome {
    const differs = payment.value_msat !== undefined && payment.value_msat !== amountMsat;
    if (payment.status === 'SUCCEEDED' && differs) {
      return failed('request_invalid', 'another amount was paid under this key before: use a new key');
    }
    return outcomeOfPayment(payment);
  }

  /**
   * The request may have been carried out. What LND knows of the hash decides where it answered with an error of its
   * own, since it has then done with the request; where the answer was lost only good news is final.
   */
  async #afterDoubt(problem: HttpProblem, sending: Sending): Promise<PaymentOutcome> {
    const { paymentHash, signal, amountMsat, timeoutSeconds } = sending;
    const said = grpcErrorOfText(problem.body);
    const answer = said !== undefined && isOfLnd(said) ? said : undefined;
    const open = outcomeOfProblem(problem);
    let payment: LndPayment | undefined;
    try {
      payment = await this.#track(paymentHash, { signal, timeoutMs: 10_000 });
      if (payment !== undefined && !isFinal(payment) && answer?.code === grpcCode.alreadyExists) {
        // Somebody asked for the same before: wait for that.
        const waiting = { signal, timeoutMs: timeoutSeconds * 1000, toTheEnd: true };
        payment = (await this.#track(paymentHash, waiting).catch(() => undefined)) ?? payment;
      }
    } catch {
      return open;
    }
    if (payment === undefined) {
      return answer === undefined ? open : failed('request_invalid', problem.message);
    }
    if (payment.status === 'FAILED' && answer === undefined) return open;
    if (!isFinal(payment)) return outcomeOfPayment(payment);
    return this.#settled(payment, { ...sending, amountMsat });
  }

  /** What LND says of a hash; `undefined` where it certainly has no such payment. @throws HttpProblem */
  async #track(
    paymentHash: string,
    options: { signal: AbortSignal | undefined; timeoutMs: number; toTheEnd?: boolean },
  ): Promise<LndPayment | undefined> {
    const { signal, timeoutMs, toTheEnd = false } = options;
    const hash = toPathBase64(hexToBytes(paymentHash));
    const path = `/v2/router/track/${hash}?no_inflight_updates=${toTheEnd}`;
    try {
      const lines = this.#http.lines({ method: 'GET', path, timeoutMs, signal });
      if (toTheEnd) return await this.#lastOf(lines);
      for await (const line of lines) return this.#paymentOf(line);
      throw this.#http.notUnderstood();
    } catch (problem) {
      if (!(problem instanceof HttpProblem)) throw problem;
      const error = grpcErrorOfText(problem.body);
      // Not every 404 is one of LND itself: only these words say that it looked.
      if (error?.code === grpcCode.notFound && /isn't initiated/i.test(error.message)) return undefined;
      throw problem;
    }
  }

  /** @throws HttpProblem */
  async #find(query: PaymentQuery, signal: AbortSignal | undefined): Promise<LndPayment | undefined> {
    try {
      return await this.#track(query.paymentHash, { signal, timeoutMs: 10_000 });
    } catch (problem) {
      if (!(problem instanceof HttpProblem) || problem.failure !== 'wallet_cannot') throw problem;
    }
    return this.#findInList(query, signal);
  }

  /** From the newest back to the time before which nothing was sent. @throws HttpProblem */
  async #findInList(
    { paymentHash, sinceMs }: PaymentQuery,
    signal: AbortSignal | undefined,
  ): Promise<LndPayment | undefined> {
    let offset = 0n;
    for (;;) {
      const path = `/v1/payments?include_incomplete=true&reversed=true&max_payments=100&index_offset=${offset}`;
      // With every attempt and its route.
      const answer = await this.#http.json({ method: 'GET', path, signal, maxBytes: largeAnswer });
      const page = this.#read(paymentList, answer);
      const found = page.payments.find((payment) => payment.payment_hash === paymentHash);
      if (found !== undefined) return found;
      const oldest = page.payments[0];
      const next = page.first_index_offset ?? 0n;
      if (oldest === undefined || next <= 1n) return undefined;
      if (offset !== 0n && next >= offset) throw this.#http.notUnderstood();
      if (createdMs(oldest) < sinceMs - clocksApartMs) return undefined;
      offset = next;
    }
  }

  async #sendOld(sending: Sending): Promise<PaymentOutcome> {
    const { body, paymentHash, signal, timeoutSeconds, secrets } = sending;
    const { fee_limit_msat: feeLimit, dest, payment_hash: hash, ...rest } = body;
    const {
      timeout_seconds: _timeout,
      no_inflight_updates: _updates,
      max_parts: _parts,
      route_hints: hints,
      ...known
    } = rest;
    if (hints !== undefined)
      return failed('wallet_cannot', 'this version of LND uses no hints for a keysend');
    // It does not say for certain that a hash is being paid already: ask before, and send only what is not there.
    try {
      const query = { key: '', amountMsat: sending.amountMsat, paymentHash, sinceMs: 0 };
      const earlier = await this.#findInList(query, signal);
      if (earlier !== undefined && earlier.status !== 'FAILED') return this.#settled(earlier, sending);
    } catch (problem) {
      this.#oldCall = false;
      if (!(problem instanceof HttpProblem)) throw problem;
      return failed(problem.failure, problem.message, problem.retryable);
    }
    try {
      const answer = await this.#http.json({
        method: 'POST',
        path: '/v1/channels/transactions',
        json: {
          ...known,
          ...(dest === undefined ? {} : { dest }),
          ...(hash === undefined ? {} : { payment_hash: hash }),
          fee_limit: { fixed_msat: feeLimit },
        },
        timeoutMs: timeoutSeconds * 1000 + graceMs,
        signal,
        secrets,
      });
      return outcomeOfOldAnswer(this.#read(oldAnswer, answer), paymentHash);
    } catch (problem) {
      this.#oldCall = false;
      return outcomeOfProblem(problem);
    }
  }

  /** Whether only the limit of the fee was in the way, and what it would cost. Nothing where nobody can tell. */
  async #tooLowFee(
    { nodeId, amountMsat, maxFeeMsat }: { nodeId: string; amountMsat: bigint; maxFeeMsat: bigint },
    signal: AbortSignal | undefined,
  ): Promise<PaymentOutcome | undefined> {
    try {
      const limit = amountMsat + maxFeeMsat * 10n + 1_000_000n;
      const query = `amt_msat=${amountMsat}&fee_limit.fixed_msat=${limit}&use_mission_control=true`;
      const path = `/v1/graph/routes/${nodeId}/0?${query}`;
      const answer = await this.#http.json({ method: 'GET', path, timeoutMs: 10_000, signal });
      const neededFeeMsat = this.#read(routes, answer).routes[0]?.total_fees_msat ?? 0n;
      if (neededFeeMsat <= maxFeeMsat) return undefined;
      const message = `the only routes cost ${amountText(neededFeeMsat)}, and at most ${amountText(maxFeeMsat)} were allowed`;
      return { ...failed('fee_limit', message, true), neededFeeMsat };
    } catch {
      return undefined;
    }
  }

  #read<T extends z.AnySchema>(schema: T, body: unknown): z.output<T> {
    const parsed = schema.safeParse(body);
    if (!parsed.success) throw this.#http.notUnderstood();
    return parsed.data;
  }
}

function createdMs({ creation_time_ns: nanoseconds = 0n, creation_date: seconds = 0n }: LndPayment): number {
  return nanoseconds > 0n ? Number(nanoseconds / 1_000_000n) : Number(seconds) * 1000;
}
