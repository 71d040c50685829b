import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { type Exchange, LoopbackServer, sendJson, spoil } from '../loopbackServer.test.support.js';
import type { WalletFailure } from '../wallet.js';
import type { IncomingKeysend, SendBehaviour, SentKeysend } from '../walletWorld.test.support.js';

const sha256Hex = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

interface StoredPayment {
  readonly id: string;
  readonly externalId: string | undefined;
  readonly preimage: string;
  readonly paymentHash: string;
  readonly nodeId: string;
  readonly amountMsat: bigint;
  readonly type: 'KeySend' | 'Standard';
  status: 'pending' | 'sent' | 'failed';
  feeMsat: bigint;
  messages: readonly string[];
}

interface StoredReceipt {
  readonly paymentHash: string;
  readonly amountMsat: bigint;
  readonly keysend: boolean;
  readonly atMs: number;
}

const messages: Partial<Record<WalletFailure, readonly string[]>> = {
  no_route: ['route not found'],
  fee_limit: ['route not found'],
  insufficient_balance: ['balance too low'],
  refused_by_destination: [
    'incorrect payment details or unknown payment hash for amountMsat=21000 height=1',
    'route not found',
  ],
};

/** Eclair's API, rebuilt from its documentation: forms, shapes, errors, and that it finds payments by its ids alone. */
export class EclairServer {
  readonly password = `eclair-${randomBytes(16).toString('hex')}`;
  readonly nodeId = `02${'56'.repeat(32)}`;
  readonly server = new LoopbackServer((exchange) => this.#handle(exchange));
  readonly behaviours: SendBehaviour[] = [];
  readonly sent: SentKeysend[] = [];
  readonly payments: StoredPayment[] = [];
  readonly forms: Readonly<Record<string, string>>[] = [];
  /** Looks at the list that miss a payment which begins in that moment. */
  blindLooks = 0;
  readonly #invoices = new Map<string, { preimage: string; paymentHash: string; amountMsat: bigint }>();
  readonly #received: StoredReceipt[] = [];
  #hanging: StoredPayment | undefined;
  #onHang: (() => void)[] = [];

  hanging(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#hanging !== undefined) resolve();
      else this.#onHang.push(resolve);
    });
  }

  release(how: 'succeeded' | 'failed'): void {
    const payment = this.#hanging;
    this.#hanging = undefined;
    if (payment === undefined) throw new Error('nothing hangs');
    this.#finish(payment, how === 'succeeded' ? { type: 'succeed' } : { type: 'fail', failure: 'no_route' });
  }

  makeInvoice(amountMsat: bigint): { invoice: string; paymentHash: string } {
    const preimage = randomBytes(32);
    const paymentHash = sha256Hex(preimage);
    const invoice = `lnbcrt1${preimage.toString('hex')}`;
    this.#invoices.set(invoice, { preimage: preimage.toString('hex'), paymentHash, amountMsat });
    return { invoice, paymentHash };
  }

  receive({ amountMsat }: IncomingKeysend, { keysend = true } = {}): string {
    const paymentHash = sha256Hex(randomBytes(32));
    const atMs = 1_780_000_000_000 + this.#received.length * 700;
    this.#received.push({ paymentHash, amountMsat, keysend, atMs });
    return paymentHash;
  }

  #handle({ request, response, url, body }: Exchange): unknown {
    const credentials = Buffer.from(`:${this.password}`).toString('base64');
    if (request.headers.authorization !== `Basic ${credentials}`) {
      return sendJson(response, 401, { error: 'The supplied authentication is invalid' });
    }
    if (request.method !== 'POST') return sendJson(response, 405, { error: 'HTTP method not allowed' });
    const form = Object.fromEntries(new URLSearchParams(body));
    this.forms.push(form);
    const missing = (name: string) =>
      sendJson(response, 400, { error: `Request is missing required form field '${name}'` });
    switch (url.pathname) {
      case '/getinfo':
        return sendJson(response, 200, {
          version: '0.14.1-rebuilt',
          nodeId: this.nodeId,
          alias: 'rebuilt',
          network: 'regtest',
          blockHeight: 9999,
        });
      case '/usablebalances':
        return sendJson(response, 200, [
          { remoteNodeId: this.nodeId, canSend: 100_000_000, canReceive: 20_000_000, isEnabled: true },
          { remoteNodeId: this.nodeId, canSend: 7_000_000, canReceive: 0, isEnabled: false },
        ]);
      case '/signmessage': {
        if (form.msg === undefined) return missing('msg');
        const signature = `1f${'ab'.repeat(64)}`;
        return sendJson(response, 200, { nodeId: this.nodeId, message: form.msg, signature });
      }
      case '/sendtonode': {
        const { nodeId, amountMsat, externalId } = form;
        if (amountMsat === undefined) return missing('amountMsat');
        if (nodeId === undefined) return missing('nodeId');
        const preimage = randomBytes(32);
        const paymentHash = sha256Hex(preimage);
        const wanted = { paymentHash, preimage: preimage.toString('hex'), nodeId, externalId };
        return this.#pay({ ...wanted, amountMsat: BigInt(amountMsat), type: 'KeySend' }, form, response);
      }
      case '/payinvoice': {
        const found = this.#invoices.get(form.invoice ?? '');
        if (found === undefined) return missing('invoice');
        return this.#pay(
          { ...found, nodeId: this.nodeId, externalId: undefined, type: 'Standard' },
          form,
          response,
        );
      }
      case '/parseinvoice': {
        const found = this.#invoices.get(form.invoice ?? '');
        if (found === undefined) {
          return sendJson(response, 400, { error: "The form field 'invoice' was malformed" });
        }
        const { paymentHash, amountMsat } = found;
        return sendJson(response, 200, { prefix: 'lnbcrt', paymentHash, amount: Number(amountMsat) });
      }
      case '/getsentinfo': {
        const { id, paymentHash } = form;
        if (id === undefined && paymentHash === undefined) return missing('id');
        if (this.blindLooks > 0) {
          this.blindLooks--;
          return sendJson(response, 200, []);
        }
        const found = this.payments.filter(
          (one) => one.id === id || (id === undefined && one.paymentHash === paymentHash),
        );
        return sendJson(response, 200, found.map(describePayment));
      }
      case '/listreceivedpayments': {
        // By when the row was made, and without those at the bounds themselves.
        const [from, to] = [Number(form.from) * 1000, Number(form.to) * 1000];
        const within = this.#received.filter(({ atMs }) => atMs > from && atMs < to);
        const skip = Number(form.skip ?? '0');
        return sendJson(response, 200, within.slice(skip, skip + Number(form.count)).map(describeReceipt));
      }
    }
    return sendJson(response, 404, { error: 'The requested resource could not be found.' });
  }

  #pay(
    wanted: Omit<StoredPayment, 'id' | 'status' | 'feeMsat' | 'messages'>,
    form: Readonly<Record<string, string>>,
    response: ServerResponse,
  ): unknown {
    const behaviour = this.behaviours.shift() ?? { type: 'succeed' };
    if (behaviour.type === 'rate_limit') return spoil(response, 'rate_limit');
    if (behaviour.type === 'cut' && !behaviour.paid) return spoil(response, 'cut');
    const payment: StoredPayment = {
      ...wanted,
      id: randomUUID(),
      status: 'pending',
      feeMsat: 0n,
      messages: [],
    };
    this.payments.push(payment);
    if (behaviour.type === 'hang') {
      this.#hanging = payment;
      for (const resolve of this.#onHang.splice(0)) resolve();
      return sendJson(response, 200, payment.id);
    }
    const flat = BigInt(form.maxFeeFlatSat ?? '21') * 1000n;
    const share = (payment.amountMsat * BigInt(Math.round(Number(form.maxFeePct ?? '3') * 100))) / 10_000n;
    this.#finish(payment, behaviour, flat > share ? flat : share);
    if (behaviour.type === 'succeed' || behaviour.type === 'fail') return sendJson(response, 200, payment.id);
    return spoil(response, behaviour.type);
  }

  #finish(payment: StoredPayment, behaviour: SendBehaviour, limit = 1_000_000n): void {
    const feeMsat = (behaviour.type === 'succeed' ? behaviour.feeMsat : undefined) ?? 1_000n;
    if (behaviour.type === 'fail' || feeMsat > limit) {
      payment.status = 'failed';
      payment.messages = messages[behaviour.type === 'fail' ? behaviour.failure : 'no_route'] ?? [
        'it failed',
      ];
      return;
    }
    payment.status = 'sent';
    payment.feeMsat = feeMsat;
    const { nodeId, amountMsat } = payment;
    this.sent.push({ nodeId, amountMsat, records: new Map() });
  }
}

function timestamp(ms: number) {
  return { iso: new Date(ms).toISOString(), unix: Math.floor(ms / 1000) };
}

function describePayment(payment: StoredPayment) {
  const { id, externalId, paymentHash, type, amountMsat, nodeId, preimage, feeMsat } = payment;
  const completedAt = timestamp(1_780_000_001_000);
  const status = {
    pending: { type: 'pending' },
    sent: { type: 'sent', paymentPreimage: preimage, feesPaid: Number(feeMsat), route: [], completedAt },
    failed: {
      type: 'failed',
      failures: payment.messages.map((failureMessage) => ({
        failureType: 'Local',
        failureMessage,
        failedRoute: [],
      })),
      completedAt,
    },
  }[payment.status];
  return {
    id,
    parentId: id,
    ...(externalId === undefined ? {} : { externalId }),
    paymentHash,
    paymentType: type,
    amount: Number(amountMsat),
    recipientAmount: Number(amountMsat),
    recipientNodeId: nodeId,
    createdAt: timestamp(1_780_000_000_000),
    status,
  };
}

function describeReceipt({ paymentHash, amountMsat, keysend, atMs }: StoredReceipt) {
  return {
    invoice: { prefix: 'lnbcrt', paymentHash, description: 'Donation', amount: Number(amountMsat) },
    paymentPreimage: '00'.repeat(32),
    paymentType: keysend ? 'KeySend' : 'Standard',
    createdAt: timestamp(atMs),
    status: { type: 'received', amount: Number(amountMsat), receivedAt: timestamp(atMs + 100) },
  };
}
