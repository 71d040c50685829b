import { describe, expect, test } from 'vitest';
import { memoryStore } from '../store/memoryStore.js';
import type { AuditEntry } from './auditSink.js';
import {
  type Behaviour,
  legPlan,
  TestResolver,
  TestTime,
  TestWallet,
  testLedger,
} from './ledger.test.support.js';
import type { LegLedgerOptions } from './legLedger.js';

const hourMs = 3_600_000;
const kinds = ['preimage', 'lookup'] as const;
const once = { attempts: 1, firstDelayMs: 1, factor: 1, maxDelayMs: 1 };

function world(
  behave: (id: string, tries: number) => Behaviour,
  options: Partial<LegLedgerOptions> & { repeats?: 'preimage' | 'lookup' | 'none' } = {},
) {
  const { repeats = 'preimage', ...rest } = options;
  const time = new TestTime();
  const store = memoryStore();
  const wallet = new TestWallet({ time, repeats, behave });
  const resolver = new TestResolver(time);
  const audited: AuditEntry[] = [];
  const audit = { append: (_: unknown, entry: AuditEntry) => void audited.push(entry) };
  const make = (more: Partial<LegLedgerOptions> = {}) =>
    testLedger({ time, store, wallet, resolver, audit, ...rest, ...more });
  return { time, store, wallet, resolver, audited, make, ledger: make() };
}

describe('a payment that somebody holds for hours', () => {
  test('is not sent a second time when a person says too early that it was not paid', async () => {
    for (const repeats of kinds) {
      const { time, wallet, ledger } = world(() => ({ does: 'linger', forMs: 5 * hourMs, pays: true }), {
        repeats,
      });
      ledger.plan([legPlan(0)]);
      expect((await ledger.run()).states.unknown.legs).toBe(1);
      ledger.resolve('leg-0', 'not_paid', 'me');
      ledger.retry(['leg-0']);
      expect((await ledger.run()).states.unknown.legs).toBe(1);
      expect(wallet.requests).toHaveLength(1);
      await time.sleep(6 * hourMs);
      expect((await ledger.run()).states.succeeded.legs).toBe(1);
      expect(wallet.paid.get('leg-0')?.times).toBe(1);
    }
  });

  test('is not paid by another invoice while the first one is held', async () => {
    const { time, wallet, ledger, resolver } = world(() => ({
      does: 'linger',
      forMs: 5 * hourMs,
      pays: true,
    }));
    resolver.validForMs = 600_000;
    resolver.keyOf = () => 'leg-0';
    ledger.plan([legPlan(0, { recipient: { type: 'lnaddress', address: 'a@b.c' } })]);
    expect((await ledger.run()).states.unknown.legs).toBe(1);
    await time.sleep(hourMs);
    ledger.resolve('leg-0', 'not_paid', 'me');
    ledger.retry(['leg-0']);
    await ledger.run();
    expect(resolver.invoices).toHaveLength(1);
    await time.sleep(6 * hourMs);
    expect((await ledger.run()).states.succeeded.legs).toBe(1);
    expect(wallet.paid.get('leg-0')?.times).toBe(1);
  });

  test('is sent again once the wallet says so, too', async () => {
    for (const repeats of kinds) {
      const { time, wallet, ledger } = world(
        (_, tries) => (tries === 0 ? { does: 'linger', forMs: 200_000, pays: false } : { does: 'pay' }),
        { repeats, lookups: once },
      );
      ledger.plan([legPlan(0)]);
      expect((await ledger.run()).states.unknown.legs).toBe(1);
      ledger.resolve('leg-0', 'not_paid', 'me');
      ledger.retry(['leg-0']);
      await time.sleep(300_000);
      // Not before the wallet was asked.
      wallet.reachable = false;
      expect((await ledger.run()).states.failed.legs).toBe(1);
      expect(wallet.requests).toHaveLength(1);
      wallet.reachable = true;
      ledger.retry(['leg-0']);
      expect((await ledger.run()).states.succeeded.legs).toBe(1);
      expect(wallet.paid.get('leg-0')?.times).toBe(1);
    }
  });
});

describe('a ledger whose wallet is not the one that it was', () => {
  test('does not send again over a wallet that does not say which one it is', async () => {
    for (const repeats of kinds) {
      const { time, store, wallet, ledger } = world(() => ({ does: 'pay unheard' }), {
        repeats,
        lookups: once,
      });
      wallet.nodeId = undefined;
      ledger.plan([legPlan(0)]);
      await ledger.run({ onLeg: () => (wallet.reachable = false) });
      const other = new TestWallet({ time, repeats });
      other.nodeId = undefined;
      const second = testLedger({ time, store, wallet: other });
      expect((await second.run()).states.unknown.legs).toBe(1);
      expect(other.requests).toHaveLength(0);
      // What the one that paid says is true all the same.
      wallet.reachable = true;
      expect((await ledger.run()).states.succeeded.legs).toBe(1);
    }
  });

  test('tells the networks of one node apart, and the accounts', async () => {
    const { time, store, wallet, make } = world(() => ({ does: 'pay unheard' }), { lookups: once });
    const first = make();
    first.plan([legPlan(0)]);
    await first.run({ onLeg: () => (wallet.reachable = false) });
    const others = [new TestWallet({ time }), Object.assign(new TestWallet({ time }), { account: 'second' })];
    (others[0] as TestWallet).network = 'mainnet';
    for (const other of others) {
      const ledger = testLedger({ time, store, wallet: other });
      expect((await ledger.run()).states.unknown.legs).toBe(1);
      expect(other.requests).toHaveLength(0);
    }
  });

  test('does not believe that something was never sent where the wallet has forgotten what it paid', async () => {
    for (const repeats of kinds) {
      const behave = (key: string): Behaviour => ({ does: key === 'leg-0' ? 'pay' : 'pay unheard' });
      const { wallet, ledger } = world(behave, { repeats, lookups: once });
      ledger.plan([legPlan(0)]);
      await ledger.run();
      ledger.plan([legPlan(1)]);
      await ledger.run({ onLeg: () => (wallet.reachable = false) });
      wallet.forget();
      wallet.reachable = true;
      expect((await ledger.run()).states.unknown.legs).toBe(1);
      expect(ledger.get('leg-1')?.failure?.message).toContain('cleared');
      expect(wallet.paid.get('leg-1')?.times).toBe(1);
    }
  });

  test('does not take the failure of a second try for all where the wallet has forgotten the first', async () => {
    const behave = (key: string, tries: number): Behaviour =>
      key === 'leg-0' ? { does: 'pay' } : tries === 0 ? { does: 'lose' } : { does: 'fail', retryable: false };
    const { wallet, ledger, time } = world(behave);
    ledger.plan([legPlan(0)]);
    await ledger.run();
    ledger.plan([legPlan(1)]);
    const run = ledger.run();
    await time.sleep(1);
    wallet.forget();
    await run;
    expect(ledger.get('leg-1')?.state).toBe('unknown');
  });
});

describe('a ledger whose wallet may choose preimages itself', () => {
  function unsure() {
    const behave = (key: string, tries: number): Behaviour =>
      key !== 'leg-1' || tries > 0 ? { does: 'pay' } : { does: 'pay unheard' };
    const made = world(behave, { lookups: once });
    Object.assign(made.wallet.can, { repeatsUnproven: true });
    return made;
  }

  test('does not send again before that wallet has paid with the one that it was given', async () => {
    const { wallet, ledger } = unsure();
    ledger.plan([legPlan(1)]);
    await ledger.run({ onLeg: () => (wallet.reachable = false) });
    // Under the hash that it was asked for, it knows of nothing.
    wallet.forget();
    wallet.reachable = true;
    expect((await ledger.run()).states.unknown.legs).toBe(1);
    expect(ledger.get('leg-1')?.failure?.message).toContain('preimage');
    expect(wallet.paid.get('leg-1')?.times).toBe(1);
  });

  test('does not send again where its answers have shown another one', async () => {
    const { wallet, ledger } = unsure();
    wallet.preimageOf = (given) => given;
    ledger.plan([legPlan(0)]);
    await ledger.run();
    wallet.preimageOf = () => new Uint8Array(32).fill(7);
    ledger.plan([legPlan(2)]);
    await ledger.run();
    ledger.plan([legPlan(1)]);
    await ledger.run({ onLeg: () => (wallet.reachable = false) });
    wallet.reachable = true;
    wallet.forget();
    expect((await ledger.run()).states.unknown.legs).toBe(1);
    expect(ledger.get('leg-1')?.failure?.message).toContain('preimage');
    expect(wallet.requests).toHaveLength(3);
    expect(wallet.paid.get('leg-1')?.times).toBe(1);
  });

  test('sends again what was lost on the way once that is proven', async () => {
    const behave = (key: string, tries: number): Behaviour =>
      key === 'leg-0' || tries > 0 ? { does: 'pay' } : { does: 'lose' };
    const { wallet, ledger } = world(behave);
    Object.assign(wallet.can, { repeatsUnproven: true });
    wallet.preimageOf = (given) => given;
    ledger.plan([legPlan(0)]);
    await ledger.run();
    ledger.plan([legPlan(1)]);
    expect((await ledger.run()).states.succeeded.legs).toBe(2);
    expect(wallet.paid.get('leg-1')?.times).toBe(1);
  });
});

describe('a ledger whose wallet clears what is old from its list', () => {
  test('does not take what was paid since for a proof that the list is whole', async () => {
    for (const repeats of kinds) {
      const behave = (key: string): Behaviour => ({ does: key === 'leg-1' ? 'pay unheard' : 'pay' });
      const { wallet, ledger } = world(behave, { repeats, lookups: once });
      ledger.plan([legPlan(0)]);
      await ledger.run();
      ledger.plan([legPlan(1)]);
      await ledger.run({ onLeg: () => (wallet.reachable = false) });
      wallet.reachable = true;
      wallet.forget();
      ledger.plan([legPlan(2)]);
      await ledger.run({ keys: ['leg-2'] });
      expect(ledger.get('leg-2')?.state).toBe('succeeded');
      expect((await ledger.run()).states.unknown.legs).toBe(1);
      expect(wallet.paid.get('leg-1')?.times).toBe(1);
    }
  });
});

describe('a ledger and its clock', () => {
  test('waits before it sends again what one who may be there has perhaps just sent, though the clock leapt', async () => {
    const { time, wallet, make } = world(() => ({ does: 'pay' }), { repeats: 'lookup' });
    let leaptMs = 0;
    const now = () => time.nowMs + leaptMs;
    const ledger = make({ now });
    wallet.transitMs = 10_000;
    ledger.plan([legPlan(0)]);
    const first = ledger.run();
    await time.sleep(5);
    // Both processes are there, and nobody's lease has run out but by this.
    leaptMs = 2 * hourMs;
    await Promise.all([first, make({ now }).run()]);
    expect(wallet.paid.get('leg-0')?.times).toBe(1);
    expect(ledger.get('leg-0')?.state).toBe('succeeded');
  });

  test('asks once more about what a person gave up before the clock was set back', async () => {
    const { time, ledger, wallet } = world((_, tries) => (tries === 0 ? { does: 'lose' } : { does: 'pay' }), {
      lookups: once,
    });
    ledger.plan([legPlan(0)]);
    await ledger.run({ onLeg: () => (wallet.reachable = false) });
    wallet.reachable = true;
    ledger.resolve('leg-0', 'not_paid', 'me');
    ledger.retry(['leg-0']);
    time.nowMs -= 5 * hourMs;
    const startMs = time.nowMs;
    expect((await ledger.run()).states.succeeded.legs).toBe(1);
    expect(time.nowMs - startMs).toBeLessThan(hourMs);
  });

  test('settles what a crash left open though the clock was set back by hours', async () => {
    for (const repeats of kinds) {
      const { time, wallet, ledger, make } = world(
        (_, tries) => (tries === 0 ? { does: 'lose' } : { does: 'pay' }),
        { repeats, lookups: once },
      );
      ledger.plan([legPlan(0), legPlan(1)]);
      await ledger.run({ onLeg: () => (wallet.reachable = false) });
      time.nowMs -= 5 * hourMs;
      const startMs = time.nowMs;
      wallet.reachable = true;
      const other = make({ lookups: { ...once, attempts: 3 } });
      await other.run();
      expect(other.summary().states.succeeded.legs).toBe(2);
      expect(time.nowMs - startMs).toBeLessThan(hourMs);
    }
  });
});

describe('a host of addresses', () => {
  test('is not paid for two payments by one invoice', async () => {
    const { wallet, ledger, resolver } = world(() => ({ does: 'pay' }));
    const recipient = { type: 'lnaddress', address: 'a@b.c' } as const;
    const invoice = resolver.invoice.bind(resolver);
    let kept: Awaited<ReturnType<typeof invoice>> | undefined;
    let gives = 0;
    // It gives its first invoice three times.
    resolver.invoice = async (...args) => {
      const made = await invoice(...args);
      kept ??= made;
      return gives++ < 3 ? kept : made;
    };
    resolver.keyOf = () => `paid-${gives}`;
    ledger.plan([legPlan(0, { recipient }), legPlan(1, { recipient, amountMsat: 1_000n })]);
    await ledger.run({ concurrency: 1 });
    expect(ledger.list().map(({ state }) => state)).toEqual(['succeeded', 'succeeded']);
    expect(new Set(ledger.list().map(({ paymentHash }) => paymentHash)).size).toBe(2);
    expect(wallet.requests).toHaveLength(2);
  });
});

describe('a host that gives the same invoice until it is paid', () => {
  test('has it paid once, for whichever payment comes first', async () => {
    const recipient = { type: 'lnaddress', address: 'a@b.c' } as const;
    const { wallet, ledger, resolver } = world((_, tries) =>
      tries === 0 ? { does: 'fail', retryable: false } : { does: 'pay' },
    );
    const invoice = resolver.invoice.bind(resolver);
    let open: ReturnType<typeof invoice> | undefined;
    resolver.invoice = (...args) => {
      if (wallet.paid.size > 0 && resolver.invoices.length === 1) open = undefined;
      open ??= invoice(...args);
      return open;
    };
    ledger.plan([legPlan(0, { recipient, amountMsat: 1_000n })]);
    await ledger.run();
    expect(ledger.get('leg-0')?.state).toBe('failed');
    ledger.plan([legPlan(1, { recipient, amountMsat: 1_000n })]);
    expect((await ledger.run()).states.succeeded.legs).toBe(1);
    // Its own invoice is paid by now: it gets another one, and is not called paid.
    ledger.retry(['leg-0']);
    await ledger.run();
    const hashes = ledger.list().map(({ paymentHash }) => paymentHash);
    expect(new Set(hashes).size).toBe(2);
    expect(resolver.invoices).toHaveLength(2);
  });
});

describe('keys of payments', () => {
  test('have no characters that a store does not keep apart', () => {
    const { ledger } = world(() => ({ does: 'pay' }));
    for (const text of ['a\0b', 'a\ud800', '\udfff', 'a\u{10ffff}']) {
      expect(() => ledger.plan([legPlan(0, { key: text })])).toThrow(/character/);
      expect(() => ledger.plan([legPlan(0, { group: text })])).toThrow(/character/);
    }
    expect(() => ledger.plan([legPlan(0, { actor: '' })])).toThrow(/nobody/);
    expect(ledger.plan([legPlan(0, { key: '%/\u{1f600} ', group: '../x' })])).toHaveLength(1);
  });
});
