import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { KeysendError } from '../../keysendError.js';
import type { ToolkitStore } from '../../store/toolkitStore.js';
import { type Schedule, systemSchedule } from '../../timing/schedule.js';
import { toBase64 } from '../../wallets/http/index.js';
import { type OnceResult, type OnceRow, PaidOnce } from '../../wallets/serving/paidOnce.js';
import type { PaymentOutcome, Wallet, WalletFailure } from '../../wallets/wallet.js';
import { type HttpHandler, listen, readBody, sendJson } from '../webhookServer.js';
import { type LndV1Payment, LndV1RequestError, readLndV1Request } from './lndV1Request.js';

export interface LndV1Options {
  readonly wallet: Wallet;
  /** Knows what was paid, so that nothing is paid twice. */
  readonly store: ToolkitStore;
  /** What apps send as their macaroon: hex digits of at least 16 random bytes. */
  readonly macaroonHex: string;
  readonly now?: () => number;
  readonly schedule?: Schedule;
  /** How long an app is let wait for a payment that is open; 10 minutes where it is absent. */
  readonly maxWaitMs?: number;
}

export interface LndV1Handler {
  readonly handle: HttpHandler;
  close(): void;
}

const maxBodyBytes = 65_536;
const maxOpen = 100;
const defaultTimeoutSeconds = 60;

/** gRPC's codes as the gateway tells them. */
const codes = {
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  exhausted: 8,
  unauthenticated: 16,
};

/**
 * The calls of LND's REST interface that were removed in version 0.21, over any wallet, for apps that still make
 * them: `POST /v1/channels/transactions`, and `GET /v1/payments` (those made here), `/v1/getinfo`,
 * `/v1/balance/channels`.
 *
 * As LND did, a payment is always answered with 200, and `payment_error` says what went wrong; an answer with an
 * error of the gateway means that nothing is certain. Each payment hash is paid once.
 * @throws KeysendError `request_invalid` for a macaroon that can be guessed.
 */
export function createLndV1Handler(options: LndV1Options): LndV1Handler {
  const {
    wallet,
    store,
    macaroonHex,
    now = Date.now,
    schedule = systemSchedule,
    maxWaitMs = 600_000,
  } = options;
  if (!/^([0-9a-f]{2}){16,}$/i.test(macaroonHex)) {
    throw new KeysendError(
      'request_invalid',
      'the macaroon of apps has to be hex digits of at least 16 random bytes',
    );
  }
  const expected = digestOf(macaroonHex.toLowerCase());
  const payments = new PaidOnce({ wallet, store, prefix: 'lnd-v1/', now, schedule });
  payments.resume();
  let open = 0;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const given = request.headers['grpc-metadata-macaroon'];
    if (typeof given !== 'string' || given === '') {
      return refuse(response, {
        status: 401,
        code: codes.unauthenticated,
        message: 'expected 1 macaroon, got 0',
      });
    }
    if (!timingSafeEqual(digestOf(given.toLowerCase()), expected)) {
      const message = 'verification failed: signature mismatch after caveat verification';
      return refuse(response, { status: 401, code: codes.unauthenticated, message });
    }
    const [path = '', query = ''] = (request.url ?? '').split('?');
    switch (`${request.method} ${path}`) {
      case 'POST /v1/channels/transactions':
        return pay(request, response);
      case 'GET /v1/payments':
        return sendJson(response, 200, listOf(payments.list(), new URLSearchParams(query)));
      case 'GET /v1/getinfo':
        return sendJson(response, 200, await infoOf(wallet));
      case 'GET /v1/balance/channels':
        return sendJson(response, 200, await balanceOf(wallet));
      default:
        return refuse(response, { status: 404, code: codes.notFound, message: 'Not Found' });
    }
  }

  async function pay(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (open >= maxOpen) {
      return refuse(response, {
        status: 429,
        code: codes.exhausted,
        message: 'too many payments are under way',
      });
    }
    open++;
    try {
      const body = await readBody(request, maxBodyBytes);
      if (body === undefined) {
        const message = `more than ${maxBodyBytes} bytes are not taken`;
        return refuse(response, { status: 413, code: codes.invalidArgument, message });
      }
      const payment = readLndV1Request(parse(body));
      const { limitsFees } = await wallet.capabilities();
      if (payment.limitGiven && !limitsFees) {
        throw new LndV1RequestError('fee_limit is not supported by the wallet that is used: leave it out');
      }
      const result = payments.pay({
        hash: payment.hash,
        fingerprint: fingerprintOf(payment),
        amountMsat: payment.amountMsat,
        ...(payment.type === 'keysend' && { nodeId: payment.nodeId }),
        send: (key) => send(payment, key, limitsFees),
      });
      await respond(response, payment, result);
    } finally {
      open--;
    }
  }

  function send(payment: LndV1Payment, key: string, limitsFees: boolean): Promise<PaymentOutcome> {
    const limits = {
      timeoutSeconds: defaultTimeoutSeconds,
      ...(limitsFees && { maxFeeMsat: payment.maxFeeMsat }),
    };
    if (payment.type === 'keysend') {
      const { nodeId, amountMsat, records, preimage } = payment;
      return wallet.keysend({ nodeId, amountMsat, records, preimage, key, ...limits });
    }
    const { invoice, amountMsat, amountGiven } = payment;
    return wallet.payInvoice({ invoice, ...(amountGiven && { amountMsat }), ...limits });
  }

  async function respond(response: ServerResponse, payment: LndV1Payment, result: OnceResult): Promise<void> {
    switch (result.type) {
      case 'paid':
        return sendJson(response, 200, failure('invoice is already paid', payment));
      case 'conflict':
        return sendJson(response, 200, failure('payment hash was used for another payment', payment));
      case 'refused':
        return sendJson(response, 200, failure(result.reason, payment));
      case 'under_way':
        return sendJson(response, 200, failure('payment is in transition', payment));
      case 'paying': {
        const outcome = await withinTime(result.outcome);
        if (outcome?.status === 'succeeded') return sendJson(response, 200, success(payment, outcome));
        if (outcome?.status === 'failed') {
          return sendJson(response, 200, failure(reasonOf(outcome.failure, outcome.message), payment));
        }
        // Never as a `payment_error`: the app would take it for a payment that was not made.
        const message =
          'what became of the payment is not certain yet: the same request tells, `invoice is already paid` once it was';
        return refuse(response, { status: 504, code: codes.deadlineExceeded, message });
      }
    }
  }

  function withinTime(outcome: Promise<PaymentOutcome>): Promise<PaymentOutcome | undefined> {
    return new Promise((resolve) => {
      const cancel = schedule(maxWaitMs, () => resolve(undefined));
      void outcome.then((value) => {
        cancel();
        resolve(value);
      });
    });
  }

  return {
    handle(request, response) {
      answer(request, response).catch((error: unknown) => {
        if (error instanceof LndV1RequestError) {
          refuse(response, { status: 400, code: codes.invalidArgument, message: error.message });
        } else if (error instanceof KeysendError) {
          refuse(response, { status: 500, code: codes.unknown, message: error.message });
        } else {
          refuse(response, { status: 500, code: codes.unknown, message: 'this is our fault' });
        }
      });
    },
    close: () => payments.close(),
  };
}

export interface LndV1Server {
  readonly url: string;
  close(): Promise<void>;
}

/** Serves it, on the loopback interface where no host is given: in front of it belongs whatever has TLS. */
export async function startLndV1Server({
  host = '127.0.0.1',
  port,
  ...options
}: LndV1Options & { readonly host?: string; readonly port: number }): Promise<LndV1Server> {
  const handler = createLndV1Handler(options);
  const server = createServer(handler.handle);
  server.requestTimeout = 15_000;
  server.headersTimeout = 10_000;
  server.maxConnections = 500;
  await listen(server, { host, port });
  const { address, port: taken, family } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${taken}`,
    async close() {
      handler.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    throw new LndV1RequestError('the request is not JSON');
  }
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Of everything that makes it another payment. */
function fingerprintOf(payment: LndV1Payment): string {
  const parts: unknown[] = [payment.type, String(payment.amountMsat)];
  if (payment.type === 'invoice') parts.push(payment.invoice);
  else {
    const records = Array.from(payment.records, ([type, value]) => [String(type), bytesToHex(value)]);
    parts.push(payment.nodeId, records.sort());
  }
  return digestOf(JSON.stringify(parts)).toString('hex');
}

/** What LND says of payments that failed, for apps that read it. */
function reasonOf(failureOfWallet: WalletFailure, message: string): string {
  switch (failureOfWallet) {
    case 'no_route':
    case 'fee_limit':
      return 'no_route';
    case 'insufficient_balance':
      return 'insufficient_balance';
    case 'refused_by_destination':
      return 'incorrect_payment_details';
    case 'timeout':
      return 'timeout';
    default:
      return `error: ${message}`;
  }
}

function failure(reason: string, { hash }: LndV1Payment) {
  return { payment_error: reason, payment_preimage: '', payment_route: null, payment_hash: base64Of(hash) };
}

function success(payment: LndV1Payment, outcome: Extract<PaymentOutcome, { status: 'succeeded' }>) {
  const ours = payment.type === 'keysend' ? bytesToHex(payment.preimage) : '';
  const totalMsat = payment.amountMsat + outcome.feeMsat;
  return {
    payment_error: '',
    // Wallets that choose the preimage themselves tell theirs: it is the one that was paid.
    payment_preimage: base64Of(outcome.preimage ?? ours),
    payment_hash: base64Of(outcome.paymentHash ?? payment.hash),
    payment_route: {
      total_time_lock: 0,
      total_fees: String(outcome.feeMsat / 1000n),
      total_amt: String(totalMsat / 1000n),
      hops: [],
      total_fees_msat: String(outcome.feeMsat),
      total_amt_msat: String(totalMsat),
    },
  };
}

const base64Of = (hex: string): string => toBase64(hexToBytes(hex));

const maxListed = 1_000;
const states = { open: 'IN_FLIGHT', succeeded: 'SUCCEEDED', failed: 'FAILED' } as const;

/** A page of what was paid here, as LND lists payments: `index_offset`, `max_payments` and `reversed`. */
function listOf(rows: readonly OnceRow[], query: URLSearchParams) {
  const whole = (name: string): number =>
    /^\d{1,9}$/.test(query.get(name) ?? '') ? Number(query.get(name)) : 0;
  const offset = whole('index_offset');
  const limit = Math.min(whole('max_payments') || maxListed, maxListed);
  const all = rows
    .map((row, index) => ({ row, index: index + 1 }))
    .filter(({ row }) => query.get('include_incomplete') === 'true' || row.state === 'succeeded');
  const reversed = query.get('reversed') === 'true';
  const page = reversed
    ? all.filter(({ index }) => offset === 0 || index < offset).slice(-limit)
    : all.filter(({ index }) => index > offset).slice(0, limit);
  return {
    payments: page.map(({ row, index }) => ({
      payment_hash: row.hash,
      payment_preimage: row.preimage ?? '',
      value_sat: String(BigInt(row.amountMsat) / 1000n),
      value_msat: row.amountMsat,
      fee_sat: String(BigInt(row.feeMsat ?? '0') / 1000n),
      fee_msat: row.feeMsat ?? '0',
      status: states[row.state],
      creation_date: String(Math.floor(row.startedAtMs / 1000)),
      creation_time_ns: `${row.startedAtMs}000000`,
      payment_index: String(index),
    })),
    first_index_offset: String(page[0]?.index ?? 0),
    last_index_offset: String(page.at(-1)?.index ?? 0),
  };
}

async function infoOf(wallet: Wallet) {
  const { nodeId = '', alias = '', network = '', version = '' } = await wallet.info();
  return {
    identity_pubkey: nodeId,
    alias,
    version,
    synced_to_chain: true,
    synced_to_graph: true,
    chains: network === '' ? [] : [{ chain: 'bitcoin', network }],
  };
}

async function balanceOf(wallet: Wallet) {
  const { spendableMsat, receivableMsat } = await wallet.balance();
  const amount = (msat: bigint) => ({ sat: String(msat / 1000n), msat: String(msat) });
  return {
    balance: String(spendableMsat / 1000n),
    pending_open_balance: '0',
    local_balance: amount(spendableMsat),
    ...(receivableMsat !== undefined && { remote_balance: amount(receivableMsat) }),
  };
}

function refuse(
  response: ServerResponse,
  { status, code, message }: { status: number; code: number; message: string },
): void {
  sendJson(response, status, { code, message, details: [] });
}
