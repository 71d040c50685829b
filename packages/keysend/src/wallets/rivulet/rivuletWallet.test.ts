import { sha256 } from '@rivulet/core/crypto';
import { createClient } from '@rivulet/sdk';
import { afterEach, describe, expect, test } from 'vitest';
import { walletSuite } from '../walletSuite.test.support.js';
import { ManualSchedule } from '../walletWorld.test.support.js';
import { RivuletServer } from './rivuletServer.test.support.js';
import { rivuletWallet } from './rivuletWallet.js';

const running: RivuletServer[] = [];

async function startServer(): Promise<RivuletServer> {
  const server = new RivuletServer();
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

function walletOf(server: RivuletServer, timers = new ManualSchedule(2_000), token = server.token) {
  return rivuletWallet(createClient({ url: server.server.url, token }), { schedule: timers.schedule });
}

walletSuite('Rivulet', async () => {
  const server = await startServer();
  const timers = new ManualSchedule(2_000);
  return {
    wallet: walletOf(server, timers),
    world: {
      nodeId: `03${'cd'.repeat(32)}`,
      secrets: [server.token],
      sent: () => server.sent,
      nextSend: (behaviour) => server.behaviours.push(behaviour),
      behaviours: new Set([
        'succeed',
        'fail',
        'hang',
        'cut',
        'paid_then_500',
        'paid_then_garbage',
        'paid_then_half',
      ]),
      failures: ['no_route', 'fee_limit', 'insufficient_balance', 'refused_by_destination'],
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
      openWrong: async () => walletOf(server, timers, `${server.token}00`),
      invoice: async (amountMsat) => server.makeInvoice(amountMsat),
      close: async () => {},
    },
  };
});

describe('the wallet of a Rivulet node', () => {
  const request = {
    nodeId: `03${'cd'.repeat(32)}`,
    amountMsat: 50_000n,
    records: new Map<bigint, Uint8Array>(),
    key: 'a',
    preimage: sha256(Uint8Array.of(1)),
  };

  test('sends hints as the contract has them', async () => {
    const server = await startServer();
    const hop = {
      nodeId: Uint8Array.from([2, ...new Uint8Array(32).fill(7)]),
      shortChannelId: (800_000n << 40n) | (1_200n << 16n) | 1n,
      feeBaseMsat: 1_000,
      feeProportionalMillionths: 10,
      cltvExpiryDelta: 80,
    };
    expect((await walletOf(server).keysend({ ...request, hints: [[hop]] })).status).toBe('succeeded');
    expect(server.keysends[0]?.hints).toEqual([
      [{ ...hop, nodeId: `02${'07'.repeat(32)}`, shortChannelId: '800000x1200x1' }],
    ]);
  });

  test('says what it would have cost', async () => {
    const server = await startServer();
    server.behaviours.push({ type: 'fail', failure: 'fee_limit', neededFeeMsat: 7_000n });
    expect(await walletOf(server).keysend(request)).toMatchObject({
      failure: 'fee_limit',
      neededFeeMsat: 7_000n,
    });
  });

  test('does not take an earlier payment of another amount for this one', async () => {
    const server = await startServer();
    const wallet = walletOf(server);
    await wallet.keysend(request);
    expect(await wallet.keysend({ ...request, amountMsat: 1n })).toMatchObject({
      status: 'failed',
      failure: 'request_invalid',
    });
  });

  test.each(['outcome_unknown', 'internal_error'])(
    'leaves open what the node itself does not know: %s',
    async (code) => {
      const server = await startServer();
      server.behaviours.push({ type: 'fail', failure: code as never });
      expect((await walletOf(server).keysend(request)).status).toBe('unknown');
    },
  );

  test.each([
    { isOld: false, invoicesAsked: 0 },
    { isOld: true, invoicesAsked: 3 },
  ])(
    'knows invoices that were paid from the list, or from an older node by asking: %o',
    async ({ isOld, invoicesAsked }) => {
      const server = await startServer();
      server.isOld = isOld;
      const one = { amountMsat: 1_000n, records: new Map() };
      const first = server.receive(one);
      server.receive(one, { keysend: false });
      const last = server.receive(one);
      const got: string[] = [];
      for await (const { paymentHash } of walletOf(server).subscribe({
        signal: new AbortController().signal,
      })) {
        if (got.push(paymentHash) === 2) break;
      }
      expect(got).toEqual([first, last]);
      expect(server.invoicesAsked).toBe(invoicesAsked);
    },
  );

  test('shows what is held, and decides', async () => {
    const server = await startServer();
    const wallet = walletOf(server);
    const paymentHash = 'ef'.repeat(32);
    server.held.set(paymentHash, { amountMsat: 1_000n, records: new Map([[7629169n, Uint8Array.of(1)]]) });
    const { signal } = new AbortController();
    for await (const one of wallet.heldKeysends({ signal })) {
      expect(one).toEqual({
        paymentHash,
        amountMsat: 1_000n,
        records: new Map([[7629169n, Uint8Array.of(1)]]),
      });
      await wallet.decide({ paymentHash, accept: true });
      break;
    }
    expect(server.decided).toEqual([{ paymentHash, accept: true }]);
    await expect(wallet.decide({ paymentHash, accept: false })).rejects.toMatchObject({
      code: 'state_conflict',
    });
  });
});
