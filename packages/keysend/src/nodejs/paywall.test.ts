import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hexToBytes } from '@rivulet/core/bytes';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { memoryStore } from '../store/memoryStore.js';
import type { ReceivedPayment, Wallet } from '../wallets/wallet.js';
import { Paywall, type PaywallOptions, paywallRecord } from './paywall.js';
import { readBody } from './webhookServer.js';

const nodeId = `02${'aa'.repeat(32)}`;
let nowMs = Date.UTC(2026, 10, 21);
let servers: Server[] = [];
let ids = 0;
beforeEach(() => {
  nowMs = Date.UTC(2026, 10, 21);
  servers = [];
});
afterEach(() => {
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
});

interface Offer {
  readonly nodeId: string;
  readonly amountMsat: string;
  readonly records: Record<string, string>;
  readonly token: string;
}

async function world(options: Partial<PaywallOptions> = {}) {
  const store = options.store ?? memoryStore();
  const timers = new Set<() => void>();
  const make = (more: Partial<PaywallOptions> = {}) =>
    new Paywall({
      store,
      secret: new Uint8Array(32).fill(3),
      nodeId,
      price: (request) => (request.url === '/free' ? 0n : 1_000n),
      mode: 'request',
      now: () => nowMs,
      randomBytes: (count) => new Uint8Array(count).fill(++ids),
      schedule: (_, run) => {
        timers.add(run);
        return () => timers.delete(run);
      },
      ...options,
      ...more,
    });
  const paywall = make();
  let served = 0;
  let fails = false;
  const server = createServer(
    paywall.protect(async (request, response) => {
      if (fails) throw new Error('it failed');
      await readBody(request, 1_000);
      served++;
      response.end(`served ${request.url}`);
    }),
  );
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const get = async (path: string, token?: string, more: RequestInit = {}) => {
    const headers = {
      ...(token === undefined ? {} : { authorization: `Keysend ${token}` }),
      ...more.headers,
    };
    const response = await fetch(`${base}${path}`, { ...more, headers });
    const text = await response.text();
    const body =
      response.status === 402 ? (JSON.parse(text) as { pay: Offer; error: { code: string } }) : undefined;
    return {
      status: response.status,
      headers: response.headers,
      text,
      offer: body?.pay as Offer,
      code: body?.error.code,
    };
  };
  return {
    store,
    make,
    paywall,
    get,
    timers,
    served: () => served,
    fail: (value: boolean) => {
      fails = value;
    },
  };
}

let payments = 0;
function payment(offer: Offer, amountMsat = BigInt(offer.amountMsat)): ReceivedPayment {
  payments++;
  return {
    paymentHash: payments.toString(16).padStart(64, '0'),
    amountMsat,
    receivedAtMs: nowMs,
    records: new Map(Object.entries(offer.records).map(([type, hex]) => [BigInt(type), hexToBytes(hex)])),
    cursor: String(payments),
  };
}

describe('a paywall', () => {
  test('gives nothing back to who hangs up in the middle of what was paid for', async () => {
    const { store, make, paywall, get } = await world({ mode: 'credit' });
    const { offer } = await get('/a');
    paywall.receive(payment(offer, 1_000n));
    const again = make();
    const server = createServer(
      again.protect(async (_, response) => {
        const closed = new Promise((resolve) => response.once('close', resolve));
        response.write('nearly everything');
        await closed;
        throw new Error('premature close');
      }),
    );
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a`;
    const leaving = new AbortController();
    const response = await fetch(url, {
      headers: { authorization: `Keysend ${offer.token}` },
      signal: leaving.signal,
    });
    expect(response.status).toBe(200);
    leaving.abort();
    await new Promise<void>((resolve) => server.close(() => resolve()));
    expect(store.list({ prefix: 'paywall/main/account/' })[0]?.value).toBe('1000 1000');
    expect((await get('/a', offer.token)).status).toBe(402);
  });

  test('cuts off an answer that fails in the middle', async () => {
    const { make } = await world({ price: () => 0n });
    const server = createServer(
      make().protect(async (_, response) => {
        response.write('half');
        throw new Error('it failed');
      }),
    );
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a`;
    await expect(fetch(url).then((response) => response.text())).rejects.toThrow();
  });

  test('takes nothing off later for a request that was answered with an error', async () => {
    const { store, get, paywall, timers } = await world();
    const { offer } = await get('/a');
    const waiting = get('/a', offer.token, { headers: { prefer: 'wait=10' } });
    while (timers.size === 0) await new Promise((resolve) => setImmediate(resolve));
    const transaction = store.transaction.bind(store);
    paywall.receive(payment(offer, 0n));
    // The store fails once somebody is to be let through.
    let calls = 0;
    store.transaction = (body) => {
      if (calls++ === 1) throw new Error('the disk is full');
      return transaction(body);
    };
    paywall.receive(payment(offer));
    expect((await waiting).status).toBe(500);
    expect(timers.size).toBe(0);
    expect((await get('/a', offer.token)).status).toBe(200);
  });

  test('says how to pay, and serves what was paid for exactly once', async () => {
    const { get, paywall, served } = await world();
    const { status, headers, offer } = await get('/a');
    expect(status).toBe(402);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('www-authenticate')).toBe(
      `Keysend node="${nodeId}", amount_msat="1000", record="1380537701", token="${offer.token}", expires="${nowMs / 1000 + 900}"`,
    );
    expect(offer).toMatchObject({
      nodeId,
      amountMsat: '1000',
      records: { '1380537701': expect.any(String) },
    });
    expect((await get('/a', offer.token)).status).toBe(402);
    expect(paywall.receive(payment(offer))).toBe(true);
    const paid = await get('/a', offer.token);
    expect([paid.status, paid.text]).toEqual([200, 'served /a']);
    expect([paid.headers.get('keysend-cost'), paid.headers.get('keysend-balance')]).toEqual(['1000', '0']);
    expect((await get('/a', offer.token)).status).toBe(402);
    expect(served()).toBe(1);
  });

  test('lets through what is free', async () => {
    const { get } = await world();
    expect((await get('/free')).status).toBe(200);
  });

  test('counts a payment once, however often it is told, also after a restart', async () => {
    const { get, paywall, make, store } = await world();
    const { offer } = await get('/a');
    const once = payment(offer);
    paywall.receive(once);
    paywall.receive(once);
    make().receive(once);
    expect((await get('/a', offer.token)).status).toBe(200);
    expect((await get('/a', offer.token)).status).toBe(402);
    expect(store.get('paywall/main/cursor')).toBe(once.cursor);
  });

  test('adds up what was paid in parts, and says what is missing', async () => {
    const { get, paywall } = await world();
    const { offer } = await get('/a');
    paywall.receive(payment(offer, 400n));
    const again = await get('/a', offer.token);
    expect(again.offer).toMatchObject({ amountMsat: '600', token: offer.token });
    paywall.receive(payment(again.offer));
    expect((await get('/a', offer.token)).status).toBe(200);
  });

  test('takes a token for what it was asked for alone', async () => {
    const { get, paywall } = await world();
    const { offer } = await get('/a');
    paywall.receive(payment(offer, 2_000n));
    const other = await get('/b', offer.token);
    expect([other.status, other.code]).toEqual([402, 'token_invalid']);
    expect(other.offer.token).not.toBe(offer.token);
    expect((await get('/a', offer.token, { method: 'POST' })).status).toBe(402);
    expect((await get('/a', offer.token)).status).toBe(200);
    expect((await get('/a', offer.token)).status).toBe(200);
    expect((await get('/a', offer.token)).status).toBe(402);
  });

  test('with credit lets anything through until it is used up', async () => {
    const { get, paywall } = await world({ mode: 'credit' });
    const { offer } = await get('/a');
    paywall.receive(payment(offer, 2_500n));
    const balances = [];
    for (const path of ['/a', '/b', '/c']) {
      const { status, headers, offer: missing } = await get(path, offer.token);
      balances.push([status, headers.get('keysend-balance') ?? missing.amountMsat]);
    }
    expect(balances).toEqual([
      [200, '1500'],
      [200, '500'],
      [402, '500'],
    ]);
  });

  test('serves many requests at once no more often than was paid', async () => {
    const { get, paywall, served } = await world();
    const { offer } = await get('/a');
    paywall.receive(payment(offer, 3_000n));
    const answers = await Promise.all(Array.from({ length: 10 }, () => get('/a', offer.token)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
    expect(served()).toBe(3);
  });

  test('takes no token that it has not made', async () => {
    const { get, paywall, make, store } = await world();
    const { offer } = await get('/a');
    const other = make({ secret: new Uint8Array(32).fill(4) });
    expect(other.receive(payment(offer))).toBe(false);
    expect(make({ name: 'other' }).receive(payment(offer))).toBe(false);
    const [hex = ''] = Object.values(offer.records);
    for (let at = 0; at < 55; at++) {
      const bytes = hexToBytes(hex);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      const forged = { ...payment(offer), records: new Map([[paywallRecord, bytes]]) };
      expect(paywall.receive(forged)).toBe(false);
    }
    expect(store.list({ prefix: 'paywall/main/account' })).toEqual([]);
    for (const token of ['x', 'A'.repeat(74), `${offer.token}A`, '%']) {
      expect((await get('/a', token)).status).toBe(402);
    }
  });

  test('stores nothing for those who do not pay', async () => {
    const { get, store } = await world();
    for (let i = 0; i < 20; i++) await get(`/${i}`);
    expect(store.list({ prefix: '' })).toEqual([]);
  });

  test('offers a new token where the time of an unpaid one is up; what is paid stays paid', async () => {
    const { get, paywall } = await world();
    const { offer: unpaid } = await get('/a');
    const { offer: paid } = await get('/a');
    paywall.receive(payment(paid));
    nowMs += 1_000_000;
    expect((await get('/a', unpaid.token)).offer.token).not.toBe(unpaid.token);
    expect((await get('/a', paid.token)).status).toBe(200);
  });

  test('gives back what could not be served', async () => {
    const { get, paywall, fail } = await world();
    const { offer } = await get('/a');
    paywall.receive(payment(offer));
    fail(true);
    expect((await get('/a', offer.token)).status).toBe(500);
    fail(false);
    expect((await get('/a', offer.token)).status).toBe(200);
  });

  test('lets a client wait for its payment, and serves it as it arrives', async () => {
    const { get, paywall, timers, served } = await world({ maxWaiting: 1 });
    const { offer } = await get('/a');
    const waiting = get('/a', offer.token, { headers: { prefer: 'wait=20' } });
    while (timers.size === 0) await new Promise((resolve) => setImmediate(resolve));
    // No more than one may wait here.
    expect((await get('/a', offer.token, { headers: { prefer: 'wait=20' } })).status).toBe(402);
    paywall.receive(payment(offer));
    expect((await waiting).status).toBe(200);
    expect(timers.size).toBe(0);
    const tooLong = get('/a', offer.token, { headers: { prefer: 'wait=20' } });
    while (timers.size === 0) await new Promise((resolve) => setImmediate(resolve));
    for (const run of [...timers]) run();
    expect((await tooLong).status).toBe(402);
    expect(served()).toBe(1);
  });

  test('forgets whoever goes away while waiting', async () => {
    const { get, timers, paywall, served } = await world({ maxWaiting: 1 });
    const { offer } = await get('/a');
    const leave = new AbortController();
    const waiting = get('/a', offer.token, { headers: { prefer: 'wait=20' }, signal: leave.signal });
    while (timers.size === 0) await new Promise((resolve) => setImmediate(resolve));
    leave.abort();
    await expect(waiting).rejects.toThrow();
    while (timers.size > 0) await new Promise((resolve) => setImmediate(resolve));
    paywall.receive(payment(offer));
    expect(served()).toBe(0);
    expect((await get('/a', offer.token)).status).toBe(200);
  });

  test('follows a wallet from where it was, through lost connections', async () => {
    const { get, paywall, timers, store } = await world();
    const { offer } = await get('/a');
    const all = [payment(offer, 400n), { ...payment(offer), records: new Map() }, payment(offer, 600n)];
    const stop = new AbortController();
    const asked: (string | undefined)[] = [];
    const wallet = {
      kind: 'rivulet',
      capabilities: async () => ({ receives: 'records' }),
      async *subscribe({ after }: { after?: string }) {
        asked.push(after);
        const from = all.findIndex(({ cursor }) => cursor === after) + 1;
        yield* all.slice(from, from + 1 + asked.length);
        if (asked.length === 3) stop.abort();
        throw new Error('lost');
      },
    } as unknown as Wallet;
    const problems: unknown[] = [];
    const following = paywall.follow(wallet, {
      signal: stop.signal,
      onProblem: (error) => problems.push(error),
    });
    while (!stop.signal.aborted) {
      for (const run of [...timers]) run();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await following;
    expect(asked).toEqual([undefined, all[0]?.cursor, all[2]?.cursor]);
    expect(problems).toHaveLength(2);
    expect(store.get('paywall/main/cursor')).toBe(all[2]?.cursor);
    expect((await get('/a', offer.token)).status).toBe(200);
  });

  test('cannot follow a wallet that does not tell records', async () => {
    const { paywall } = await world();
    const wallet = { kind: 'cln', capabilities: async () => ({ receives: 'amounts' }) } as unknown as Wallet;
    await expect(paywall.follow(wallet, { signal: new AbortController().signal })).rejects.toThrow(
      /does not tell the records/,
    );
  });
});
