import { afterEach, describe, expect, test } from 'vitest';
import type { KeysendRequest, Wallet } from '../wallet.js';
import { walletSuite } from '../walletSuite.test.support.js';
import { ManualSchedule, type WalletWorld } from '../walletWorld.test.support.js';
import { ClnServer } from './clnServer.test.support.js';
import { clnWallet } from './clnWallet.js';

const running: ClnServer[] = [];

async function startServer({ plugin = false } = {}): Promise<ClnServer> {
  const server = new ClnServer();
  await server.server.start();
  if (plugin) await server.startPlugin();
  running.push(server);
  return server;
}

afterEach(async () => {
  for (const server of running.splice(0)) {
    await server.close();
    expect(server.server.errors).toEqual([]);
  }
});

function walletOf(server: ClnServer, timers = new ManualSchedule(2_000), now = Date.now): Wallet {
  return clnWallet({ url: server.server.url, rune: server.rune, schedule: timers.schedule, now });
}

function worldOf(server: ClnServer, timers: ManualSchedule): WalletWorld {
  return {
    nodeId: `03${'cd'.repeat(32)}`,
    secrets: [server.rune],
    sent: () => server.sent,
    nextSend: (behaviour) => server.behaviours.push(behaviour),
    failures: ['no_route', 'fee_limit', 'insufficient_balance', 'refused_by_destination', 'timeout'],
    hanging: () => server.hanging(),
    release: (outcome) => server.release(outcome),
    elapse: timers.elapse,
    receive: (payment) => server.receive(payment),
    receiveInvoice: async (amountMsat) =>
      void (await server.receive({ amountMsat, records: new Map() }, 'tip jar')),
    restart: () => server.server.restart(),
    stop: () => server.server.stop(),
    reopen: async () => walletOf(server),
    openWrong: async () => clnWallet({ url: server.server.url, rune: 'bm90IGl0' }),
    invoice: async (amountMsat) => server.makeInvoice(amountMsat),
    close: async () => {},
  };
}

walletSuite('Core Lightning', async () => {
  const server = await startServer();
  const timers = new ManualSchedule(2_000);
  return { wallet: walletOf(server, timers), world: worldOf(server, timers) };
});

walletSuite('Core Lightning with the plugin', async () => {
  const server = await startServer({ plugin: true });
  const timers = new ManualSchedule(2_000);
  return { wallet: walletOf(server, timers), world: worldOf(server, timers) };
});

walletSuite('Core Lightning v27.03, whose keysend is the new one', async () => {
  const server = await startServer();
  server.version = 'v27.03';
  server.missing.add('xkeysend');
  const timers = new ManualSchedule(2_000);
  return { wallet: walletOf(server, timers), world: worldOf(server, timers) };
});

describe('a wallet of Core Lightning', () => {
  let counter = 0;
  const request = (fields: Partial<KeysendRequest> = {}): KeysendRequest => ({
    nodeId: `03${'cd'.repeat(32)}`,
    amountMsat: 21_000n,
    records: new Map(),
    key: `boost-${counter++}/1`,
    preimage: new Uint8Array(32).fill(7),
    maxFeeMsat: 5_000n,
    ...fields,
  });
  const paramsOf = (server: ClnServer, method: string) =>
    server.calls.filter((call) => call.method === method).map(({ params }) => params);

  test('says to old versions what a fee may be in their words', async () => {
    const server = await startServer();
    server.version = 'v24.08.2';
    const hop = {
      nodeId: new Uint8Array(33).fill(2),
      shortChannelId: (103n << 40n) | (1n << 16n) | 2n,
      feeBaseMsat: 1,
      feeProportionalMillionths: 10,
      cltvExpiryDelta: 9,
    };
    expect(await walletOf(server).keysend(request({ hints: [[hop]], timeoutSeconds: 30 }))).toMatchObject({
      status: 'succeeded',
    });
    expect(paramsOf(server, 'keysend')).toMatchObject([
      {
        maxfeepercent: 0,
        exemptfee: 5_000,
        retry_for: 30,
        routehints: [[{ id: '02'.repeat(33), scid: '103x1x2', feebase: 1, feeprop: 10, expirydelta: 9 }]],
      },
    ]);
  });

  test('takes the new call where the old one is switched off, and never both', async () => {
    const server = await startServer();
    server.missing.add('keysend');
    expect(await walletOf(server).keysend(request())).toMatchObject({ status: 'succeeded' });
    expect(server.sent).toHaveLength(1);
    server.missing.clear();
    server.behaviours.push({ type: 'fail', failure: 'no_route' });
    expect(await walletOf(server).keysend(request())).toMatchObject({ status: 'failed' });
    expect(paramsOf(server, 'xkeysend')).toHaveLength(1);
  });

  test('refuses versions whose list it cannot read', async () => {
    const server = await startServer();
    server.version = 'v23.08';
    const failure = { status: 'failed', failure: 'wallet_cannot' };
    expect(await walletOf(server).keysend(request())).toMatchObject(failure);
    expect(await walletOf(server).payInvoice({ invoice: server.makeInvoice(1n).invoice })).toMatchObject(
      failure,
    );
    expect(server.sent).toHaveLength(0);
  });

  test('says what a route would have cost', async () => {
    const server = await startServer();
    server.behaviours.push({ type: 'fail', failure: 'fee_limit', neededFeeMsat: 7_000n });
    expect(await walletOf(server).keysend(request())).toMatchObject({
      failure: 'fee_limit',
      neededFeeMsat: 7_000n,
    });
  });

  test('finds a payment among thousands, and reads each part of the list once', async () => {
    const server = await startServer();
    const wallet = walletOf(server);
    const first = request();
    await wallet.keysend(first);
    const [row] = server.rows;
    for (let index = 2; index <= 1_700; index++) {
      server.rows.push({
        ...row!,
        created_index: index,
        id: index,
        label: `other-${index}`,
        status: 'failed',
      });
    }
    const fresh = walletOf(server);
    expect(await fresh.keysend(first)).toMatchObject({ status: 'succeeded' });
    expect(server.sent).toHaveLength(1);
    const before = server.calls.length;
    await fresh.keysend(request());
    // The index that is the newest, and nothing that was read before.
    expect(server.calls.slice(before).map(({ method }) => method)).toEqual(['wait', 'keysend']);
  });

  test('does not send again what another process asked for a moment ago, until it cannot come any more', async () => {
    const server = await startServer();
    let nowMs = Date.now();
    const again = request();
    const query = { key: again.key, amountMsat: 21_000n, paymentHash: '00'.repeat(32), sinceMs: nowMs };
    const wallet = walletOf(server, new ManualSchedule(2_000), () => nowMs);
    expect(await wallet.lookup(query)).toMatchObject({ status: 'unknown' });
    nowMs += 300_000;
    expect(await wallet.lookup(query)).toBeUndefined();
    // Attempts that failed a moment ago, of a payment that another process may still wait for.
    nowMs = Date.now();
    server.behaviours.push({ type: 'fail', failure: 'refused_by_destination' });
    await walletOf(server).keysend(again);
    expect(await wallet.keysend(again)).toMatchObject({ status: 'unknown' });
    nowMs += 300_000;
    expect(await wallet.keysend(again)).toMatchObject({ status: 'succeeded' });
    expect(server.sent).toHaveLength(1);
  });

  test('does not take a proxy for lightningd that gave up waiting while it tries one route after the other', async () => {
    const server = await startServer();
    const fetch = async (url: string, init: RequestInit) => {
      const answer = await globalThis.fetch(url, init);
      if (!url.endsWith('/keysend') || answer.ok) return answer;
      // Its attempts so far have failed, and it goes on.
      return new Response('{"code":504,"message":"Gateway Timeout"}', { status: 504 });
    };
    const { rune } = server;
    const wallet = clnWallet({ url: server.server.url, rune, fetch });
    server.behaviours.push({ type: 'fail', failure: 'refused_by_destination' });
    const one = request();
    expect((await wallet.keysend(one)).status).toBe('unknown');
    expect((await wallet.keysend(one)).status).toBe('unknown');
    expect(paramsOf(server, 'keysend')).toHaveLength(1);
  });

  test('finds what it has paid since its list was restored from an older copy', async () => {
    const server = await startServer();
    const wallet = walletOf(server);
    for (let count = 0; count < 3; count++) await wallet.keysend(request());
    server.rows.splice(0);
    const one = request();
    expect(await walletOf(server).keysend(one)).toMatchObject({ status: 'succeeded' });
    expect(await wallet.keysend(one)).toMatchObject({ status: 'succeeded' });
    expect(server.sent).toHaveLength(4);
  });

  test('refuses a rune that is none, and does not show it', () => {
    for (const rune of ['', 'hush\nhush', 'hush hush', 'hüsh']) {
      const open = () => clnWallet({ url: 'http://127.0.0.1:1', rune });
      expect(open).toThrow(/base64/);
      expect(open).not.toThrow(/h.sh/);
    }
  });

  test('pays no other amount than a number of JSON can say', async () => {
    const server = await startServer();
    const outcome = await walletOf(server).keysend(request({ amountMsat: 2n ** 53n + 1n }));
    expect(outcome).toMatchObject({ status: 'failed', failure: 'request_invalid' });
    expect(server.sent).toHaveLength(0);
  });

  test('names payments whose keys lightningd would not give back as they are', async () => {
    const server = await startServer();
    const odd = request({ key: 'grüße "1"\n' });
    await walletOf(server).keysend(odd);
    expect(server.rows[0]?.label).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(await walletOf(server).keysend(odd)).toMatchObject({ status: 'succeeded' });
    expect(server.sent).toHaveLength(1);
  });

  test('begins anew where the list of the plugin is another one', async () => {
    const server = await startServer({ plugin: true });
    const hash = await server.receive({ amountMsat: 1_000n, records: new Map() });
    const { signal } = new AbortController();
    for await (const payment of walletOf(server).subscribe({ after: 'abcdef:999', signal })) {
      expect(payment.paymentHash).toBe(hash);
      break;
    }
    await expect(async () => {
      for await (const _ of walletOf(server).subscribe({ after: 'not a cursor', signal }));
    }).rejects.toMatchObject({ code: 'request_invalid' });
  });
});
