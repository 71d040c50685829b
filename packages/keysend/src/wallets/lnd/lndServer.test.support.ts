import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import {
  type Exchange,
  LoopbackServer,
  type ServerTls,
  sendJson,
  spoil,
} from '../loopbackServer.test.support.js';
import type { WalletFailure } from '../wallet.js';
import type { IncomingKeysend, SendBehaviour, SentKeysend } from '../walletWorld.test.support.js';

const preimageType = '5482373484';

interface StoredPayment {
  hash: string;
  index: number;
  dest: string;
  valueMsat: bigint;
  feeMsat: bigint;
  status: 'IN_FLIGHT' | 'SUCCEEDED' | 'FAILED';
  reason: string;
  preimage: string;
  records: Record<string, string>;
  watchers: (() => void)[];
}

interface StoredInvoice {
  hash: Buffer;
  preimage: Buffer;
  addIndex: number;
  settleIndex: number;
  state: 'OPEN' | 'SETTLED' | 'CANCELED' | 'ACCEPTED';
  isKeysend: boolean;
  amountMsat: bigint;
  records: Record<string, string>;
}

interface InvoiceStream {
  response: ServerResponse;
  addIndex: number;
  settleIndex: number;
}

/** The fields of routerrpc.SendPaymentRequest that a request may have: LND refuses all others. */
const sendFields: ReadonlySet<string> = new Set([
  'dest',
  'amt',
  'payment_hash',
  'final_cltv_delta',
  'payment_request',
  'timeout_seconds',
  'fee_limit_sat',
  'cltv_limit',
  'route_hints',
  'dest_custom_records',
  'amt_msat',
  'fee_limit_msat',
  'last_hop_pubkey',
  'allow_self_payment',
  'dest_features',
  'max_parts',
  'no_inflight_updates',
  'outgoing_chan_ids',
]);
/** Those of the old lnrpc.SendRequest. */
const oldSendFields: ReadonlySet<string> = new Set([
  'dest',
  'dest_string',
  'amt',
  'amt_msat',
  'payment_hash',
  'payment_hash_string',
  'payment_request',
  'final_cltv_delta',
  'fee_limit',
  'outgoing_chan_id',
  'last_hop_pubkey',
  'cltv_limit',
  'dest_custom_records',
  'allow_self_payment',
  'dest_features',
]);

const reasons: Partial<Record<WalletFailure, string>> = {
  no_route: 'FAILURE_REASON_NO_ROUTE',
  fee_limit: 'FAILURE_REASON_NO_ROUTE',
  insufficient_balance: 'FAILURE_REASON_INSUFFICIENT_BALANCE',
  refused_by_destination: 'FAILURE_REASON_INCORRECT_PAYMENT_DETAILS',
  timeout: 'FAILURE_REASON_TIMEOUT',
  other: 'FAILURE_REASON_ERROR',
};

/**
 * LND's REST interface, rebuilt from its proto files: paths, shapes, errors and their HTTP statuses, what it refuses,
 * when a stream begins to answer, and what it tells again after an index.
 */
export class LndServer {
  readonly macaroonHex = `0201036c6e64${randomBytes(32).toString('hex')}`;
  readonly server: LoopbackServer;
  readonly nodeId = `02${'ab'.repeat(32)}`;
  version = '0.20.1-beta commit=v0.20.1-beta';
  /** Instead of serving: what LND says while it cannot. */
  outOfService: string | undefined;
  /** What LND says against the next payment, before it is one. */
  refusal: string | undefined;
  /** The status of gRPC that comes with it: 2 is LND's, 14 the gateway's; those of HTTP are a proxy's. */
  refusalCode = 2;
  /** The router's calls are not there, the old one is. */
  old = false;
  readonly behaviours: SendBehaviour[] = [];
  readonly sent: SentKeysend[] = [];
  readonly bodies: Record<string, unknown>[] = [];
  readonly payments = new Map<string, StoredPayment>();
  readonly invoices: StoredInvoice[] = [];
  readonly #payReqs = new Map<string, { hash: string; preimage: string; amountMsat: bigint }>();
  readonly #streams = new Set<InvoiceStream>();
  #neededFeeMsat: bigint | undefined;
  #hanging: StoredPayment | undefined;
  #onHang: (() => void)[] = [];

  constructor(tls?: ServerTls) {
    this.server = new LoopbackServer((exchange) => this.#handle(exchange), tls);
  }

  hanging(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#hanging !== undefined) resolve();
      else this.#onHang.push(resolve);
    });
  }

  release(outcome: 'succeeded' | 'failed'): void {
    const payment = this.#hanging;
    this.#hanging = undefined;
    if (payment === undefined) throw new Error('nothing hangs');
    this.#finish(
      payment,
      outcome === 'succeeded' ? { type: 'succeed' } : { type: 'fail', failure: 'timeout' },
    );
  }

  makeInvoice(amountMsat: bigint): { invoice: string; paymentHash: string } {
    const preimage = randomBytes(32);
    const hash = bytesToHex(sha256(preimage));
    const invoice = `lnbcrt1${preimage.toString('hex')}`;
    this.#payReqs.set(invoice, { hash, preimage: preimage.toString('hex'), amountMsat });
    return { invoice, paymentHash: hash };
  }

  receive({ amountMsat, records }: IncomingKeysend, how: { hold?: boolean; keysend?: boolean } = {}): string {
    const preimage = randomBytes(32);
    const hash = Buffer.from(sha256(preimage));
    const isKeysend = how.keysend ?? true;
    const custom = new Map([...records].map(([type, value]) => [type.toString(), toBase64(value)]));
    if (isKeysend) custom.set(preimageType, toBase64(preimage));
    const invoice: StoredInvoice = {
      hash,
      preimage,
      addIndex: this.invoices.length + 1,
      settleIndex: 0,
      state: 'OPEN',
      isKeysend,
      amountMsat,
      records: Object.fromEntries(custom),
    };
    this.invoices.push(invoice);
    for (const stream of this.#streams) this.#tell(stream, invoice);
    if (how.hold === true) invoice.state = 'ACCEPTED';
    else this.#settle(invoice);
    return hash.toString('hex');
  }

  #settle(invoice: StoredInvoice): void {
    invoice.state = 'SETTLED';
    invoice.settleIndex = Math.max(0, ...this.invoices.map(({ settleIndex }) => settleIndex)) + 1;
    for (const stream of this.#streams) this.#tell(stream, invoice);
  }

  #tell(stream: InvoiceStream, invoice: StoredInvoice): void {
    if (invoice.state === 'SETTLED') {
      if (stream.settleIndex >= invoice.settleIndex) return;
      stream.settleIndex = invoice.settleIndex;
    } else {
      if (stream.addIndex >= invoice.addIndex) return;
      stream.addIndex = invoice.addIndex;
    }
    stream.response.write(`${JSON.stringify({ result: describeInvoice(invoice) })}\n`);
  }

  #handle(exchange: Exchange): unknown {
    const { request, response, url } = exchange;
    const call = `${request.method} ${url.pathname}`;
    const error = (status: number, code: number, message: string) =>
      sendJson(response, status, { code, message, details: [] });
    if (this.outOfService !== undefined) return error(500, 2, this.outOfService);
    const macaroon = request.headers['grpc-metadata-macaroon'];
    if (macaroon === undefined) return error(500, 2, 'expected 1 macaroon, got 0');
    if (macaroon !== this.macaroonHex) {
      return error(
        500,
        2,
        `verification failed: signature mismatch after caveat verification of ${macaroon}`,
      );
    }
    const json = (): Record<string, unknown> => {
      const body = JSON.parse(exchange.body) as Record<string, unknown>;
      this.bodies.push(body);
      return body;
    };
    if (this.old && url.pathname.startsWith('/v2/')) return error(404, 5, 'Not Found');
    switch (call) {
      case 'GET /v1/getinfo':
        return sendJson(response, 200, {
          version: this.version,
          identity_pubkey: this.nodeId,
          alias: 'rebuilt',
          synced_to_chain: true,
          chains: [{ chain: 'bitcoin', network: 'regtest' }],
        });
      case 'GET /v1/channels':
        return sendJson(response, 200, {
          channels: [
            channel({ local: '500000', remote: '400000', reserve: '10000' }),
            channel({ local: '5000', remote: '995000', reserve: '10000' }),
          ],
        });
      case 'POST /v1/signmessage': {
        const { msg } = json();
        if (typeof msg !== 'string' || Buffer.from(msg, 'base64').length === 0) {
          return error(400, 3, 'need a message to sign');
        }
        return sendJson(response, 200, { signature: 'rb'.repeat(52) });
      }
      case 'POST /v2/router/send':
        return this.#send(json(), response, false);
      case 'POST /v1/channels/transactions':
        if (!this.old) return error(404, 5, 'Not Found');
        return this.#send(json(), response, true);
      case 'GET /v1/payments':
        return this.#listPayments(url, response);
      case 'GET /v1/invoices':
        return this.#listInvoices(url, response);
      case 'GET /v1/invoices/subscribe':
        return this.#subscribe(url, response);
      case 'POST /v2/invoices/settle': {
        const preimage = Buffer.from(String(json().preimage), 'base64');
        const invoice = this.invoices.find((one) => one.hash.equals(sha256(preimage)));
        if (invoice === undefined) return error(404, 5, 'unable to locate invoice');
        if (invoice.state !== 'ACCEPTED')
          return error(500, 2, `invoice already ${invoice.state.toLowerCase()}`);
        this.#settle(invoice);
        return sendJson(response, 200, {});
      }
      case 'POST /v2/invoices/cancel': {
        const hash = Buffer.from(String(json().payment_hash), 'base64');
        const invoice = this.invoices.find((one) => one.hash.equals(hash));
        if (invoice === undefined) return error(404, 5, 'unable to locate invoice');
        if (invoice.state === 'SETTLED') return error(500, 2, 'invoice already settled');
        invoice.state = 'CANCELED';
        return sendJson(response, 200, {});
      }
    }
    const track = /^GET \/v2\/router\/track\/([A-Za-z0-9_=-]+)$/.exec(call);
    if (track !== null) return this.#track(Buffer.from(track[1] ?? '', 'base64url'), url, response);
    const invoice = /^GET \/v1\/invoice\/([0-9a-f]{64})$/.exec(call);
    if (invoice !== null) {
      const found = this.invoices.find((one) => one.hash.toString('hex') === invoice[1]);
      if (found === undefined) return error(404, 5, 'unable to locate invoice');
      return sendJson(response, 200, describeInvoice(found));
    }
    const payReq = /^GET \/v1\/payreq\/(.+)$/.exec(call);
    if (payReq !== null) {
      const found = this.#payReqs.get(decodeURIComponent(payReq[1] ?? ''));
      if (found === undefined) return error(500, 2, 'checksum failed. Expected x, got y.');
      const { hash, amountMsat } = found;
      return sendJson(response, 200, { payment_hash: hash, num_msat: amountMsat.toString() });
    }
    if (/^GET \/v1\/graph\/routes\/[0-9a-f]{66}\/0$/.test(call)) {
      const limit = BigInt(url.searchParams.get('fee_limit.fixed_msat') ?? '0');
      if (this.#neededFeeMsat === undefined || this.#neededFeeMsat > limit) {
        return error(500, 2, 'unable to find a path to destination');
      }
      return sendJson(response, 200, {
        routes: [{ total_fees_msat: this.#neededFeeMsat.toString(), hops: [] }],
        success_prob: 0.9,
      });
    }
    return error(404, 5, 'Not Found');
  }

  #send(body: Record<string, unknown>, response: ServerResponse, old: boolean): unknown {
    const error = (status: number, code: number, message: string) => {
      const fields = { code, message, details: [] };
      sendJson(response, status, old ? fields : { error: fields });
    };
    const fields = old ? oldSendFields : sendFields;
    const unknown = Object.keys(body).find((field) => !fields.has(field));
    if (unknown !== undefined) return error(400, 3, `proto: (line 1:2): unknown field "${unknown}"`);
    const wanted = this.#wanted(body);
    if (typeof wanted === 'string') return error(500, 2, wanted);
    const refusal = this.refusal;
    this.refusal = undefined;
    if (refusal !== undefined) {
      const { refusalCode: code } = this;
      return error(code > 16 ? code : code === 14 ? 503 : 500, code, refusal);
    }
    const behaviour = this.behaviours.shift() ?? { type: 'succeed' };
    if (behaviour.type === 'rate_limit') return spoil(response, 'rate_limit');
    if (behaviour.type === 'cut' && !behaviour.paid) return spoil(response, 'cut');
    const earlier = this.payments.get(wanted.hash);
    if (earlier !== undefined && earlier.status !== 'FAILED') {
      const message = earlier.status === 'IN_FLIGHT' ? 'payment is in transition' : 'invoice is already paid';
      if (old) return sendJson(response, 200, { payment_error: message, payment_preimage: '' });
      return error(409, 6, message);
    }
    const payment: StoredPayment = {
      ...wanted,
      index: this.payments.size + 1,
      feeMsat: 0n,
      status: 'IN_FLIGHT',
      reason: 'FAILURE_REASON_NONE',
      watchers: [],
    };
    this.payments.set(wanted.hash, payment);
    const limit = old
      ? BigInt((body.fee_limit as { fixed_msat?: string } | undefined)?.fixed_msat ?? '0')
      : BigInt(String(body.fee_limit_msat ?? '0'));
    if (behaviour.type === 'hang') {
      payment.watchers.push(() => answer(payment, response, old));
      this.#hanging = payment;
      for (const resolve of this.#onHang.splice(0)) resolve();
      return undefined;
    }
    this.#finish(payment, behaviour, limit);
    if (behaviour.type === 'succeed' || behaviour.type === 'fail') return answer(payment, response, old);
    return spoil(response, behaviour.type);
  }

  /** What a request asks for, or what LND says against it. */
  #wanted(body: Record<string, unknown>) {
    const payReq = body.payment_request;
    if (payReq !== undefined) {
      const found = this.#payReqs.get(String(payReq));
      if (found === undefined) return 'invalid payment request';
      return {
        hash: found.hash,
        dest: this.nodeId,
        valueMsat: found.amountMsat,
        preimage: found.preimage,
        records: {},
      };
    }
    const dest = Buffer.from(String(body.dest), 'base64');
    const hash = Buffer.from(String(body.payment_hash), 'base64');
    const valueMsat = BigInt(String(body.amt_msat ?? '0'));
    const records = (body.dest_custom_records ?? {}) as Record<string, string>;
    if (dest.length !== 33) return 'invalid pubkey length';
    if (hash.length !== 32) return 'invalid hash length';
    if (valueMsat <= 0n) return 'amount must be specified';
    if (Object.keys(records).some((type) => BigInt(type) < 65_536n)) {
      return 'no custom records allowed below minimum custom record type 65536';
    }
    const preimage = Buffer.from(records[preimageType] ?? '', 'base64');
    if (!hash.equals(sha256(preimage))) return 'the recipient would not take this keysend';
    return {
      hash: hash.toString('hex'),
      dest: dest.toString('hex'),
      valueMsat,
      preimage: preimage.toString('hex'),
      records,
    };
  }

  #finish(payment: StoredPayment, behaviour: SendBehaviour, limit = 1_000_000n): void {
    if (behaviour.type === 'fail') {
      payment.status = 'FAILED';
      payment.reason = reasons[behaviour.failure] ?? 'FAILURE_REASON_ERROR';
      this.#neededFeeMsat = behaviour.neededFeeMsat;
    } else {
      const feeMsat = (behaviour.type === 'succeed' ? behaviour.feeMsat : undefined) ?? 1_000n;
      if (feeMsat > limit) {
        this.#neededFeeMsat = feeMsat;
        payment.status = 'FAILED';
        payment.reason = 'FAILURE_REASON_NO_ROUTE';
      } else {
        payment.feeMsat = feeMsat;
        payment.status = 'SUCCEEDED';
        const records = new Map(
          Object.entries(payment.records)
            .filter(([type]) => type !== preimageType)
            .map(([type, value]): [bigint, Uint8Array] => [BigInt(type), Buffer.from(value, 'base64')]),
        );
        this.sent.push({ nodeId: payment.dest, amountMsat: payment.valueMsat, records });
      }
    }
    for (const watcher of payment.watchers.splice(0)) watcher();
  }

  #track(hash: Buffer, url: URL, response: ServerResponse): unknown {
    const payment = this.payments.get(hash.toString('hex'));
    if (payment === undefined) {
      const error = { code: 5, message: "payment isn't initiated", details: [] };
      return sendJson(response, 404, { error });
    }
    if (payment.status !== 'IN_FLIGHT') return answer(payment, response, false);
    if (url.searchParams.get('no_inflight_updates') !== 'true') {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write(`${JSON.stringify({ result: describePayment(payment) })}\n`);
    }
    return payment.watchers.push(() => answer(payment, response, false));
  }

  #listPayments(url: URL, response: ServerResponse): void {
    const max = Number(url.searchParams.get('max_payments') ?? '100');
    const offset = Number(url.searchParams.get('index_offset') ?? '0');
    const older = [...this.payments.values()].filter(({ index }) => offset === 0 || index < offset);
    const page = older.slice(-max);
    sendJson(response, 200, {
      payments: page.map(describePayment),
      first_index_offset: (page[0]?.index ?? 0).toString(),
      last_index_offset: (page.at(-1)?.index ?? 0).toString(),
    });
  }

  #listInvoices(url: URL, response: ServerResponse): void {
    const max = Number(url.searchParams.get('num_max_invoices') ?? '100');
    const offset = Number(url.searchParams.get('index_offset') ?? '0');
    const pending = url.searchParams.get('pending_only') === 'true';
    const page = this.invoices
      .filter(({ addIndex }) => addIndex > offset)
      .filter(({ state }) => !pending || state === 'OPEN' || state === 'ACCEPTED')
      .slice(0, max);
    sendJson(response, 200, {
      invoices: page.map(describeInvoice),
      first_index_offset: (page[0]?.addIndex ?? 0).toString(),
      last_index_offset: (page.at(-1)?.addIndex ?? 0).toString(),
    });
  }

  #subscribe(url: URL, response: ServerResponse): void {
    const stream: InvoiceStream = {
      response,
      addIndex: Number(url.searchParams.get('add_index') ?? '0'),
      settleIndex: Number(url.searchParams.get('settle_index') ?? '0'),
    };
    // The gateway sends no header before the first message.
    const bySettling = this.invoices
      .filter(({ settleIndex }) => settleIndex > stream.settleIndex)
      .sort((a, b) => a.settleIndex - b.settleIndex);
    if (stream.settleIndex > 0) for (const invoice of bySettling) this.#tell(stream, invoice);
    this.#streams.add(stream);
    response.on('close', () => this.#streams.delete(stream));
  }
}

function answer(payment: StoredPayment, response: ServerResponse, old: boolean): void {
  if (!old) {
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/json' });
    response.end(`${JSON.stringify({ result: describePayment(payment) })}\n`);
    return;
  }
  const paid = payment.status === 'SUCCEEDED';
  sendJson(response, 200, {
    payment_error: paid ? '' : payment.reason.toLowerCase().replace('failure_reason_', ''),
    payment_preimage: paid ? toBase64(hexToBytes(payment.preimage)) : '',
    payment_route: paid ? { total_fees_msat: payment.feeMsat.toString() } : null,
    payment_hash: toBase64(hexToBytes(payment.hash)),
  });
}

function describePayment(payment: StoredPayment) {
  return {
    payment_hash: payment.hash,
    payment_preimage: payment.status === 'SUCCEEDED' ? payment.preimage : '0'.repeat(64),
    value_sat: (payment.valueMsat / 1000n).toString(),
    value_msat: payment.valueMsat.toString(),
    fee_sat: (payment.feeMsat / 1000n).toString(),
    fee_msat: payment.feeMsat.toString(),
    status: payment.status,
    failure_reason: payment.reason,
    payment_index: payment.index.toString(),
    creation_time_ns: (1_780_000_000_000_000_000n + BigInt(payment.index)).toString(),
    creation_date: '1780000000',
    htlcs: [],
  };
}

function describeInvoice(invoice: StoredInvoice) {
  const settled = invoice.state === 'SETTLED';
  const arrived = settled || invoice.state === 'ACCEPTED';
  return {
    memo: '',
    r_preimage: toBase64(invoice.preimage),
    r_hash: toBase64(invoice.hash),
    value: '0',
    value_msat: '0',
    settled,
    creation_date: '1780000000',
    settle_date: settled ? '1780000001' : '0',
    add_index: invoice.addIndex.toString(),
    settle_index: invoice.settleIndex.toString(),
    amt_paid_sat: arrived ? (invoice.amountMsat / 1000n).toString() : '0',
    amt_paid_msat: arrived ? invoice.amountMsat.toString() : '0',
    state: invoice.state,
    htlcs: arrived
      ? [
          {
            chan_id: '770495967390531585',
            htlc_index: '0',
            amt_msat: invoice.amountMsat.toString(),
            state: settled ? 'SETTLED' : 'ACCEPTED',
            custom_records: invoice.records,
            mpp_total_amt_msat: '0',
            amp: null,
          },
        ]
      : [],
    is_keysend: invoice.isKeysend,
    is_amp: false,
  };
}

function channel({ local, remote, reserve }: { local: string; remote: string; reserve: string }) {
  return {
    active: true,
    local_balance: local,
    remote_balance: remote,
    local_constraints: { chan_reserve_sat: reserve },
    remote_constraints: { chan_reserve_sat: reserve },
  };
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
