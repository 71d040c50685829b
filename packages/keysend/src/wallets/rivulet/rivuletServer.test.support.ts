import { createHash, randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { hexToBytes } from '@rivulet/core/bytes';
import {
  type EndpointName,
  encodeEvent,
  encodeResponse,
  endpoints,
  eventsPath,
  type Payment,
  type RequestOf,
  type ResponseOf,
} from '@rivulet/sdk';
import { type Exchange, LoopbackServer, spoil } from '../loopbackServer.test.support.js';
import type { IncomingKeysend, SendBehaviour, SentKeysend } from '../walletWorld.test.support.js';

class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly details?: Record<string, unknown>,
  ) {
    super(`refused: ${code}`);
  }
}

type Answer<N extends EndpointName> = ResponseOf<N> | 'spoiled' | Promise<ResponseOf<N>>;

const sha256Hex = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** A Rivulet daemon as its contract describes it, without a node behind it. */
export class RivuletServer {
  readonly token = randomBytes(32).toString('hex');
  readonly nodeId = `02${'12'.repeat(32)}`;
  readonly server = new LoopbackServer((exchange) => this.#handle(exchange));
  readonly behaviours: SendBehaviour[] = [];
  readonly sent: SentKeysend[] = [];
  readonly payments: Payment[] = [];
  readonly held = new Map<string, IncomingKeysend>();
  readonly decided: { paymentHash: string; accept: boolean }[] = [];
  /** As daemons were before payments had a kind. */
  isOld = false;
  /** Questions about invoices. */
  invoicesAsked = 0;
  /** Hashes of our own invoices that were paid. */
  readonly ownInvoices = new Set<string>();
  readonly #foreign = new Map<string, { paymentHash: string; preimage: string; amountMsat: bigint }>();
  readonly #streams = new Set<ServerResponse>();
  #hanging: { finish: (how: 'succeeded' | 'failed') => void } | undefined;
  #onHang: (() => void)[] = [];
  readonly keysends: RequestOf<'keysend'>[] = [];

  hanging(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#hanging !== undefined) resolve();
      else this.#onHang.push(resolve);
    });
  }

  release(how: 'succeeded' | 'failed'): void {
    const hanging = this.#hanging;
    this.#hanging = undefined;
    if (hanging === undefined) throw new Error('nothing hangs');
    hanging.finish(how);
  }

  makeInvoice(amountMsat: bigint): { invoice: string; paymentHash: string } {
    const preimage = randomBytes(32);
    const paymentHash = sha256Hex(preimage);
    const invoice = `lnbcrt1${preimage.toString('hex')}`;
    this.#foreign.set(invoice, { paymentHash, preimage: preimage.toString('hex'), amountMsat });
    return { invoice, paymentHash };
  }

  receive({ amountMsat, records }: IncomingKeysend, { keysend = true } = {}): string {
    const preimage = randomBytes(32);
    const paymentHash = sha256Hex(preimage);
    if (!keysend) this.ownInvoices.add(paymentHash);
    const payment = this.#store({
      direction: 'incoming',
      ...(this.isOld ? {} : { kind: keysend ? 'keysend' : 'invoice' }),
      status: 'succeeded',
      paymentHash,
      amountMsat,
      records: new Map(records),
    });
    const line = `${JSON.stringify(encodeEvent({ type: 'payment_received', payment }))}\n`;
    for (const stream of this.#streams) stream.write(line);
    return paymentHash;
  }

  #store(
    fields: Pick<Payment, 'direction' | 'status' | 'paymentHash' | 'amountMsat'> & Partial<Payment>,
  ): Payment {
    const payment = {
      sequence: this.payments.length + 1,
      feeMsat: 0n,
      createdAtMs: 1_780_000_000_000,
      records: new Map(),
      ...fields,
    };
    this.payments.push(payment);
    return payment;
  }

  async #handle({ request, response, url, body }: Exchange): Promise<void> {
    const reply = (status: number, json: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
    try {
      if (request.headers.authorization !== `Bearer ${this.token}`) throw new Refused(401, 'unauthorized');
      if (url.pathname === eventsPath) {
        response.writeHead(200, { 'content-type': 'application/x-ndjson' });
        response.write('{"type":"heartbeat"}\n');
        this.#streams.add(response);
        response.on('close', () => this.#streams.delete(response));
        return;
      }
      const found = Object.entries(endpoints).find(([, { path }]) => path === url.pathname);
      if (found === undefined) throw new Refused(404, 'endpoint_not_found');
      const [name, endpoint] = found;
      const given = endpoint.method === 'GET' ? Object.fromEntries(url.searchParams) : JSON.parse(body);
      const parsed = endpoint.request.safeParse(given);
      if (!parsed.success) throw new Refused(400, 'invalid_request');
      const answer = await this.#answer(name as EndpointName, { request: parsed.data, response });
      if (answer !== 'spoiled') reply(200, encodeResponse(name as EndpointName, answer as never));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const { status, code, message, details } = error;
      reply(status, { error: { code, message, ...(details === undefined ? {} : { details }) } });
    }
  }

  #answer(
    name: EndpointName,
    { request, response }: { request: unknown; response: ServerResponse },
  ): Answer<EndpointName> {
    const { payments } = this;
    switch (name) {
      case 'info':
        return {
          nodeId: this.nodeId,
          alias: 'rebuilt',
          version: '0.1.0',
          network: 'regtest',
          blockHeight: 1,
          blockHash: '00'.repeat(32),
          synced: true,
          crypto: 'noble',
          listening: [],
          peers: 1,
          channels: { usable: 1, open: 1, pending: 0, closing: 0 },
          keysend: { accept: true, minAmountMsat: 1n },
        };
      case 'channels':
        return { channels: [channelOf(true), channelOf(false)] };
      case 'signMessage':
        return { nodeId: this.nodeId, signature: 'rb'.repeat(52) };
      case 'payment': {
        const { paymentHash, direction } = request as RequestOf<'payment'>;
        const found = payments.findLast(
          (one) => one.paymentHash === paymentHash && (direction ?? one.direction) === one.direction,
        );
        if (found === undefined) throw new Refused(422, 'unknown_payment');
        return found;
      }
      case 'payments': {
        const { after = 0, direction, limit = 100 } = request as RequestOf<'payments'>;
        const rest = payments.filter(
          (one) => one.sequence > after && (direction ?? one.direction) === one.direction,
        );
        const page = rest.slice(0, limit);
        const next = page.at(-1)?.sequence;
        return { payments: page, ...(rest.length > limit && next !== undefined ? { next } : {}) };
      }
      case 'invoices': {
        const { paymentHash = '' } = request as RequestOf<'invoices'>;
        this.invoicesAsked++;
        if (!this.ownInvoices.has(paymentHash)) throw new Refused(422, 'unknown_invoice');
        return { invoices: [invoiceOf(paymentHash)] };
      }
      case 'heldKeysends':
        return {
          keysends: Array.from(this.held, ([paymentHash, one]) => ({
            ...one,
            records: new Map(one.records),
            paymentHash,
            channelId: '00'.repeat(32),
            rule: 'ask',
            heldAtMs: 0,
            untilMs: 1,
          })),
        };
      case 'decideKeysend': {
        const decision = request as RequestOf<'decideKeysend'>;
        if (!this.held.delete(decision.paymentHash)) throw new Refused(422, 'unknown_payment');
        this.decided.push(decision);
        return {};
      }
      case 'decodeInvoice': {
        const found = this.#foreign.get((request as RequestOf<'decodeInvoice'>).invoice);
        if (found === undefined) throw new Refused(422, 'invoice_invalid');
        return {
          network: 'regtest',
          nodeId: this.nodeId,
          paymentHash: found.paymentHash,
          amountMsat: found.amountMsat,
          createdAtMs: 0,
          expiresAtMs: 1,
          expired: false,
          minFinalCltvDelta: 18,
          features: '',
          takesParts: true,
          hints: [],
        };
      }
      case 'pay': {
        const found = this.#foreign.get((request as RequestOf<'pay'>).invoice);
        if (found === undefined) throw new Refused(422, 'invoice_invalid');
        return this.#send({ ...found, nodeId: this.nodeId, records: new Map() }, response);
      }
      case 'keysend': {
        const given = request as RequestOf<'keysend'>;
        this.keysends.push(given);
        const { preimage = '', nodeId, amountMsat, records = new Map() } = given;
        const paymentHash = sha256Hex(hexToBytes(preimage));
        return this.#send({ paymentHash, preimage, nodeId, amountMsat, records }, response);
      }
      default:
        throw new Refused(404, 'endpoint_not_found');
    }
  }

  #send(
    wanted: {
      paymentHash: string;
      preimage: string;
      nodeId: string;
      amountMsat: bigint;
      records: Map<bigint, Uint8Array>;
    },
    response: ServerResponse,
  ): Answer<'keysend'> {
    const behaviour = this.behaviours.shift() ?? { type: 'succeed' };
    if (behaviour.type === 'cut' && !behaviour.paid) {
      spoil(response, 'cut');
      return 'spoiled';
    }
    const { paymentHash, preimage, nodeId, amountMsat, records } = wanted;
    const earlier = this.payments.findLast((one) => one.paymentHash === paymentHash);
    if (earlier !== undefined && earlier.status !== 'failed') {
      if (earlier.amountMsat !== amountMsat) throw new Refused(422, 'idempotency_conflict');
      return earlier;
    }
    const payment = this.#store({
      direction: 'outgoing',
      status: 'pending',
      paymentHash,
      amountMsat,
      records,
      nodeId,
    });
    const change = (fields: Partial<Payment>): Payment => {
      const changed = { ...payment, ...fields };
      this.payments[payment.sequence - 1] = changed;
      if (changed.status === 'succeeded') this.sent.push({ nodeId, amountMsat, records });
      return changed;
    };
    switch (behaviour.type) {
      case 'succeed':
        return change({ status: 'succeeded', preimage, feeMsat: behaviour.feeMsat ?? 1_000n });
      case 'fail': {
        const { failure: code, neededFeeMsat } = behaviour;
        change({ status: 'failed', failure: { code, message: `it failed: ${code}` } });
        throw new Refused(
          422,
          code,
          neededFeeMsat === undefined ? {} : { feeMsat: neededFeeMsat.toString() },
        );
      }
      case 'hang':
        return new Promise((resolve) => {
          this.#hanging = {
            finish: (status) => resolve(change(status === 'succeeded' ? { status, preimage } : { status })),
          };
          for (const onHang of this.#onHang.splice(0)) onHang();
        });
      default:
        change({ status: 'succeeded', preimage, feeMsat: 1_000n });
        spoil(response, behaviour.type);
        return 'spoiled';
    }
  }
}

function channelOf(usable: boolean): ResponseOf<'channels'>['channels'][number] {
  return {
    channelId: '11'.repeat(32),
    nodeId: `03${'34'.repeat(32)}`,
    state: 'open',
    link: usable ? 'online' : 'offline',
    usable,
    opener: 'local',
    channelType: 'anchors',
    announced: true,
    capacitySat: 1_000_000n,
    localMsat: 900_000_000n,
    remoteMsat: 100_000_000n,
    spendableMsat: 880_000_000n,
    receivableMsat: 90_000_000n,
    pendingHtlcs: 0,
    feeratePerKw: 253,
  };
}

function invoiceOf(paymentHash: string): ResponseOf<'invoices'>['invoices'][number] {
  return {
    sequence: 1,
    state: 'settled',
    paymentHash,
    invoice: 'lnbcrt1',
    description: '',
    createdAtMs: 0,
    expiresAtMs: 1,
  };
}
