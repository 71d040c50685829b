import { expect, test } from 'vitest';
import { codeOf, fill, hash, type SuiteContext } from './suiteRows.js';

/** What every storage does with invoices. */
export function testInvoices(context: SuiteContext): void {
  const invoice = (value: number) => ({
    paymentHash: hash(value),
    preimage: fill(32, 2),
    paymentSecret: fill(32, 3),
    amountMsat: 5_000n,
    bolt11: `lnbcrt${value}`,
    description: 'a \u00e9 and a \u{1f600}',
    createdAtMs: 1_700_000_000_000,
    expiresAtMs: 1_700_003_600_000,
    minFinalCltvDelta: 18,
    hold: false,
    state: 'open' as const,
  });

  test('come back whole, before and after they are settled', () => {
    const hold = { ...invoice(2), hold: true, preimage: undefined, amountMsat: undefined };
    context.storage.transaction((tx) => {
      tx.putInvoice(invoice(1));
      tx.putInvoice(hold);
    });
    context.reopen();
    expect(context.storage.getInvoice(hash(1))).toMatchObject(invoice(1));
    expect(context.storage.getInvoice(hash(2))).toMatchObject(hold);
    const update = {
      preimage: fill(32, 9),
      state: 'settled' as const,
      receivedMsat: 6_000n,
      settledAtMs: 1_700_000_000_001,
    };
    context.storage.transaction((tx) => tx.updateInvoice(hash(2), update));
    context.reopen();
    expect(context.storage.getInvoice(hash(2))).toEqual({ ...hold, ...update, sequence: 2 });
    expect(context.storage.getInvoice(hash(3))).toBeUndefined();
  });

  test('a hash has one invoice, and only what is there can be changed', () => {
    context.storage.transaction((tx) => tx.putInvoice(invoice(1)));
    expect(codeOf(() => context.storage.transaction((tx) => tx.putInvoice(invoice(1))))).toBe('duplicate');
    expect(
      codeOf(() => context.storage.transaction((tx) => tx.updateInvoice(hash(2), { state: 'held' }))),
    ).toBe('not_found');
  });

  test('are listed newest first, page by page and by state', () => {
    context.storage.transaction((tx) => {
      for (let value = 1; value <= 5; value++) tx.putInvoice(invoice(value));
      tx.updateInvoice(hash(3), { state: 'held' });
    });
    const sequences = (filter = {}) =>
      context.storage.listInvoices(filter).invoices.map(({ sequence }) => sequence);
    expect(sequences({ limit: 2 })).toEqual([5, 4]);
    expect(context.storage.listInvoices({ limit: 2 }).next).toBe(4);
    expect(sequences({ before: 4, limit: 3 })).toEqual([3, 2, 1]);
    expect(sequences({ state: 'held' })).toEqual([3]);
    expect(codeOf(() => context.storage.listInvoices({ limit: 0 }))).toBe('out_of_range');
  });
}
