import { bytesToHex } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KeysendError, type KeysendErrorCode } from '../keysendError.js';
import type { KeysendRequest, PaymentOutcome, PaymentQuery, ReceivedPayment, Wallet } from './wallet.js';
import type { SendBehaviour, WalletWorld } from './walletWorld.test.support.js';

/** Bytes that are no text, a large type, an empty value, and what an app would send. */
const strangeRecords: ReadonlyMap<bigint, Uint8Array> = new Map([
  [7629169n, new TextEncoder().encode('{"action":"boost","message":"grüße 🎧","value_msat_total":21000}')],
  [696969n, new TextEncoder().encode('account')],
  [65536n, new Uint8Array()],
  [5482373486n, Uint8Array.from({ length: 256 }, (_, index) => index)],
  [0xffff_ffff_ffff_ffffn, Uint8Array.of(0)],
]);

function strangeRecordsFor({ maxRecordType = 0xffff_ffff_ffff_ffffn }: WalletWorld) {
  return new Map([...strangeRecords].filter(([type]) => type <= maxRecordType));
}

let counter = 0;

function requestTo(world: WalletWorld, fields: Partial<KeysendRequest> = {}): KeysendRequest {
  counter++;
  const key = fields.key ?? `boost-${counter}/leg-${counter}`;
  return {
    nodeId: world.nodeId,
    amountMsat: 21_000n,
    records: new Map(),
    key,
    preimage: sha256(new TextEncoder().encode(`preimage of ${key}`)),
    maxFeeMsat: 5_000n,
    timeoutSeconds: 30,
    ...fields,
  };
}

function queryOf(request: KeysendRequest): PaymentQuery {
  return {
    key: request.key,
    nodeId: request.nodeId,
    amountMsat: request.amountMsat,
    paymentHash: bytesToHex(sha256(request.preimage)),
    sinceMs: 0,
  };
}

/** Only what this wallet can do goes into a request. */
async function fitting(wallet: Wallet, world: WalletWorld, fields: Partial<KeysendRequest> = {}) {
  const { limitsFees } = await wallet.capabilities();
  const request = requestTo(world, fields);
  const { maxFeeMsat: _, ...unlimited } = request;
  return limitsFees ? request : unlimited;
}

/** Everything that an error or an outcome can show: messages, causes, stacks, fields. */
function allTextOf(value: unknown, depth = 0): string {
  if (depth > 6) return '';
  if (value instanceof Error) {
    const own = Object.entries(value).map(([, inner]) => allTextOf(inner, depth + 1));
    return [value.message, value.stack ?? '', allTextOf(value.cause, depth + 1), ...own].join('\n');
  }
  if (typeof value === 'object' && value !== null) {
    return Object.values(value)
      .map((inner) => allTextOf(inner, depth + 1))
      .join('\n');
  }
  return String(value);
}

async function rejectionOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    (value) => {
      throw new Error(`did not reject: ${allTextOf(value)}`);
    },
    (error: unknown) => error,
  );
}

async function take(payments: AsyncIterable<ReceivedPayment>, count: number): Promise<ReceivedPayment[]> {
  const taken: ReceivedPayment[] = [];
  const seen = new Set<string>();
  for await (const payment of payments) {
    if (!seen.has(payment.paymentHash)) taken.push(payment);
    seen.add(payment.paymentHash);
    if (taken.length === count) break;
  }
  return taken;
}

/** Reads on after every loss of the connection, as apps do, until so many different ones have come. */
async function takeThrough(
  wallet: Wallet,
  { count, after, signal }: { count: number; after?: string; signal: AbortSignal },
): Promise<ReceivedPayment[]> {
  const taken: ReceivedPayment[] = [];
  const seen = new Set<string>();
  let cursor = after;
  for (let attempt = 0; attempt < 200 && taken.length < count; attempt++) {
    try {
      const options = cursor === undefined ? { signal } : { after: cursor, signal };
      for await (const payment of wallet.subscribe(options)) {
        cursor = payment.cursor;
        if (!seen.has(payment.paymentHash)) taken.push(payment);
        seen.add(payment.paymentHash);
        if (taken.length === count) break;
      }
    } catch (error) {
      expect(error).toBeInstanceOf(KeysendError);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  return taken;
}

/**
 * What every wallet has to do. `makeWallet` is called for each test; what its world cannot show is skipped.
 */
export function walletSuite(
  name: string,
  makeWallet: () => Promise<{ wallet: Wallet; world: WalletWorld }>,
): void {
  describe(`a wallet: ${name}`, () => {
    let wallet: Wallet;
    let world: WalletWorld;
    /** All that was shown to the caller: scanned for secrets after each test. */
    let shown: unknown[];

    beforeEach(async () => {
      shown = [];
      ({ wallet, world } = await makeWallet());
    });

    afterEach(async () => {
      await wallet.close();
      await world.close();
      const text = allTextOf(shown);
      for (const secret of world.secrets) expect(text).not.toContain(secret);
    });

    async function keysend(request: KeysendRequest, over = wallet): Promise<PaymentOutcome> {
      const outcome = await over.keysend(request);
      // The preimage of a payment that arrived is its proof; of others it is a secret.
      if (outcome.status !== 'succeeded') {
        expect(allTextOf(outcome)).not.toContain(bytesToHex(request.preimage));
      }
      shown.push(outcome);
      return outcome;
    }

    async function lookup(request: KeysendRequest, over = wallet): Promise<PaymentOutcome | undefined> {
      const outcome = await over.lookup(queryOf(request));
      shown.push(outcome);
      return outcome;
    }

    async function codeOf(work: Promise<unknown>): Promise<KeysendErrorCode> {
      const error = await rejectionOf(work);
      shown.push(error);
      expect(error).toBeInstanceOf(KeysendError);
      return (error as KeysendError).code;
    }

    function can(...types: SendBehaviour['type'][]): boolean {
      return world.nextSend !== undefined && types.every((type) => world.behaviours?.has(type) ?? true);
    }

    test('says who it is and what it has', async () => {
      const info = await wallet.info();
      expect(info.kind).toBe(wallet.kind);
      if (info.nodeId !== undefined) expect(info.nodeId).toMatch(/^0[23][0-9a-f]{64}$/);
      const balance = await wallet.balance();
      expect(balance.spendableMsat).toBeGreaterThan(0n);
    });

    test('pays a keysend with its records, byte for byte', async () => {
      const { sendsRecords } = await wallet.capabilities();
      const records: ReadonlyMap<bigint, Uint8Array> = sendsRecords ? strangeRecordsFor(world) : new Map();
      const outcome = await keysend(await fitting(wallet, world, { records, amountMsat: 1_234_567n }));
      expect(outcome.status).toBe('succeeded');
      const sent = await world.sent();
      expect(sent).toHaveLength(1);
      expect(sent[0]?.amountMsat).toBe(1_234_567n);
      expect(sent[0]?.nodeId).toBe(world.nodeId);
      expect(
        new Map([...(sent[0]?.records ?? [])].map(([type, value]) => [type, bytesToHex(value)])),
      ).toEqual(new Map([...records].map(([type, value]) => [type, bytesToHex(value)])));
    });

    test('tells the hash of the derived preimage where the preimage is the name of a payment', async ({
      skip,
    }) => {
      if ((await wallet.capabilities()).repeats !== 'preimage') return skip();
      const request = await fitting(wallet, world);
      const outcome = await keysend(request);
      expect(outcome).toMatchObject({ status: 'succeeded', paymentHash: queryOf(request).paymentHash });
      if (outcome.status !== 'succeeded' || outcome.preimage === undefined) return;
      expect(outcome.preimage).toBe(bytesToHex(request.preimage));
    });

    test('pays once for a key that is given twice, one after the other and at once', async ({ skip }) => {
      if ((await wallet.capabilities()).repeats === 'none') return skip();
      const first = await fitting(wallet, world);
      expect((await keysend(first)).status).toBe('succeeded');
      expect((await keysend(first)).status).toBe('succeeded');
      expect(await world.sent()).toHaveLength(1);
      const second = await fitting(wallet, world);
      const both = await Promise.all([keysend(second), keysend(second)]);
      expect(await world.sent()).toHaveLength(2);
      for (const outcome of both) expect(outcome.status).not.toBe('failed');
    });

    test('looks up what it paid, and knows nothing of what it never sent', async ({ skip }) => {
      if ((await wallet.capabilities()).repeats === 'none') return skip();
      const request = await fitting(wallet, world);
      expect(await lookup(request)).toBeUndefined();
      await keysend(request);
      expect(await lookup(request)).toMatchObject({ status: 'succeeded' });
      if (world.reopen === undefined) return;
      const later = await world.reopen();
      expect(await lookup(request, later)).toMatchObject({ status: 'succeeded' });
      expect((await keysend(request, later)).status).toBe('succeeded');
      await later.close();
      expect(await world.sent()).toHaveLength(1);
    });

    test('says why a payment failed, and that nothing of it went out', async ({ skip }) => {
      if (!can('fail') || world.failures === undefined) return skip();
      for (const failure of world.failures) {
        world.nextSend?.({
          type: 'fail',
          failure,
          ...(failure === 'fee_limit' ? { neededFeeMsat: 7_000n } : {}),
        });
        const outcome = await keysend(await fitting(wallet, world));
        expect(outcome).toMatchObject({ status: 'failed', failure });
      }
      expect(await world.sent()).toHaveLength(0);
    });

    test('tries again under the same key what has failed', async ({ skip }) => {
      const failure = world.failures?.[0];
      if (!can('fail') || failure === undefined) return skip();
      const request = await fitting(wallet, world);
      world.nextSend?.({ type: 'fail', failure });
      expect((await keysend(request)).status).toBe('failed');
      expect((await keysend(request)).status).toBe('succeeded');
      expect(await world.sent()).toHaveLength(1);
    });

    test.for(['cut', 'paid_then_500', 'paid_then_garbage', 'paid_then_half', 'paid_then_oversize'] as const)(
      'never calls a payment failed whose answer was lost: %s',
      async (type, { skip }) => {
        if (!can(type)) return skip();
        const { repeats } = await wallet.capabilities();
        const request = await fitting(wallet, world);
        world.nextSend?.(type === 'cut' ? { type, paid: true } : { type });
        const outcome = await keysend(request);
        expect(outcome.status).not.toBe('failed');
        expect(await world.sent()).toHaveLength(1);
        const found = await lookup(request);
        if (repeats === 'preimage') {
          expect(found).toMatchObject({ status: 'succeeded' });
          expect((await keysend(request)).status).toBe('succeeded');
          expect(await world.sent()).toHaveLength(1);
        } else {
          // Nothing tells, or the wallet's list does: but never that it was not sent.
          expect(found?.status === 'succeeded' || found?.status === 'unknown').toBe(true);
        }
        if (repeats === 'lookup') {
          await keysend(request);
          expect(await world.sent()).toHaveLength(1);
        }
      },
    );

    test('does not call a payment sent whose request was cut off before it was carried out', async ({
      skip,
    }) => {
      if (!can('cut')) return skip();
      const { repeats } = await wallet.capabilities();
      const request = await fitting(wallet, world);
      world.nextSend?.({ type: 'cut', paid: false });
      expect((await keysend(request)).status).toBe('unknown');
      expect(await world.sent()).toHaveLength(0);
      expect((await lookup(request))?.status).not.toBe('succeeded');
      if (repeats !== 'preimage') return;
      expect((await keysend(request)).status).toBe('succeeded');
      expect(await world.sent()).toHaveLength(1);
    });

    test('through a storm of faults it pays each key once, and calls nothing failed that was paid', async ({
      skip,
    }) => {
      const { repeats } = await wallet.capabilities();
      if (world.nextSend === undefined || repeats === 'none') return skip();
      const failure = world.failures?.[0] ?? 'no_route';
      const faults: SendBehaviour[] = [
        { type: 'succeed' },
        { type: 'fail', failure },
        { type: 'cut', paid: true },
        { type: 'cut', paid: false },
        { type: 'paid_then_500' },
        { type: 'paid_then_garbage' },
        { type: 'paid_then_half' },
      ];
      const possible = faults.filter(({ type }) => can(type));
      // Always the same storm: what fails has to fail again.
      let state = 20_260_101;
      const random = (below: number) => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
        return (state >>> 8) % below;
      };
      const keys = await Promise.all(
        Array.from({ length: 6 }, (_, index) =>
          fitting(wallet, world, { amountMsat: 10_000n + BigInt(index) }),
        ),
      );
      const timesPaid = async (request: KeysendRequest) =>
        (await world.sent()).filter(({ amountMsat }) => amountMsat === request.amountMsat).length;
      for (let step = 0; step < 60; step++) {
        const request = keys[random(keys.length)];
        const behaviour = possible[random(possible.length)];
        if (request === undefined || behaviour === undefined) continue;
        world.nextSend(behaviour);
        const outcome = random(4) === 0 ? await lookup(request) : await keysend(request);
        const paid = await timesPaid(request);
        expect(paid).toBeLessThanOrEqual(1);
        if (outcome?.status === 'failed' || outcome === undefined) expect(paid).toBe(0);
        if (outcome?.status === 'succeeded') expect(paid).toBe(1);
      }
    });

    test('says that there are too many requests', async ({ skip }) => {
      if (!can('rate_limit')) return skip();
      world.nextSend?.({ type: 'rate_limit' });
      expect(await keysend(await fitting(wallet, world))).toMatchObject({
        status: 'failed',
        failure: 'rate_limited',
        retryable: true,
      });
      expect(await world.sent()).toHaveLength(0);
    });

    test('waits no longer than it was told, and finds out later', async ({ skip }) => {
      const { elapse, hanging, release } = world;
      if (!can('hang') || elapse === undefined || hanging === undefined || release === undefined)
        return skip();
      const { repeats } = await wallet.capabilities();
      for (const end of ['succeeded', 'failed'] as const) {
        const request = await fitting(wallet, world, { timeoutSeconds: 10 });
        world.nextSend?.({ type: 'hang' });
        const paying = keysend(request);
        await hanging.call(world);
        elapse.call(world, 60_000);
        const outcome = await paying;
        expect(['pending', 'unknown']).toContain(outcome.status);
        if (repeats !== 'none') {
          expect(['pending', 'unknown']).toContain((await lookup(request))?.status);
        }
        await release.call(world, end);
        if (repeats === 'preimage') expect((await lookup(request))?.status).toBe(end);
      }
      expect(await world.sent()).toHaveLength(1);
    });

    test('stops waiting when the caller wants no more, without calling it failed', async ({ skip }) => {
      if (!can('hang') || world.hanging === undefined) return skip();
      const request = await fitting(wallet, world);
      world.nextSend?.({ type: 'hang' });
      const stopping = new AbortController();
      const paying = wallet.keysend(request, { signal: stopping.signal });
      await world.hanging();
      stopping.abort();
      expect(['pending', 'unknown']).toContain((await paying).status);
      await world.release?.('failed');
    });

    test('sends nothing for a caller who has stopped already', async () => {
      const signal = AbortSignal.abort();
      const request = await fitting(wallet, world);
      expect(await wallet.keysend(request, { signal })).toMatchObject({ status: 'failed' });
      expect(await world.sent()).toHaveLength(0);
      expect(await codeOf(wallet.balance({ signal }))).toBe('stopped');
    });

    test('says that its credentials are wrong', async ({ skip }) => {
      if (world.openWrong === undefined) return skip();
      const wrong = await world.openWrong();
      const request = requestTo(world);
      const { maxFeeMsat: _, ...unlimited } = request;
      expect(await keysend(unlimited, wrong)).toMatchObject({ status: 'failed', failure: 'unauthorized' });
      expect(await codeOf(wrong.info())).toBe('wallet_unauthorized');
      expect(await codeOf(wrong.balance())).toBe('wallet_unauthorized');
      expect(await world.sent()).toHaveLength(0);
      await wrong.close();
    });

    test('says that nobody is there', async ({ skip }) => {
      if (world.stop === undefined) return skip();
      const request = await fitting(wallet, world);
      await world.stop();
      expect(await keysend(request)).toMatchObject({
        status: 'failed',
        failure: 'unreachable',
        retryable: true,
      });
      expect(await codeOf(wallet.balance())).toBe('wallet_unreachable');
    });

    test('refuses what it cannot do, and sends nothing then', async () => {
      const can = await wallet.capabilities();
      const refused = { status: 'failed', failure: 'wallet_cannot', retryable: false };
      if (!can.keysend) expect(await keysend(requestTo(world))).toMatchObject(refused);
      if (!can.sendsRecords) {
        expect(await keysend(await fitting(wallet, world, { records: strangeRecords }))).toMatchObject(
          refused,
        );
      }
      if (!can.takesHints) {
        const hop = {
          nodeId: Uint8Array.of(2, ...new Uint8Array(32).fill(1)),
          shortChannelId: 1n,
          feeBaseMsat: 0,
          feeProportionalMillionths: 0,
          cltvExpiryDelta: 40,
        };
        expect(await keysend(await fitting(wallet, world, { hints: [[hop]] }))).toMatchObject(refused);
      }
      if (!can.limitsFees) expect(await keysend(requestTo(world))).toMatchObject(refused);
      if (!can.paysInvoices) {
        expect(await wallet.payInvoice({ invoice: 'lnbc1', maxFeeMsat: 1n })).toMatchObject(refused);
      }
      if (can.signs) expect(await wallet.signMessage('hello')).toMatch(/^[a-z0-9]{104}$/);
      else expect(await codeOf(wallet.signMessage('hello'))).toBe('wallet_cannot');
      if (can.receives === 'none') {
        const signal = new AbortController().signal;
        expect(await codeOf(take(wallet.subscribe({ signal }), 1))).toBe('wallet_cannot');
      }
      expect(await world.sent()).toHaveLength(0);
    });

    test('pays an invoice once', async ({ skip }) => {
      if (world.invoice === undefined || !(await wallet.capabilities()).paysInvoices) return skip();
      const { limitsFees } = await wallet.capabilities();
      const { invoice, paymentHash } = await world.invoice(50_000n);
      const request = limitsFees ? { invoice, maxFeeMsat: 5_000n } : { invoice };
      expect(await wallet.payInvoice(request)).toMatchObject({ status: 'succeeded' });
      const query = { key: paymentHash, amountMsat: 50_000n, paymentHash, sinceMs: 0 };
      expect(await wallet.lookup(query)).toMatchObject({ status: 'succeeded' });
      await wallet.payInvoice(request);
      expect(await wallet.payInvoice({ ...request, invoice: 'lnbc1garbage' })).toMatchObject({
        status: 'failed',
      });
      expect(await world.sent()).toHaveLength(1);
    });

    test('shows keysends in order, from the first and after a cursor, with every record', async ({
      skip,
    }) => {
      const { receives } = await wallet.capabilities();
      if (receives === 'none' || world.receive === undefined) return skip();
      const stopping = new AbortController();
      const hashes = [await world.receive({ amountMsat: 1_000n, records: strangeRecordsFor(world) })];
      await world.receiveInvoice?.(9_000n);
      hashes.push(await world.receive({ amountMsat: 2_000n, records: new Map() }));
      const { signal } = stopping;
      const all = await take(wallet.subscribe({ signal }), 2);
      expect(all.map(({ paymentHash }) => paymentHash)).toEqual(hashes);
      expect(all.map(({ amountMsat }) => amountMsat)).toEqual([1_000n, 2_000n]);
      const records = [...(all[0]?.records ?? [])].map(([type, value]) => [type, bytesToHex(value)]);
      const wanted = [...strangeRecordsFor(world)].map(([type, value]) => [type, bytesToHex(value)]);
      expect(new Map(records as [bigint, string][])).toEqual(
        new Map(receives === 'records' ? (wanted as [bigint, string][]) : []),
      );
      expect(all[0]?.receivedAtMs).toBeGreaterThan(1_600_000_000_000);

      // One that arrives while it listens.
      const live = takeThrough(wallet, { count: 1, after: all[1]?.cursor ?? '', signal });
      const third = await world.receive({
        amountMsat: 3_000n,
        records: new Map([[696969n, Uint8Array.of(1)]]),
      });
      const fresh = (await live).filter(({ paymentHash }) => !hashes.includes(paymentHash));
      if (fresh.length === 0) {
        // It may tell of the last one again first.
        fresh.push(...(await takeThrough(wallet, { count: 3, signal })).slice(2));
      }
      expect(fresh[0]?.paymentHash).toBe(third);
      stopping.abort();
    });

    test('loses no keysend when the connection breaks', async ({ skip }) => {
      const { receives } = await wallet.capabilities();
      const { receive, restart } = world;
      if (receives === 'none' || receive === undefined || restart === undefined) return skip();
      const stopping = new AbortController();
      const hashes: string[] = [];
      const reading = takeThrough(wallet, { count: 5, signal: stopping.signal });
      for (const amountMsat of [1_000n, 2_000n, 3_000n, 4_000n, 5_000n]) {
        hashes.push(await receive.call(world, { amountMsat, records: new Map() }));
        if (amountMsat !== 5_000n) await restart.call(world);
      }
      expect((await reading).map(({ paymentHash }) => paymentHash)).toEqual(hashes);
      stopping.abort();
    });

    test('stops listening when it is told to', async ({ skip }) => {
      const { receives } = await wallet.capabilities();
      if (receives === 'none') return skip();
      const stopping = new AbortController();
      const reading = take(wallet.subscribe({ signal: stopping.signal }), 1);
      await new Promise((resolve) => setImmediate(resolve));
      stopping.abort();
      expect(await reading).toEqual([]);
    });
  });
}
