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
  const ended: string[] = [];
  const once = new PaidOnce({
    wallet,
    store,
    prefix: 'test/',
    now: () => 5_000,
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
  return { once, store, wallet, timers, pay, ended };
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
    const { pay, wallet, timers } = setUp();
    wallet.plans.push('open');
    const result = pay();
    for (let time = 0; time < 4; time++) {
      await settle();
      timers.elapse(60_000);
    }
    expect(wallet.lookups).toBeGreaterThan(3);
    wallet.settle({ status: 'succeeded', feeMsat: 5n });
    await settle();
    timers.elapse(60_000);
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
    await settle();
    later.timers.elapse(60_000);
    await settle();
    expect(later.ended).toEqual(['failed']);
    expect(wallet.invoices).toHaveLength(1);
    // It certainly was never sent: now it may be.
    expect(later.pay().type).toBe('paying');
  });

  test('do not leave where they are not admitted', () => {
    const { pay, wallet, store } = setUp();
    expect(pay({ admit: () => 'no money' })).toEqual({ type: 'refused', reason: 'no money' });
    expect(store.get(`test/${hash}`)).toBeUndefined();
    expect(wallet.invoices).toHaveLength(0);
  });
});
