import { describe, expect, test } from 'vitest';
import { memoryStore } from '../store/memoryStore.js';
import type { CallOptions, KeysendRequest, PaymentOutcome, Wallet } from '../wallets/wallet.js';
import type { AuditEntry, GuardVerdict } from './auditSink.js';
import { budgetState, setBudget } from './budgets.js';
import {
  type Behaviour,
  legPlan,
  nodeIdOf,
  TestResolver,
  TestTime,
  TestWallet,
  testLedger,
} from './ledger.test.support.js';
import type { LegLedgerOptions } from './legLedger.js';
import { readLeg, updateLeg } from './legStore.js';

function world(
  behave?: (id: string, tries: number) => Behaviour,
  options: Partial<LegLedgerOptions> & { repeats?: 'preimage' | 'lookup' | 'none' } = {},
) {
  const { repeats, ...rest } = options;
  const time = new TestTime();
  const store = memoryStore();
  const wallet = new TestWallet({ time, ...(behave && { behave }), ...(repeats && { repeats }) });
  const resolver = new TestResolver(time);
  const audited: AuditEntry[] = [];
  const audit = { append: (_: unknown, entry: AuditEntry) => void audited.push(entry) };
  const make = () => testLedger({ time, store, wallet, resolver, audit, ...rest });
  return { time, store, wallet, resolver, audited, make, ledger: make() };
}

describe('the ledger', () => {
  test('pays what is planned, once, in the order planned', async () => {
    const { ledger, wallet, audited } = world();
    ledger.plan([legPlan(0), legPlan(1), legPlan(2)]);
    const summary = await ledger.run({ concurrency: 1 });
    expect(summary.states.succeeded).toEqual({ legs: 3, amountMsat: 6_000n });
    expect(wallet.requests.map((request) => 'key' in request && request.key)).toEqual([
      'leg-0',
      'leg-1',
      'leg-2',
    ]);
    await ledger.run();
    expect(wallet.requests).toHaveLength(3);
    expect(ledger.get('leg-1')).toMatchObject({ state: 'succeeded', attempts: 1, feeMsat: 0n });
    expect(audited.map(({ type }) => type)).toEqual([
      'payment_started',
      'payment_succeeded',
      'payment_started',
      'payment_succeeded',
      'payment_started',
      'payment_succeeded',
    ]);
  });

  test('takes the same key with the same content as the same payment, and refuses another content', () => {
    const { ledger } = world();
    const [first] = ledger.plan([legPlan(0)]);
    const [again] = ledger.plan([legPlan(0, { note: 'another note' })]);
    expect(again).toEqual(first);
    expect(() => ledger.plan([legPlan(1), legPlan(0, { amountMsat: 5n })])).toThrow(/another payment/);
    expect(ledger.get('leg-1')).toBeUndefined();
    expect(ledger.summary().legs).toBe(1);
  });

  test('tries again what may pass, with the same preimage, and ends what does not', async () => {
    const { ledger, wallet, time } = world((key, tries) =>
      key === 'leg-0' && tries < 2
        ? { does: 'fail', retryable: true }
        : key === 'leg-1'
          ? { does: 'fail', retryable: false }
          : { does: 'pay' },
    );
    const startMs = time.nowMs;
    ledger.plan([legPlan(0), legPlan(1)]);
    const states: string[] = [];
    const summary = await ledger.run({ onLeg: ({ key, state }) => states.push(`${key} ${state}`) });
    expect(summary.states).toMatchObject({ succeeded: { legs: 1 }, failed: { legs: 1 } });
    expect(time.nowMs - startMs).toBe(4_000);
    const preimages = wallet.requests.flatMap((request) =>
      'key' in request && request.key === 'leg-0' ? [String(request.preimage)] : [],
    );
    expect(preimages).toHaveLength(3);
    expect(new Set(preimages).size).toBe(1);
    expect(states).toEqual(['leg-0 planned', 'leg-1 failed', 'leg-0 planned', 'leg-0 succeeded']);
  });

  test('gives up after as many tries as were given, and tries again by hand', async () => {
    let works = false;
    const { ledger, wallet } = world(() => (works ? { does: 'pay' } : { does: 'fail', retryable: true }));
    ledger.plan([legPlan(0)]);
    await ledger.run();
    expect(ledger.get('leg-0')).toMatchObject({
      state: 'failed',
      attempts: 5,
      failure: { code: 'no_route' },
    });
    works = true;
    ledger.retry(['leg-0']);
    await ledger.run({ keys: ['leg-0'] });
    expect(ledger.get('leg-0')).toMatchObject({ state: 'succeeded', attempts: 1 });
    expect(wallet.paid.get('leg-0')?.times).toBe(1);
    expect(() => ledger.retry(['leg-0'])).toThrow(/is succeeded/);
  });

  test('finds out what became of a payment whose answer was lost', async () => {
    for (const repeats of ['preimage', 'lookup'] as const) {
      const { ledger, wallet, audited } = world(
        (key, tries) =>
          key === 'leg-0'
            ? { does: 'pay unheard', feeMsat: 3n }
            : tries === 0
              ? { does: 'lose' }
              : { does: 'pay' },
        { repeats },
      );
      ledger.plan([legPlan(0), legPlan(1)]);
      const summary = await ledger.run();
      expect(summary.states.succeeded.legs).toBe(2);
      expect(summary.feesMsat).toBe(3n);
      expect([...wallet.paid.values()].map(({ times }) => times)).toEqual([1, 1]);
      expect(audited.filter(({ type }) => type === 'payment_unknown')).toHaveLength(2);
    }
  });

  test('leaves what only a person can find out, and takes their word', async () => {
    const { ledger, wallet } = world(() => ({ does: 'pay unheard' }), { repeats: 'none' });
    ledger.plan([legPlan(0), legPlan(1)]);
    const summary = await ledger.run();
    expect(summary.states.unknown.legs).toBe(2);
    expect(wallet.requests).toHaveLength(2);
    await ledger.run();
    expect(wallet.requests).toHaveLength(2);
    expect(() => ledger.abandon(['leg-0'], 'me')).toThrow(/is unknown/);
    expect(ledger.resolve('leg-0', 'paid', 'me').state).toBe('succeeded');
    expect(ledger.resolve('leg-1', 'not_paid', 'me').state).toBe('failed');
  });

  test('waits for what is under way', async () => {
    const { ledger, wallet } = world((key) => ({ does: 'linger', forMs: 20_000, pays: key === 'leg-0' }), {
      retries: { attempts: 1, firstDelayMs: 1, factor: 1, maxDelayMs: 1 },
    });
    ledger.plan([legPlan(0), legPlan(1)]);
    await ledger.run();
    expect(ledger.get('leg-0')?.state).toBe('succeeded');
    expect(ledger.get('leg-1')?.state).toBe('failed');
    expect(wallet.paid.get('leg-0')?.times).toBe(1);
  });

  test('does not take the failure of a second try for that of the first', async () => {
    const { ledger, wallet } = world(() => ({ does: 'pay unheard' }));
    ledger.plan([legPlan(0)]);
    const run = ledger.run({ onLeg: ({ state }) => state === 'unknown' && gone() });
    const gone = () => {
      wallet.reachable = false;
    };
    const summary = await run;
    expect(summary.states.unknown.legs).toBe(1);
    wallet.reachable = true;
    expect((await ledger.run()).states.succeeded.legs).toBe(1);
    expect(wallet.paid.get('leg-0')?.times).toBe(1);
  });

  test('settles what was sent over one wallet only over that one', async () => {
    const { ledger, wallet, make } = world(() => ({ does: 'pay unheard' }), {
      lookups: { attempts: 1, firstDelayMs: 1, factor: 1, maxDelayMs: 1 },
    });
    ledger.plan([legPlan(0)]);
    await ledger.run({ onLeg: () => (wallet.reachable = false) });
    wallet.reachable = true;
    const first = wallet.nodeId;
    wallet.nodeId = nodeIdOf(99);
    const other = make();
    expect((await other.run()).states.unknown.legs).toBe(1);
    expect(other.get('leg-0')?.failure?.message).toContain('another wallet');
    wallet.nodeId = first;
    expect((await other.run()).states.succeeded.legs).toBe(1);
    expect(wallet.requests).toHaveLength(1);
  });

  test('asks the guard, holds for approval, and refuses', async () => {
    const verdicts: Record<string, GuardVerdict> = {
      [nodeIdOf(0)]: { action: 'hold', reason: 'above 1 sat' },
      [nodeIdOf(1)]: { action: 'refuse', reason: 'not them' },
      [nodeIdOf(2)]: { action: 'allow', flags: [] },
      [nodeIdOf(3)]: { action: 'hold', reason: 'above 1 sat' },
    };
    const judge = (_: unknown, { counterparty }: { counterparty: string }) =>
      verdicts[counterparty] as GuardVerdict;
    const { ledger, wallet, audited } = world(undefined, { guard: { judge } });
    ledger.plan([legPlan(0), legPlan(1), legPlan(2), legPlan(3)]);
    await ledger.run();
    expect(ledger.list().map(({ state }) => state)).toEqual(['held', 'failed', 'succeeded', 'held']);
    expect(ledger.get('leg-1')?.failure).toMatchObject({ code: 'refused_by_guard', message: 'not them' });
    expect(wallet.requests).toHaveLength(1);
    ledger.approve(['leg-0'], 'anna');
    ledger.deny(['leg-3'], 'anna');
    await ledger.run();
    expect(ledger.list().map(({ state }) => state)).toEqual([
      'succeeded',
      'failed',
      'succeeded',
      'abandoned',
    ]);
    const decisions = audited.filter(({ type }) => type.startsWith('leg_'));
    expect(decisions.map(({ type, actor }) => `${type} ${actor}`)).toEqual([
      'leg_held user',
      'leg_held user',
      'leg_approved anna',
      'leg_denied anna',
    ]);
  });

  test('gives back what the guard has counted for a payment that failed or was denied, and counts it when it is paid', async () => {
    const counted = new Map<string, number>();
    const count = (id: string, by: number) => counted.set(id, (counted.get(id) ?? 0) + by);
    const { ledger } = world(
      (key) => ({ does: key === 'leg-0' ? 'fail' : 'pay unheard', retryable: false }),
      {
        repeats: 'none',
        guard: {
          judge: (_, { id }) => {
            count(id, 1);
            return id === 'leg-1' ? { action: 'hold', reason: 'much' } : { action: 'allow', flags: [] };
          },
          forget: (_, { id }) => count(id, -1),
        },
      },
    );
    ledger.plan([legPlan(0), legPlan(1), legPlan(2)]);
    await ledger.run();
    expect(Object.fromEntries(counted)).toEqual({ 'leg-0': 0, 'leg-1': 1, 'leg-2': 1 });
    ledger.deny(['leg-1'], 'me');
    expect(counted.get('leg-1')).toBe(0);
    ledger.resolve('leg-2', 'not_paid', 'me');
    expect(counted.get('leg-2')).toBe(0);
  });

  test('audits what the list of its types says', async () => {
    const { ledger, audited } = world((key) =>
      key === 'leg-0' ? { does: 'pay', feeMsat: 3n } : { does: 'fail', retryable: false },
    );
    ledger.plan([legPlan(0), legPlan(1)]);
    await ledger.run({ concurrency: 1 });
    const leg = { leg: 'leg-0', counterparty: nodeIdOf(0), amountMsat: '1000', purpose: 'g' };
    const { paymentHash } = ledger.get('leg-0') ?? {};
    expect(audited.map(({ type, data }) => ({ type, ...data }))).toEqual([
      { type: 'payment_started', ...leg, attempt: 1, paymentHash },
      { type: 'payment_succeeded', ...leg, feeMsat: '3', paymentHash },
      expect.objectContaining({ type: 'payment_started', leg: 'leg-1', counterparty: nodeIdOf(1) }),
      {
        type: 'payment_failed',
        leg: 'leg-1',
        counterparty: nodeIdOf(1),
        amountMsat: '2000',
        purpose: 'g',
        failure: 'no_route',
        message: 'no',
      },
    ]);
  });

  test('stores an invoice before it is paid, cuts the comment, and asks for a new one when it is over', async () => {
    const recipient = { type: 'lnaddress', address: 'a@b.c' } as const;
    const { ledger, wallet, resolver } = world((_, tries) =>
      tries === 0 ? { does: 'fail', retryable: true } : { does: 'pay' },
    );
    resolver.keyOf = () => 'leg-0';
    resolver.validForMs = 30_500;
    ledger.plan([legPlan(0, { recipient, comment: 'thank you' })]);
    await ledger.run();
    expect(ledger.get('leg-0')).toMatchObject({ state: 'failed', attempts: 5 });
    // Each invoice was over when it was to be paid again, and a new hash is a new try for the wallet.
    expect(resolver.invoices).toHaveLength(5);
    expect(resolver.invoices[0]).toEqual({ address: 'a@b.c', comment: 'thank' });
    // The last one still holds: it is paid again, and no other is asked for.
    ledger.retry(['leg-0']);
    await ledger.run();
    expect(ledger.get('leg-0')).toMatchObject({ state: 'succeeded' });
    expect(resolver.invoices).toHaveLength(5);
    expect(wallet.paid.get('leg-0')?.times).toBe(1);
  });

  test('tries again an address that cannot be reached, and fails one that is unknown', async () => {
    const { ledger, resolver, wallet } = world();
    resolver.failures = 2;
    ledger.plan([
      legPlan(0),
      legPlan(1, { recipient: { type: 'lnaddress', address: 'nobody@x.y' } }),
      legPlan(2, { recipient: { type: 'lnaddress', address: 'a@b.c' }, amountMsat: 10n }),
    ]);
    await ledger.run({ concurrency: 1 });
    expect(ledger.get('leg-0')).toMatchObject({ state: 'succeeded' });
    expect(ledger.get('leg-1')).toMatchObject({ state: 'failed', failure: { code: 'address_unknown' } });
    expect(ledger.get('leg-2')).toMatchObject({ state: 'failed', failure: { code: 'request_invalid' } });
    expect(wallet.requests).toHaveLength(1);
  });

  test('reserves all of a plan or nothing, settles what it cost, and gives back what failed', async () => {
    const { ledger, store, time } = world((key) =>
      key === 'leg-1' ? { does: 'fail', retryable: false } : { does: 'pay', feeMsat: 7n },
    );
    store.transaction((tx) => setBudget(tx, { name: 'boosts', amountMsat: 7_000n, period: 'day' }));
    const budgets = ['boosts'];
    const legs = [0, 1, 2].map((n) => legPlan(n, { budgets, maxFeeMsat: 100n }));
    expect(() => ledger.plan([...legs, legPlan(3, { budgets })])).toThrow(/budget boosts has/);
    const state = () => budgetState(store, { name: 'boosts', atMs: time.nowMs });
    expect(state()).toMatchObject({ usedMsat: 0n, reservedMsat: 0n, remainingMsat: 7_000n });
    ledger.plan(legs);
    expect(state()).toMatchObject({ usedMsat: 0n, reservedMsat: 6_300n, remainingMsat: 700n });
    await ledger.run();
    expect(state()).toMatchObject({ usedMsat: 4_014n, reservedMsat: 0n, remainingMsat: 2_986n });
    ledger.retry(['leg-1']);
    expect(state()).toMatchObject({ reservedMsat: 2_100n });
    ledger.abandon(['leg-1'], 'me');
    expect(state()).toMatchObject({ reservedMsat: 0n });
  });

  test('pays from budgets over a wallet that limits no fees, and counts what it cost', async () => {
    const { ledger, store, time, wallet } = world(() => ({ does: 'pay', feeMsat: 2_500n }));
    const able = await wallet.capabilities();
    wallet.capabilities = async () => ({ ...able, limitsFees: false });
    store.transaction((tx) => setBudget(tx, { name: 'boosts', amountMsat: 10_000n, period: 'day' }));
    ledger.plan([
      legPlan(0, { budgets: ['boosts'], amountMsat: 2_000n }),
      legPlan(1, { budgets: ['boosts'], amountMsat: 2_000n, maxFeeMsat: 5n }),
    ]);
    await ledger.run();
    // What was asked for is the wallet's to refuse.
    expect(wallet.requests.map(({ maxFeeMsat }) => maxFeeMsat)).toEqual([undefined, 5n]);
    expect(budgetState(store, { name: 'boosts', atMs: time.nowMs })).toMatchObject({
      usedMsat: 9_000n,
      reservedMsat: 0n,
    });
  });

  test('lists by group and state, page by page', async () => {
    const { ledger } = world((key) =>
      key === 'leg-1' ? { does: 'fail', retryable: false } : { does: 'pay' },
    );
    ledger.plan([legPlan(2, { group: 'b/1' }), legPlan(0, { group: 'a' }), legPlan(1, { group: 'a' })]);
    const keys = (range: Parameters<typeof ledger.list>[0]) => ledger.list(range).map(({ key }) => key);
    expect(keys({ group: 'b/1' })).toEqual(['leg-2']);
    await ledger.run({ group: 'a' });
    expect(keys({ state: 'planned' })).toEqual(['leg-2']);
    expect(keys({ group: 'a', state: 'failed' })).toEqual(['leg-1']);
    expect(keys({ limit: 1 })).toEqual(['leg-0']);
    expect(keys({ limit: 2, after: 'leg-0' })).toEqual(['leg-1', 'leg-2']);
    expect(ledger.summary('a')).toMatchObject({ legs: 2, amountMsat: 3_000n });
    expect(ledger.summary()).toMatchObject({ legs: 3, states: { planned: { legs: 1 } } });
  });

  test('stops when it is told to, and leaves the rest for the next run', async () => {
    const stop = new AbortController();
    const { ledger, wallet } = world(() => ({ does: 'pay', afterMs: 1_000 }));
    ledger.plan(Array.from({ length: 10 }, (_, n) => legPlan(n)));
    const summary = await ledger.run({
      concurrency: 2,
      signal: stop.signal,
      onLeg: ({ key }) => key === 'leg-1' && stop.abort(),
    });
    expect(summary.states).toMatchObject({ succeeded: { legs: 2 }, planned: { legs: 8 } });
    expect((await ledger.run()).states.succeeded.legs).toBe(10);
    expect(wallet.mostUnderWay).toBe(8);
    expect([...wallet.paid.values()].every(({ times }) => times === 1)).toBe(true);
  });

  test('ends the calls of the wallet when it was told to stop and has waited, and settles them next time', async () => {
    const stop = new AbortController();
    const { time, store, wallet, make } = world(() => ({ does: 'pay', afterMs: 60_000 }));
    const stubborn = { ...wallet, info: () => wallet.info(), capabilities: () => wallet.capabilities() };
    const ended: string[] = [];
    const ledger = testLedger({
      time,
      store,
      wallet: {
        ...stubborn,
        keysend: (request: KeysendRequest, options?: CallOptions) => {
          void wallet.keysend(request);
          time.schedule(10, () => stop.abort());
          return new Promise<PaymentOutcome>((resolve) => {
            options?.signal?.addEventListener('abort', () => {
              ended.push(request.key);
              resolve({ status: 'unknown', message: 'stopped' });
            });
          });
        },
      } as unknown as Wallet,
    });
    ledger.plan([legPlan(0)]);
    const startMs = time.nowMs;
    const summary = await ledger.run({ signal: stop.signal });
    expect(time.nowMs - startMs).toBe(3_010);
    expect(ended).toEqual(['leg-0']);
    expect(summary.states.unknown.legs).toBe(1);
    const next = make();
    expect((await next.run()).states.succeeded.legs).toBe(1);
    expect(wallet.paid.get('leg-0')?.times).toBe(1);
  });

  test('pays each payment once where two runs and two ledgers are busy with them', async () => {
    for (const repeats of ['preimage', 'lookup'] as const) {
      const { ledger, make, wallet } = world(() => ({ does: 'pay', afterMs: 50 }), { repeats });
      ledger.plan(Array.from({ length: 40 }, (_, n) => legPlan(n)));
      const other = make();
      await Promise.all([ledger.run(), ledger.run(), other.run()]);
      expect(ledger.summary().states.succeeded.legs).toBe(40);
      expect(wallet.requests).toHaveLength(40);
    }
  });

  test('does not send what was taken over while the machine slept', async () => {
    for (const repeats of ['preimage', 'lookup'] as const) {
      const { time, store, wallet } = world(undefined, { repeats });
      const sentAt: number[] = [];
      let leaseEndsMs = 0;
      const sleepy: typeof store = {
        ...store,
        transaction: (body) => {
          const result = store.transaction(body);
          const leg = readLeg(store, 'leg-0');
          if (leaseEndsMs === 0 && leg?.state === 'sending') {
            // It sleeps right after it has stored that it sends; when it wakes up, somebody else is busy with it.
            time.nowMs += 300_000;
            leaseEndsMs = time.nowMs + 30_000;
            store.transaction((tx) => {
              updateLeg(tx, leg, { ...leg, owner: 'other' });
              tx.put('legOwner/other', String(leaseEndsMs));
            });
          }
          return result;
        },
      };
      const send = wallet.keysend.bind(wallet);
      wallet.keysend = (request) => {
        sentAt.push(time.nowMs);
        return send(request);
      };
      const ledger = testLedger({ time, store: sleepy, wallet });
      ledger.plan([legPlan(0)]);
      await ledger.run();
      expect(ledger.get('leg-0')?.state).toBe('succeeded');
      expect(sentAt).toHaveLength(1);
      expect(sentAt[0]).toBeGreaterThanOrEqual(leaseEndsMs);
    }
  });

  test('stores the changes of many payments together', async () => {
    const { store, wallet, time } = world();
    let commits = 0;
    const counting = {
      ...store,
      transaction: <T>(body: Parameters<typeof store.transaction<T>>[0]) => {
        commits++;
        return store.transaction(body);
      },
    };
    const ledger = testLedger({ time, store: counting, wallet });
    ledger.plan(Array.from({ length: 100 }, (_, n) => legPlan(n)));
    await ledger.run({ concurrency: 100 });
    expect(ledger.summary().states.succeeded.legs).toBe(100);
    expect(commits).toBeLessThan(10);
  });
});
