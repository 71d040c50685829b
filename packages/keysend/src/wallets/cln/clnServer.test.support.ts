import { createHash, randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { FakeLightningd } from '../../nodejs/clnPlugin/lightningd.test.support.js';
import { type Exchange, LoopbackServer, sendJson, spoil } from '../loopbackServer.test.support.js';
import type { WalletFailure } from '../wallet.js';
import type { IncomingKeysend, SendBehaviour, SentKeysend } from '../walletWorld.test.support.js';

const sha256Hex = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

type Params = Readonly<Record<string, unknown>>;

interface Row {
  readonly created_index: number;
  readonly id: number;
  readonly groupid: number;
  readonly payment_hash: string;
  readonly preimage: string;
  status: 'pending' | 'complete' | 'failed';
  readonly destination: string;
  readonly amount_msat: number;
  readonly amount_sent_msat: number;
  readonly created_at: number;
  readonly label: string | undefined;
}

const errors: Partial<Record<WalletFailure, { code: number; message: string }>> = {
  refused_by_destination: { code: 203, message: 'Destination said it does not know the payment' },
  no_route: { code: 205, message: 'Ran out of routes to try after 1 attempt' },
  fee_limit: { code: 206, message: 'Route wanted fee of 7000msat' },
  timeout: { code: 210, message: 'Timed out after 10 seconds' },
  insufficient_balance: { code: 215, message: 'not enough funds' },
};

/**
 * clnrest and lightningd behind it, rebuilt from Core Lightning's documents. With the plugin, what arrives goes
 * through its real process.
 */
export class ClnServer {
  readonly rune = Buffer.from(randomBytes(40)).toString('base64url');
  readonly nodeId = `02${'56'.repeat(32)}`;
  readonly server = new LoopbackServer((exchange) => this.#handle(exchange));
  readonly behaviours: SendBehaviour[] = [];
  readonly sent: SentKeysend[] = [];
  readonly rows: Row[] = [];
  readonly calls: { method: string; params: Params }[] = [];
  version = 'v26.06.6';
  /** Methods that this version does not have. */
  readonly missing = new Set<string>();
  lightningd: FakeLightningd | undefined;
  readonly #paid: { label: string; payment_hash: string; amount: number; at: number }[] = [];
  readonly #invoices = new Map<string, { preimage: string; payment_hash: string; amount: number }>();
  readonly #waiters = new Set<() => void>();
  #hanging: { row: Row; response: ServerResponse; params: Params } | undefined;
  #onHang: (() => void)[] = [];

  async startPlugin(): Promise<void> {
    this.lightningd = await FakeLightningd.start();
    await this.lightningd.startPlugin();
  }

  async close(): Promise<void> {
    await this.lightningd?.close();
    await this.server.stop();
  }

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
    if (how === 'succeeded') this.#complete(hanging.row, hanging.params);
    else hanging.row.status = 'failed';
  }

  makeInvoice(amountMsat: bigint): { invoice: string; paymentHash: string } {
    const preimage = randomBytes(32);
    const payment_hash = sha256Hex(preimage);
    const invoice = `lnbcrt1${preimage.toString('hex')}`;
    this.#invoices.set(invoice, {
      preimage: preimage.toString('hex'),
      payment_hash,
      amount: Number(amountMsat),
    });
    return { invoice, paymentHash: payment_hash };
  }

  async receive(
    { amountMsat, records }: IncomingKeysend,
    label = 'keysend-1780000000.000000001',
  ): Promise<string> {
    const preimage = randomBytes(32);
    const amount = Number(amountMsat);
    this.#paid.push({
      label,
      payment_hash: sha256Hex(preimage),
      amount,
      at: 1_780_000_000 + this.#paid.length,
    });
    for (const wake of [...this.#waiters]) wake();
    if (this.lightningd !== undefined && label.startsWith('keysend-')) {
      const { htlcAcceptedOf } = await import('../../nodejs/clnPlugin/lightningd.test.support.js');
      await this.lightningd.call('htlc_accepted', htlcAcceptedOf({ preimage, amountMsat: amount, records }));
      this.lightningd.invoicePaid(preimage, amount);
      await this.lightningd.keysends();
    }
    return sha256Hex(preimage);
  }

  async #handle({ request, response, url, body }: Exchange): Promise<unknown> {
    const match = /^\/v1\/([\w-]+)$/.exec(url.pathname);
    const fail = (status: number, code: number, message: string, data?: unknown) =>
      sendJson(response, status, { code, message, data });
    if (match === null) return fail(404, -32_601, 'Path not found');
    if (request.method !== 'POST') return fail(405, -32_601, 'Path invalid, http_method must be POST');
    if (request.headers.rune === undefined) return fail(403, 1501, 'Not authorized: Missing rune');
    if (request.headers.rune !== this.rune) return fail(401, 1501, 'Not authorized: Not derived from master');
    const method = match[1] as string;
    const params = (body === '' ? {} : JSON.parse(body)) as Params;
    this.calls.push({ method, params });
    if (this.missing.has(method)) return fail(404, -32_601, `Unknown command '${method}'`);
    const ok = (result: unknown) => sendJson(response, 201, result);
    switch (method) {
      case 'getinfo':
        return ok({ id: this.nodeId, alias: 'rebuilt', version: this.version, network: 'regtest' });
      case 'listpeerchannels':
        return ok({
          channels: [
            {
              state: 'CHANNELD_NORMAL',
              peer_connected: true,
              spendable_msat: 9_000_000,
              receivable_msat: 1_000,
            },
            { state: 'CHANNELD_NORMAL', peer_connected: false, spendable_msat: 5, receivable_msat: 5 },
            { state: 'ONCHAIN', peer_connected: false },
          ],
        });
      case 'signmessage':
        return ok({ signature: 'ab'.repeat(64), recid: '01', zbase: 'y'.repeat(104) });
      case 'wait':
        return ok({ subsystem: 'sendpays', created: this.rows.at(-1)?.created_index ?? 0 });
      case 'listsendpays':
        return ok({ payments: this.#list(params) });
      case 'keysend':
      case 'xkeysend': {
        const known = new Set(
          method === 'keysend'
            ? [
                'destination',
                'amount_msat',
                'label',
                'maxfee',
                'maxfeepercent',
                'exemptfee',
                'retry_for',
                'extratlvs',
                'routehints',
              ]
            : [
                'destination',
                'amount_msat',
                'label',
                'maxfee',
                'layers',
                'retry_for',
                'maxdelay',
                'extratlvs',
              ],
        );
        const unknown = Object.keys(params).find((name) => !known.has(name));
        if (unknown !== undefined) return fail(500, -32_602, `unknown parameter: ${unknown}`);
        return this.#pay(params, randomBytes(32).toString('hex'), response);
      }
      case 'decode': {
        const invoice = this.#invoices.get(String(params.string));
        if (invoice === undefined) return ok({ type: 'bolt11 invoice', valid: false });
        return ok({ type: 'bolt11 invoice', valid: true, payment_hash: invoice.payment_hash });
      }
      case 'pay':
      case 'xpay': {
        const invoice = this.#invoices.get(String(params[method === 'pay' ? 'bolt11' : 'invstring']));
        if (invoice === undefined) return fail(500, -32_602, 'Invalid bolt11');
        const { payment_hash, preimage, amount } = invoice;
        const earlier = this.rows.find(
          (row) => row.payment_hash === payment_hash && row.status === 'complete',
        );
        if (earlier !== undefined) return fail(500, 219, 'Already paid this invoice successfully');
        return this.#pay({ ...params, destination: this.nodeId, amount_msat: amount }, preimage, response);
      }
      case 'waitanyinvoice':
        return this.#waitAny(Number(params.lastpay_index), ok);
      case 'rivulet-keysends':
        if (this.lightningd === undefined) return fail(404, -32_601, `Unknown command '${method}'`);
        return ok(await this.lightningd.keysends(params));
      default:
        return fail(404, -32_601, `Unknown command '${method}'`);
    }
  }

  #list({ payment_hash: hash, index, start = 1, limit = Number.POSITIVE_INFINITY }: Params): unknown[] {
    return this.rows
      .filter((row) => (hash === undefined ? row.created_index >= Number(start) : row.payment_hash === hash))
      .slice(0, index === undefined ? undefined : Number(limit))
      .map(({ preimage, ...row }) => ({
        ...row,
        ...(row.status === 'complete' && { payment_preimage: preimage }),
      }));
  }

  #waitAny(last: number, ok: (result: unknown) => void): void {
    const answer = (): boolean => {
      const invoice = this.#paid[last];
      if (invoice === undefined) return false;
      const { amount, at, ...fields } = invoice;
      ok({ ...fields, status: 'paid', pay_index: last + 1, amount_received_msat: amount, paid_at: at });
      return true;
    };
    if (answer()) return;
    const wake = (): void => {
      if (answer()) this.#waiters.delete(wake);
    };
    this.#waiters.add(wake);
  }

  #complete(row: Row, params: Params): void {
    row.status = 'complete';
    const records = Object.entries((params.extratlvs ?? {}) as Record<string, string>);
    this.sent.push({
      nodeId: row.destination,
      amountMsat: BigInt(row.amount_msat),
      records: new Map(
        records.map(([type, value]) => [BigInt(type), new Uint8Array(Buffer.from(value, 'hex'))]),
      ),
    });
  }

  #addRow(params: Params, preimage: string, feeMsat: number): Row {
    const created_index = (this.rows.at(-1)?.created_index ?? 0) + 1;
    const row: Row = {
      created_index,
      id: created_index,
      groupid: 1,
      payment_hash: sha256Hex(Buffer.from(preimage, 'hex')),
      preimage,
      status: 'pending',
      destination: String(params.destination),
      amount_msat: Number(params.amount_msat),
      amount_sent_msat: Number(params.amount_msat) + feeMsat,
      created_at: Math.floor(Date.now() / 1000),
      label: params.label as string | undefined,
    };
    this.rows.push(row);
    return row;
  }

  #pay(params: Params, preimage: string, response: ServerResponse): unknown {
    const behaviour = this.behaviours.shift() ?? { type: 'succeed' };
    const succeed = (): void => {
      const feeMsat = behaviour.type === 'succeed' ? Number(behaviour.feeMsat ?? 1_000n) : 1_000;
      const row = this.#addRow(params, preimage, feeMsat);
      this.#complete(row, params);
      if (behaviour.type !== 'succeed') return;
      sendJson(response, 201, {
        payment_preimage: preimage,
        failed_parts: 0,
        successful_parts: 1,
        amount_msat: row.amount_msat,
        amount_sent_msat: row.amount_sent_msat,
      });
    };
    switch (behaviour.type) {
      case 'succeed':
        return succeed();
      case 'fail': {
        // As lightningd does, a failed attempt stays in its list; another may have gone before it.
        if (behaviour.failure !== 'no_route') {
          for (let attempt = 0; attempt < 2; attempt++) this.#addRow(params, preimage, 0).status = 'failed';
        }
        const { code, message } = errors[behaviour.failure] ?? { code: 209, message: 'something else' };
        const data = behaviour.failure === 'fee_limit' ? { fee: Number(behaviour.neededFeeMsat) } : undefined;
        return sendJson(response, 500, { code, message, data });
      }
      case 'hang':
        this.#hanging = { row: this.#addRow(params, preimage, 1_000), response, params };
        for (const resolve of this.#onHang.splice(0)) resolve();
        return undefined;
      case 'cut':
        if (behaviour.paid) succeed();
        return spoil(response, 'cut');
      case 'rate_limit':
        return spoil(response, behaviour.type);
      default:
        succeed();
        return spoil(response, behaviour.type);
    }
  }
}
