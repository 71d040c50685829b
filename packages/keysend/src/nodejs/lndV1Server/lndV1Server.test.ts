import { createHash, randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { secp256k1 } from '@rivulet/core/crypto';
import { createInvoice } from '@rivulet/core/invoice';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { memoryStore } from '../../store/memoryStore.js';
import { lndWallet } from '../../wallets/lnd/index.js';
import { ServedWallet } from '../../wallets/serving/servedWallet.test.support.js';
import { ManualSchedule } from '../../wallets/walletWorld.test.support.js';
import { createLndV1Handler, type LndV1Server, startLndV1Server } from './lndV1Server.js';

const macaroonHex = '0123456789abcdef0123456789abcdef';
const nodeId = `03${'cd'.repeat(32)}`;
const base64 = (hex: string) => Buffer.from(hex, 'hex').toString('base64');

/** A keysend as apps ask LND for it. */
function keysend(fields: Readonly<Record<string, unknown>> = {}, preimage = randomBytes(32)) {
  const hash = createHash('sha256').update(preimage).digest();
  return {
    dest: base64(nodeId),
    amt: '21',
    payment_hash: hash.toString('base64'),
    dest_custom_records: {
      '5482373484': preimage.toString('base64'),
      '7629169': Buffer.from('{"action":"boost"}').toString('base64'),
    },
    ...fields,
  };
}

describe("LND's old calls, over any wallet", () => {
  let wallet: ServedWallet;
  let server: LndV1Server;
  let timers: ManualSchedule;
  const store = () => stored;
  let stored = memoryStore();

  beforeEach(async () => {
    wallet = new ServedWallet();
    timers = new ManualSchedule();
    stored = memoryStore();
    server = await startLndV1Server({
      wallet,
      store: store(),
      macaroonHex,
      port: 0,
      schedule: timers.schedule,
    });
  });
  afterEach(() => server.close());

  async function post(
    body: unknown,
    headers: Record<string, string> = { 'Grpc-Metadata-macaroon': macaroonHex },
  ) {
    const response = await fetch(`${server.url}/v1/channels/transactions`, {
      method: 'POST',
      headers,
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }
  const get = async (path: string) =>
    (await fetch(`${server.url}${path}`, { headers: { 'Grpc-Metadata-macaroon': macaroonHex } })).json();

  test('pays a keysend, and answers as LND did', async () => {
    const preimage = randomBytes(32);
    const { status, body } = await post(keysend({}, preimage));
    expect(status).toBe(200);
    expect(body).toEqual({
      payment_error: '',
      payment_preimage: preimage.toString('base64'),
      payment_hash: createHash('sha256').update(preimage).digest('base64'),
      payment_route: {
        total_time_lock: 0,
        total_fees: '1',
        total_amt: '22',
        hops: [],
        total_fees_msat: '1234',
        total_amt_msat: '22234',
      },
    });
    expect(wallet.keysends).toMatchObject([{ nodeId, amountMsat: 21_000n, maxFeeMsat: 21_000n }]);
    expect([...(wallet.keysends[0]?.records ?? [])]).toEqual([
      [7_629_169n, new TextEncoder().encode('{"action":"boost"}')],
    ]);
    expect(wallet.keysends[0]?.preimage).toEqual(new Uint8Array(preimage));
  });

  test.each([
    ['fixed', { fee_limit: { fixed: '10' } }, 10_000n],
    ['fixed_msat', { fee_limit: { fixed_msat: 1_500 } }, 1_500n],
    ['percent', { fee_limit: { percent: '10' } }, 2_100n],
    ['nothing, up to 1,000 sat', { amt: 1_000 }, 1_000_000n],
    ['nothing, above', { amt: undefined, amt_msat: '1000020' }, 50_001n],
  ])('limits the fee by %s', async (_name, fields, maxFeeMsat) => {
    expect((await post(keysend(fields))).body.payment_error).toBe('');
    expect(wallet.keysends[0]?.maxFeeMsat).toBe(maxFeeMsat);
  });

  test('takes the other names and alphabets of the same', async () => {
    const preimage = Buffer.alloc(32, 0xff);
    const hash = createHash('sha256').update(preimage).digest();
    const { body } = await post({
      dest_string: nodeId,
      amt_msat: 1_500,
      payment_hash_string: hash.toString('hex'),
      dest_custom_records: { 5482373484: preimage.toString('base64url') },
      final_cltv_delta: 40,
      allow_self_payment: true,
    });
    expect(body.payment_error).toBe('');
    expect(wallet.keysends).toMatchObject([{ nodeId, amountMsat: 1_500n }]);
  });

  test.each<[string, unknown, RegExp]>([
    ['no JSON', '{', /not JSON/],
    ['another thing', '[1]', /invalid value/],
    ['no destination', keysend({ dest: '' }), /pubkey/],
    ['a destination that is no key', keysend({ dest: 'AAAA' }), /pubkey/],
    ['no base64', keysend({ dest: '!!' }), /base64/],
    ['no amount', keysend({ amt: '0' }), /amount/],
    ['two amounts', keysend({ amt_msat: 5 }), /mutually exclusive/],
    ['less than nothing', keysend({ amt: '-1' }), /negative/],
    ['another hash', keysend({ payment_hash: Buffer.alloc(32).toString('base64') }), /hash is not that/],
    ['no preimage', keysend({ dest_custom_records: {} }), /preimage/],
    ['half a preimage', keysend({ dest_custom_records: { '5482373484': 'AAAA' } }), /preimage/],
    ['a record of the protocol', keysend({ dest_custom_records: { '8': 'AAAA' } }), /65536/],
    ['a channel of its choice', keysend({ outgoing_chan_id: '123' }), /not supported/],
    ['two limits', keysend({ fee_limit: { fixed: '1', percent: '1' } }), /one of/],
    ['an invoice that is none', { payment_request: 'lnbc1garbage' }, /payment request/],
  ])('refuses %s, and pays nothing', async (_name, body, message) => {
    const answer = await post(body);
    expect(answer.status).toBe(400);
    expect(answer.body).toEqual({ code: 3, message: expect.stringMatching(message), details: [] });
    expect(wallet.keysends).toHaveLength(0);
  });

  test('lets in nobody without the macaroon, and nothing that is too large', async () => {
    expect(await post(keysend(), {})).toMatchObject({ status: 401, body: { code: 16 } });
    for (const wrong of [`${macaroonHex}00`, macaroonHex.replace('0', '1'), 'x', ' ']) {
      expect(await post(keysend(), { 'Grpc-Metadata-macaroon': wrong })).toMatchObject({ status: 401 });
    }
    expect(await post(keysend({ dest: 'A'.repeat(100_000) }))).toMatchObject({ status: 413 });
    expect(wallet.keysends).toHaveLength(0);
    expect(() => createLndV1Handler({ wallet, store: store(), macaroonHex: 'abcd' })).toThrow(/random/);
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:/);
  });

  test.each([
    ['no_route', 'no_route'],
    ['insufficient_balance', 'insufficient_balance'],
    ['refused_by_destination', 'incorrect_payment_details'],
    ['timeout', 'timeout'],
    ['unreachable', 'error: because'],
  ] as const)('says %s as LND said it, with 200', async (failure, reason) => {
    wallet.plans.push({ status: 'failed', failure, message: 'because', retryable: true });
    const again = keysend();
    expect(await post(again)).toMatchObject({
      status: 200,
      body: { payment_error: reason, payment_preimage: '' },
    });
    // What failed for certain may be tried again with the same hash.
    expect((await post(again)).body.payment_error).toBe('');
  });

  test('never pays a hash twice, whatever is asked for with it', async () => {
    const preimage = randomBytes(32);
    const answers = await Promise.all([1, 2, 3].map(() => post(keysend({}, preimage))));
    const errors = answers.map(({ body }) => body.payment_error);
    expect(errors.filter((error) => error === '')).toHaveLength(1);
    expect((await post(keysend({}, preimage))).body.payment_error).toBe('invoice is already paid');
    expect((await post(keysend({ amt: '22' }, preimage))).body.payment_error).toMatch(/another payment/);
    expect(wallet.paid).toBe(1);
    // Nor after a restart.
    await server.close();
    server = await startLndV1Server({
      wallet,
      store: store(),
      macaroonHex,
      port: 0,
      schedule: timers.schedule,
    });
    expect((await post(keysend({}, preimage))).body.payment_error).toBe('invoice is already paid');
    expect(wallet.keysends).toHaveLength(1);
  });

  test('never calls a payment failed that is open', async () => {
    const body = keysend();
    wallet.plans.push('open');
    const waiting = post(body);
    while (wallet.keysends.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect((await post(body)).body.payment_error).toBe('payment is in transition');
    timers.elapse(600_000);
    expect(await waiting).toMatchObject({ status: 504, body: { code: 4 } });
    wallet.settle({ status: 'succeeded', feeMsat: 0n });
    timers.elapse(60_000);
    while (store().list({ prefix: 'lnd-v1/' })[0]?.value.includes('"open"')) {
      await new Promise((resolve) => setImmediate(resolve));
      timers.elapse(60_000);
    }
    expect((await post(body)).body.payment_error).toBe('invoice is already paid');
    expect(wallet.keysends).toHaveLength(1);
  });

  test('pays invoices, with an amount where they leave it open', async () => {
    const key = randomBytes(32);
    const invoiceOf = (amountMsat?: bigint) =>
      createInvoice(
        {
          currency: 'bcrt',
          ...(amountMsat !== undefined && { amountMsat }),
          timestamp: 1_780_000_000,
          paymentHash: new Uint8Array(randomBytes(32)),
          paymentSecret: new Uint8Array(32).fill(1),
          description: { type: 'text', text: 'coffee' },
        },
        (digest) => secp256k1.signRecoverable(digest, key),
      );
    const invoice = invoiceOf(50_000n);
    expect((await post({ payment_request: invoice })).body.payment_error).toBe('');
    expect((await post({ payment_request: invoice })).body.payment_error).toBe('invoice is already paid');
    expect(await post({ payment_request: invoiceOf(50_000n), amt: 5 })).toMatchObject({ status: 400 });
    expect(await post({ payment_request: invoiceOf() })).toMatchObject({ status: 400 });
    expect((await post({ payment_request: invoiceOf(), amt: '7' })).body.payment_error).toBe('');
    expect(wallet.invoices).toMatchObject([{ invoice, maxFeeMsat: 50_000n }, { amountMsat: 7_000n }]);
    expect(wallet.invoices[0]).not.toHaveProperty('amountMsat');
  });

  test('sets no limit where the wallet takes none, unless the app asked for one', async () => {
    wallet.can = { limitsFees: false };
    expect((await post(keysend())).body.payment_error).toBe('');
    expect(wallet.keysends[0]).not.toHaveProperty('maxFeeMsat');
    expect(await post(keysend({ fee_limit: { fixed: 1 } }))).toMatchObject({ status: 400 });
  });

  test('tells who it is and what it has', async () => {
    expect(await get('/v1/getinfo')).toMatchObject({
      identity_pubkey: wallet.nodeId,
      chains: [{ chain: 'bitcoin', network: 'regtest' }],
    });
    expect(await get('/v1/balance/channels')).toMatchObject({
      balance: '5000',
      local_balance: { sat: '5000', msat: '5000999' },
      remote_balance: { sat: '7', msat: '7000' },
    });
    for (let payment = 0; payment < 3; payment++) await post(keysend());
    wallet.plans.push({ status: 'failed', failure: 'no_route', message: 'no', retryable: true });
    await post(keysend());
    const indexes = async (query: string) =>
      (
        (await get(`/v1/payments?${query}`)) as { payments: { payment_index: string; status: string }[] }
      ).payments.map(({ payment_index, status }) => `${payment_index} ${status}`);
    const all = await indexes('include_incomplete=true');
    expect(all).toHaveLength(4);
    expect(all.filter((one) => one.endsWith('FAILED'))).toHaveLength(1);
    expect(await indexes('')).toHaveLength(3);
    expect(await indexes('include_incomplete=true&max_payments=2')).toEqual(all.slice(0, 2));
    expect(await indexes('include_incomplete=true&index_offset=2')).toEqual(all.slice(2));
    expect(await indexes('include_incomplete=true&index_offset=4&reversed=true&max_payments=2')).toEqual(
      all.slice(1, 3),
    );
    expect(await get('/v1/other')).toEqual({ code: 5, message: 'Not Found', details: [] });
  });

  test('serves a client that knows the old call alone', async () => {
    const client = lndWallet({ url: server.url, macaroonHex });
    const preimage = new Uint8Array(randomBytes(32));
    const outcome = await client.keysend({
      nodeId,
      amountMsat: 5_000n,
      records: new Map([[696_969n, Uint8Array.of(1)]]),
      key: 'a/1',
      preimage,
      maxFeeMsat: 1_000n,
    });
    expect(outcome).toMatchObject({ status: 'succeeded', feeMsat: 1_234n });
    expect(wallet.keysends).toMatchObject([{ nodeId, amountMsat: 5_000n, maxFeeMsat: 1_000n }]);
    await client.close();
  });

  test('outlives clients that go away in the middle', async () => {
    const { port } = new URL(server.url);
    await new Promise<void>((resolve) => {
      const half = httpRequest({
        port,
        method: 'POST',
        path: '/v1/channels/transactions',
        headers: { 'Grpc-Metadata-macaroon': macaroonHex, 'content-length': 500 },
      });
      half.on('error', () => resolve());
      half.write('{"dest":', () => half.destroy());
    });
    expect((await post(keysend())).body.payment_error).toBe('');
  });
});
