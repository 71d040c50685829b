import { bytesToHex } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { afterEach, describe, expect, test } from 'vitest';
import type { KeysendError } from '../../keysendError.js';
import type { KeysendRequest } from '../wallet.js';
import { walletSuite } from '../walletSuite.test.support.js';
import { ManualSchedule, type WalletWorld } from '../walletWorld.test.support.js';
import { LndServer } from './lndServer.test.support.js';
import { lndWallet } from './lndWallet.js';

const running: LndServer[] = [];

async function startServer(): Promise<LndServer> {
  const server = new LndServer();
  await server.server.start();
  running.push(server);
  return server;
}

afterEach(async () => {
  for (const server of running.splice(0)) {
    await server.server.stop();
    expect(server.server.errors).toEqual([]);
  }
});

function walletOf(server: LndServer, timers = new ManualSchedule(2_000)) {
  const { macaroonHex } = server;
  return lndWallet({ url: server.server.url, macaroonHex, schedule: timers.schedule, holdsKeysends: true });
}

function worldOf(server: LndServer, timers: ManualSchedule): WalletWorld {
  return {
    nodeId: `03${'cd'.repeat(32)}`,
    secrets: [server.macaroonHex, Buffer.from(server.macaroonHex, 'hex').toString('base64')],
    sent: () => server.sent,
    nextSend: (behaviour) => server.behaviours.push(behaviour),
    failures: server.old
      ? ['no_route', 'insufficient_balance', 'refused_by_destination']
      : ['no_route', 'fee_limit', 'insufficient_balance', 'refused_by_destination', 'timeout'],
    hanging: () => server.hanging(),
    release: (outcome) => server.release(outcome),
    elapse: timers.elapse,
    receive: async (payment) => server.receive(payment),
    receiveInvoice: async (amountMsat) => {
      server.receive({ amountMsat, records: new Map() }, { keysend: false });
    },
    restart: () => server.server.restart(),
    stop: () => server.server.stop(),
    reopen: async () => walletOf(server),
    openWrong: async () => lndWallet({ url: server.server.url, macaroonHex: `${server.macaroonHex}00` }),
    invoice: async (amountMsat) => server.makeInvoice(amountMsat),
    close: async () => {},
  };
}

walletSuite('LND', async () => {
  const server = await startServer();
  const timers = new ManualSchedule(2_000);
  return { wallet: walletOf(server, timers), world: worldOf(server, timers) };
});

walletSuite('LND of old, without the router', async () => {
  const server = await startServer();
  server.old = true;
  server.version = '0.9.2-beta';
  const timers = new ManualSchedule(2_000);
  return { wallet: walletOf(server, timers), world: worldOf(server, timers) };
});

describe('the wallet of an LND node', () => {
  const preimage = sha256(Uint8Array.of(1));
  const request: KeysendRequest = {
    nodeId: `03${'cd'.repeat(32)}`,
    amountMsat: 50_000n,
    records: new Map(),
    key: 'a',
    preimage,
  };

  test('always says what a payment may cost, since LND would only try routes that are free', async () => {
    const server = await startServer();
    const wallet = walletOf(server);
    await wallet.keysend(request);
    expect(server.bodies[0]).toMatchObject({
      fee_limit_msat: '50000',
      no_inflight_updates: true,
      max_parts: 1,
    });
    await wallet.keysend({ ...request, preimage: sha256(preimage), amountMsat: 40_000_000n });
    expect(server.bodies[1]).toMatchObject({ fee_limit_msat: '2000000' });
    await wallet.keysend({ ...request, preimage: sha256(sha256(preimage)), maxFeeMsat: 0n });
    expect(server.bodies[2]).toMatchObject({ fee_limit_msat: '0' });
  });

  test('sends hints as LND has them', async () => {
    const server = await startServer();
    const hop = {
      nodeId: Uint8Array.from([2, ...new Uint8Array(32).fill(7)]),
      shortChannelId: 0xffff_ffff_ffff_ffffn,
      feeBaseMsat: 1_000,
      feeProportionalMillionths: 10,
      cltvExpiryDelta: 80,
    };
    expect((await walletOf(server).keysend({ ...request, hints: [[hop]] })).status).toBe('succeeded');
    expect(server.bodies[0]?.route_hints).toEqual([
      {
        hop_hints: [
          {
            node_id: bytesToHex(hop.nodeId),
            chan_id: '18446744073709551615',
            fee_base_msat: 1_000,
            fee_proportional_millionths: 10,
            cltv_expiry_delta: 80,
          },
        ],
      },
    ]);
  });

  test('says what it would have cost where only the limit of the fee was in the way', async () => {
    const server = await startServer();
    server.behaviours.push({ type: 'succeed', feeMsat: 7_000n });
    expect(await walletOf(server).keysend({ ...request, maxFeeMsat: 5_000n })).toMatchObject({
      status: 'failed',
      failure: 'fee_limit',
      neededFeeMsat: 7_000n,
      retryable: true,
    });
  });

  test('does not take an earlier payment of another amount for this one', async () => {
    const server = await startServer();
    const wallet = walletOf(server);
    expect((await wallet.keysend(request)).status).toBe('succeeded');
    expect(await wallet.keysend({ ...request, amountMsat: 60_000n })).toMatchObject({
      status: 'failed',
      failure: 'request_invalid',
    });
    expect(server.sent).toHaveLength(1);
  });

  test.each([
    ['wallet locked, unlock it to enable full RPC access', 'unreachable', true],
    [
      'the RPC server is in the process of starting up, but not yet ready to accept calls',
      'unreachable',
      true,
    ],
    ['permission denied', 'unauthorized', false],
  ])('knows that nothing was paid when LND says: %s', async (message, failure, retryable) => {
    const server = await startServer();
    const wallet = walletOf(server);
    await wallet.capabilities();
    server.outOfService = message;
    expect(await wallet.keysend(request)).toMatchObject({ status: 'failed', failure, retryable });
  });

  test('asks LND what became of a request that it refused, and believes that', async () => {
    const server = await startServer();
    const wallet = walletOf(server);
    // Most is said with HTTP status 500, before and after a payment was begun: that LND has none is what counts.
    server.refusal = 'cltv limit 2016 should not be greater than 1008';
    const outcome = await wallet.keysend(request);
    expect(outcome).toMatchObject({ status: 'failed', failure: 'request_invalid', retryable: false });
    expect(outcome).toMatchObject({ message: expect.stringContaining('cltv limit') });
    server.refusal = 'something went wrong later';
    expect(await wallet.keysend(request)).toMatchObject({ status: 'failed' });
    expect((await wallet.keysend(request)).status).toBe('succeeded');
    server.refusal = 'something went wrong later';
    expect((await wallet.keysend(request)).status).toBe('succeeded');
    expect(server.sent).toHaveLength(1);
  });

  test.each([
    [14, 'connection error: transport is closing'],
    [13, 'stream terminated by RST_STREAM with error code: INTERNAL_ERROR'],
    [8, 'stream terminated by RST_STREAM with error code: ENHANCE_YOUR_CALM'],
    [8, 'grpc: received message larger than max (4194305 vs. 4194304)'],
    [502, 'Bad Gateway'],
    [504, 'The upstream server is timing out'],
    [504, 'verification failed'],
    [2, 'ERROR: permission denied for table payments (SQLSTATE 42501)'],
  ])('does not take for an answer of LND what is only between: %d %s', async (code, message) => {
    const server = await startServer();
    const wallet = walletOf(server);
    await wallet.capabilities();
    // Said before LND has it: what is in between may pass it on a moment later.
    server.refusalCode = code;
    server.refusal = message;
    const outcome = await wallet.keysend(request);
    // What LND says itself, it has done with.
    expect(outcome).toMatchObject(
      code === 2 ? { status: 'failed', failure: 'request_invalid' } : { status: 'unknown' },
    );
  });

  test('calls nothing failed of which it was told that it has begun', async () => {
    const fetch = async (url: string) => {
      if (url.endsWith('/v1/getinfo')) return new Response('{"code":16,"message":"no"}', { status: 401 });
      if (url.includes('/track/')) return new Response('', { status: 503 });
      const begun = { payment_hash: bytesToHex(sha256(preimage)), status: 'IN_FLIGHT' };
      const error = { code: 7, message: 'permission denied' };
      return new Response(`${JSON.stringify({ result: begun })}\n${JSON.stringify({ error })}\n`);
    };
    const wallet = lndWallet({ url: 'http://127.0.0.1:1', macaroonHex: '00', fetch });
    expect((await wallet.keysend(request)).status).toBe('unknown');
  });

  test('does not turn pages for ever that a broken server gives it', async () => {
    let offset = 500;
    const fetch = async (url: string) => {
      const error = (status: number) => new Response('{"code":5,"message":"Not Found"}', { status });
      if (url.endsWith('/v1/getinfo')) return new Response('{"code":16,"message":"no"}', { status: 401 });
      if (!url.includes('/v1/payments?')) return error(404);
      offset = offset === 500 ? 499 : 500;
      const payments = [{ payment_hash: '00', status: 'FAILED', creation_date: '1780000000' }];
      return new Response(JSON.stringify({ payments, first_index_offset: String(offset) }));
    };
    const wallet = lndWallet({ url: 'http://127.0.0.1:1', macaroonHex: '00', fetch });
    expect(await wallet.keysend(request)).toMatchObject({ status: 'failed', failure: 'other' });
  });

  test('reads on when nothing came for so long that fetch gave up', async () => {
    const server = await startServer();
    server.receive({ amountMsat: 1_000n, records: new Map() });
    server.receive({ amountMsat: 2_000n, records: new Map() });
    let silences = 2;
    const fetch = (url: string, init: RequestInit): Promise<Response> => {
      if (!url.includes('/subscribe') || silences-- <= 0) return globalThis.fetch(url, init);
      const cause = Object.assign(new Error('Headers Timeout Error'), { code: 'UND_ERR_HEADERS_TIMEOUT' });
      return Promise.reject(new TypeError('fetch failed', { cause }));
    };
    const wallet = lndWallet({ url: server.server.url, macaroonHex: server.macaroonHex, fetch });
    const { signal } = new AbortController();
    const amounts: bigint[] = [];
    for await (const { amountMsat } of wallet.subscribe({ signal })) {
      amounts.push(amountMsat);
      if (amounts.length === 2) break;
    }
    expect(amounts).toEqual([1_000n, 2_000n]);
    expect(silences).toBeLessThan(0);
  });

  test('a second one at once waits for the outcome of the first', async () => {
    const server = await startServer();
    const wallet = walletOf(server);
    server.behaviours.push({ type: 'hang' });
    const first = wallet.keysend(request);
    await server.hanging();
    const second = wallet.keysend(request);
    // It asks, hears that it is under way, and follows it.
    await expect.poll(() => server.payments.values().next().value?.watchers.length).toBeGreaterThan(1);
    server.release('succeeded');
    expect([(await first).status, (await second).status]).toEqual(['succeeded', 'succeeded']);
    expect(server.sent).toHaveLength(1);
  });

  test('shows what is held, takes one and gives the other back', async () => {
    const server = await startServer();
    const wallet = walletOf(server);
    expect((await wallet.capabilities()).holds).toBe(true);
    const records = new Map([[7629169n, Uint8Array.of(123)]]);
    const taken = server.receive({ amountMsat: 1_000n, records }, { hold: true });
    const refused = server.receive({ amountMsat: 2_000n, records: new Map() }, { hold: true });
    const stopping = new AbortController();
    const held: { paymentHash: string; amountMsat: bigint; records: ReadonlyMap<bigint, Uint8Array> }[] = [];
    for await (const one of wallet.heldKeysends({ signal: stopping.signal })) {
      held.push(one);
      await wallet.decide({ paymentHash: one.paymentHash, accept: one.paymentHash === taken });
      if (held.length === 2) break;
    }
    expect(held).toEqual([
      { paymentHash: taken, amountMsat: 1_000n, records },
      { paymentHash: refused, amountMsat: 2_000n, records: new Map() },
    ]);
    expect(server.invoices.map(({ state }) => state)).toEqual(['SETTLED', 'CANCELED']);
    const late = wallet.decide({ paymentHash: taken, accept: false });
    await expect(late).rejects.toMatchObject({ code: 'state_conflict' } satisfies Partial<KeysendError>);
  });

  test('refuses a macaroon that is no hex, and does not show it', () => {
    const secret = 'not-hex-but-secret';
    expect(() => lndWallet({ url: 'https://127.0.0.1:1', macaroonHex: secret })).toThrow(/hex digits/);
    try {
      lndWallet({ url: `https://user:${secret}@127.0.0.1:1`, macaroonHex: '00' });
    } catch (error) {
      expect((error as Error).message).not.toContain(secret);
    }
  });
});
