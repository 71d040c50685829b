import { sha256 } from '@rivulet/core/crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { memoryStore } from '../../store/memoryStore.js';
import type { ToolkitStore } from '../../store/toolkitStore.js';
import type { KeysendRequest } from '../wallet.js';
import { walletSuite } from '../walletSuite.test.support.js';
import { ManualSchedule, type WalletWorld } from '../walletWorld.test.support.js';
import { EclairServer } from './eclairServer.test.support.js';
import { eclairWallet } from './eclairWallet.js';

const running: EclairServer[] = [];

async function startServer(): Promise<EclairServer> {
  const server = new EclairServer();
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

function walletOf(server: EclairServer, given: { timers?: ManualSchedule; store?: ToolkitStore } = {}) {
  const { timers = new ManualSchedule(5_000), store } = given;
  const { password } = server;
  const remember = store === undefined ? {} : { store };
  return eclairWallet({ url: server.server.url, password, schedule: timers.schedule, ...remember });
}

function worldOf(server: EclairServer, given: { timers: ManualSchedule; store?: ToolkitStore }): WalletWorld {
  return {
    nodeId: `03${'cd'.repeat(32)}`,
    secrets: [server.password, Buffer.from(`:${server.password}`).toString('base64')],
    sent: () => server.sent,
    nextSend: (behaviour) => server.behaviours.push(behaviour),
    failures: ['no_route', 'insufficient_balance', 'refused_by_destination'],
    hanging: () => server.hanging(),
    release: (outcome) => server.release(outcome),
    elapse: given.timers.elapse,
    receive: async (payment) => server.receive(payment),
    receiveInvoice: async (amountMsat) => {
      server.receive({ amountMsat, records: new Map() }, { keysend: false });
    },
    restart: () => server.server.restart(),
    stop: () => server.server.stop(),
    ...(given.store === undefined ? {} : { reopen: async () => walletOf(server, given) }),
    openWrong: async () => eclairWallet({ url: server.server.url, password: `${server.password}x` }),
    invoice: async (amountMsat) => server.makeInvoice(amountMsat),
    close: async () => {},
  };
}

walletSuite('Eclair, with a store that remembers', async () => {
  const server = await startServer();
  const given = { timers: new ManualSchedule(5_000), store: memoryStore() };
  return { wallet: walletOf(server, given), world: worldOf(server, given) };
});

walletSuite('Eclair, without a store', async () => {
  const server = await startServer();
  const given = { timers: new ManualSchedule(5_000) };
  return { wallet: walletOf(server, given), world: worldOf(server, given) };
});

describe('the wallet of an Eclair node', () => {
  const request: KeysendRequest = {
    nodeId: `03${'cd'.repeat(32)}`,
    amountMsat: 50_000_000n,
    records: new Map(),
    key: 'k'.repeat(128),
    preimage: sha256(Uint8Array.of(1)),
  };

  test('limits the fee by the flat limit alone, since Eclair takes the larger of both', async () => {
    const server = await startServer();
    const wallet = walletOf(server);
    server.behaviours.push({ type: 'succeed', feeMsat: 600_000n });
    // 3 % of it would be allowed by default.
    expect(await wallet.keysend({ ...request, maxFeeMsat: 5_999n })).toMatchObject({ failure: 'no_route' });
    const form = server.forms.find(({ nodeId }) => nodeId !== undefined);
    expect(form).toMatchObject({ maxFeeFlatSat: '5', maxFeePct: '0' });
    expect(form?.externalId).toMatch(/^[0-9a-f]{64}$/);
  });

  test('does not call a payment failed that began while it looked', async () => {
    const server = await startServer();
    const wallet = walletOf(server, { store: memoryStore() });
    server.blindLooks = 1;
    expect((await wallet.keysend(request)).status).toBe('succeeded');
    server.blindLooks = 1;
    const query = { key: request.key, amountMsat: 1n, paymentHash: '00'.repeat(32), sinceMs: 0 };
    expect(await wallet.lookup(query)).toMatchObject({ status: 'succeeded' });
  });

  test('without a store it does not claim to know what an earlier life has sent', async () => {
    const server = await startServer();
    const query = { key: 'a', amountMsat: 1n, paymentHash: '00'.repeat(32), sinceMs: 0 };
    expect((await walletOf(server).lookup(query))?.status).toBe('unknown');
    expect(await walletOf(server, { store: memoryStore() }).lookup(query)).toBeUndefined();
  });

  test('after an answer that was lost, another process sends nothing either', async () => {
    const server = await startServer();
    const store = memoryStore();
    server.behaviours.push({ type: 'cut', paid: true });
    expect((await walletOf(server, { store }).keysend(request)).status).toBe('unknown');
    expect((await walletOf(server, { store }).keysend(request)).status).toBe('unknown');
    expect(server.sent).toHaveLength(1);
  });

  test('does not call a payment failed that the node has forgotten, or that another node has taken', async () => {
    const server = await startServer();
    const wallet = walletOf(server, { store: memoryStore() });
    expect((await wallet.keysend(request)).status).toBe('succeeded');
    server.payments.splice(0);
    const query = { key: request.key, amountMsat: 1n, paymentHash: '00'.repeat(32), sinceMs: 0 };
    expect(await wallet.lookup(query)).toMatchObject({ status: 'unknown' });
    expect(await wallet.keysend(request)).toMatchObject({ status: 'unknown' });
    expect(server.sent).toHaveLength(1);
  });

  test('pays a second time for no key, though a proxy shows a page of its own for an answer that was lost', async () => {
    const server = await startServer();
    let lost = 1;
    const fetch = async (url: string, init: RequestInit) => {
      const answer = await globalThis.fetch(url, init);
      if (!url.endsWith('/sendtonode') || lost-- <= 0) return answer;
      return new Response('<html><h1>404 Not Found</h1></html>', { status: 404 });
    };
    const { password } = server;
    const wallet = eclairWallet({ url: server.server.url, password, fetch, store: memoryStore() });
    expect((await wallet.keysend(request)).status).toBe('unknown');
    expect((await wallet.keysend(request)).status).toBe('unknown');
    expect(server.sent).toHaveLength(1);
  });

  test('says where something else is at its address, before it asks for a payment', async () => {
    const asked: string[] = [];
    const fetch = async (url: string) => {
      asked.push(new URL(url).pathname);
      return new Response('<html>Welcome!</html>', { status: 404 });
    };
    const wallet = eclairWallet({ url: 'http://127.0.0.1:1', password: 'hush', fetch, store: memoryStore() });
    expect(await wallet.keysend(request)).toMatchObject({ status: 'failed', failure: 'wallet_cannot' });
    expect(asked).toEqual(['/getinfo']);
  });

  test('pays no other amount for an invoice than it has', async () => {
    const server = await startServer();
    const { invoice } = server.makeInvoice(5_000n);
    const outcome = await walletOf(server).payInvoice({ invoice, amountMsat: 50_000n });
    expect(outcome).toMatchObject({ status: 'failed', failure: 'request_invalid' });
    expect(server.sent).toHaveLength(0);
  });

  test('reads a long list page by page', async () => {
    const server = await startServer();
    const hashes = Array.from({ length: 250 }, () =>
      server.receive({ amountMsat: 1_000n, records: new Map() }),
    );
    const seen: string[] = [];
    const { signal } = new AbortController();
    for await (const { paymentHash } of walletOf(server).subscribe({ signal })) {
      seen.push(paymentHash);
      if (seen.length === 250) break;
    }
    expect(seen).toEqual(hashes);
  });
});
