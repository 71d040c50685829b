import { describe, expect, test } from 'vitest';
import { memoryStore } from '../../store/memoryStore.js';
import type { ToolkitStore } from '../../store/toolkitStore.js';
import type { PaymentOutcome } from '../wallet.js';
import { ManualSchedule } from '../walletWorld.test.support.js';
import { PaidOnce } from './paidOnce.js';
import { ServedWallet } from './servedWallet.test.support.js';

const hash = 'ab'.repeat(32);
const refusal = { status: 'failed', failure: 'no_route', message: 'no way', retryable: true } as const;

function setUp({
  store = memoryStore(),
  wallet = new ServedWallet(),
}: {
  store?: ToolkitStore;
  wallet?: ServedWallet;
} = {}) {
  const timers = new ManualSchedule();
  let nowMs = 5_000;
  const elapse = async (milliseconds: number): Promise<void> => {
    await settle();
    nowMs += milliseconds;
    timers.elapse(milliseconds);
    await settle();
  };
  const ended: string[] = [];
  const once = new PaidOnce({
    wallet,
    store,
    prefix: 'test/',
    now: () => nowMs,
    schedule: timers.schedule,
    onEnd: (_tx, row) => void ended.push(row.state),
  });
  const pay = (fields: Partial<Parameters<PaidOnce['pay']>[0]> = {}) =>
    once.pay({
      hash,
      fingerprint: 'same',
      amountMsat: 1_000n,
      send: async () => wallet.payInvoice({ invoice: hash }),
      ...fields,
    });
  return { once, store, wallet, elapse, pay, ended };
}

/** Lets everything happen that waits for nothing but promises. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('payments that are made once', () => {
  test('are in the store before they leave', async () => {
    const { pay, store } = setUp();
    const result = pay({
      send: async () => {
        expect(store.get(`test/${hash}`)).toContain('"state":"open"');
        return refusal;
      },
    });
    expect(result.type).toBe('paying');
    if (result.type === 'paying') expect(await result.outcome).toEqual(refusal);
  });

  test('answer the second time what became of the first', async () => {
    const { pay, wallet } = setUp();
    const [first, second] = [pay(), pay()];
    expect([first.type, second.type]).toEqual(['paying', 'under_way']);
    const outcomes = await Promise.all(
      [first, second].map((one) => (one as { outcome: Promise<PaymentOutcome> }).outcome),
    );
    expect(outcomes[0]).toEqual(outcomes[1]);
    const third = pay();
    expect(third).toMatchObject({ type: 'paid', outcome: { status: 'succeeded', feeMsat: 1_234n } });
    expect(pay({ fingerprint: 'other' })).toEqual({ type: 'conflict' });
    expect(wallet.paid).toBe(1);
  });

  test('may be made again when they certainly failed', async () => {
    const { pay, wallet, ended } = setUp();
    wallet.plans.push(refusal);
    const first = pay();
    if (first.type === 'paying') await first.outcome;
    const second = pay();
    if (second.type === 'paying') expect(await second.outcome).toMatchObject({ status: 'succeeded' });
    expect(ended).toEqual(['failed', 'succeeded']);
  });

  test('are looked up until it is certain what became of them', async () => {
    const { pay, wallet, elapse } = setUp();
    wallet.plans.push('open');
    const result = pay();
    for (let time = 0; time < 4; time++) await elapse(60_000);
    expect(wallet.lookups).toBeGreaterThan(3);
    wallet.settle({ status: 'succeeded', feeMsat: 5n });
    await elapse(60_000);
    if (result.type === 'paying')
      expect(await result.outcome).toMatchObject({ status: 'succeeded', feeMsat: 5n });
  });

  test('are looked up after a restart, and not sent again', async () => {
    const { pay, wallet, store, once } = setUp();
    wallet.plans.push('open');
    pay();
    await settle();
    once.close();
    const later = setUp({ store, wallet });
    later.once.resume();
    wallet.settle(undefined);
    for (let time = 0; time < 5; time++) await later.elapse(60_000);
    expect(later.ended).toEqual(['failed']);
    expect(wallet.invoices).toHaveLength(1);
    // It certainly was never sent: now it may be.
    expect(later.pay().type).toBe('paying');
  });

  test.each([undefined, refusal])(
    'are not called failed while the request may be on its way, whatever the list of the wallet says: %j',
    async (listed) => {
      const { pay, wallet, elapse, ended, once } = setUp();
      let arrive = (): void => {};
      const result = pay({
        send: async () => {
          // The connection broke after it was written: what stands in between passes it on later.
          arrive = () => wallet.outcomes.set(hash, { status: 'succeeded', feeMsat: 5n });
          if (listed !== undefined) wallet.outcomes.set(hash, listed);
          return { status: 'unknown', message: 'the connection broke' };
        },
      });
      for (let time = 0; time < 3; time++) await elapse(10_000);
      expect(wallet.lookups).toBeGreaterThan(1);
      expect([ended, once.get(hash)?.state, pay().type]).toEqual([[], 'open', 'under_way']);
      arrive();
      await elapse(60_000);
      if (result.type === 'paying') expect(await result.outcome).toMatchObject({ status: 'succeeded' });
      expect(ended).toEqual(['succeeded']);
    },
  );

  test('are not called failed by a second process while the first one sends them', async () => {
    const { pay, wallet, store, once } = setUp();
    let answer = (_: PaymentOutcome): void => {};
    pay({ send: () => new Promise((resolve) => (answer = resolve)) });
    const second = setUp({ store, wallet });
    second.once.resume();
    await second.elapse(60_000);
    expect(once.get(hash)?.state).toBe('open');
    answer({ status: 'succeeded', feeMsat: 5n });
    await settle();
    expect(second.pay().type).toBe('paid');
  });

  test('are paid where the wallet says so in the end, though they were taken for failed', async () => {
    const { pay, wallet, store, once, ended } = setUp();
    let answer = (_: PaymentOutcome): void => {};
    pay({ send: () => new Promise((resolve) => (answer = resolve)) });
    const second = setUp({ store, wallet });
    second.once.resume();
    // Its answer takes longer than any should.
    for (let time = 0; time < 5; time++) await second.elapse(60_000);
    expect(once.get(hash)?.state).toBe('failed');
    answer({ status: 'succeeded', feeMsat: 5n });
    await settle();
    expect(once.get(hash)).toMatchObject({ state: 'succeeded', feeMsat: '5' });
    expect(ended).toEqual(['succeeded']);
    expect(second.pay()).toMatchObject({ type: 'paid' });
  });

  test('do not leave where they are not admitted', () => {
    const { pay, wallet, store } = setUp();
    expect(pay({ admit: () => 'no money' })).toEqual({ type: 'refused', reason: 'no money' });
    expect(store.get(`test/${hash}`)).toBeUndefined();
    expect(wallet.invoices).toHaveLength(0);
  });
});
