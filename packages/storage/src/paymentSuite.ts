import { expect, test } from 'vitest';
import type { OutgoingPayment } from './payments.js';
import type { NodeStorage } from './storage.js';
import { channel, codeOf, fill, hash, incoming, nodeId, outgoing, type SuiteContext } from './suiteRows.js';

/** What every storage does with the list of payments and with hashes. */
export function testPayments(context: SuiteContext): void {
  test('an outgoing payment comes back whole, before and after it settles', () => {
    const payment = outgoing(1, { label: 'lunch', idempotencyKey: 'k1', amountMsat: 2n ** 63n - 1n });
    context.storage.transaction((tx) => tx.putOutgoingPayment(payment));
    context.reopen();
    expect(context.storage.getOutgoingPayment(hash(1))).toEqual({ ...payment, sequence: 1 });
    expect(context.storage.getPreimage(hash(1))).toBeUndefined();
    const update = {
      preimage: fill(32, 3),
      feeMsat: 12n,
      status: 'succeeded',
      settledAtMs: 1_700_000_000_999,
      channelId: fill(32, 4),
      htlcId: 7n,
    } as const;
    context.storage.transaction((tx) => tx.updateOutgoingPayment(hash(1), update));
    context.reopen();
    expect(context.storage.getOutgoingPayment(hash(1))).toEqual({ ...payment, ...update, sequence: 1 });
    expect(context.storage.getOutgoingPaymentByKey('k1')).toEqual({ ...payment, ...update, sequence: 1 });
    expect(context.storage.getOutgoingPaymentByKey('k2')).toBeUndefined();
    expect(context.storage.getPreimage(hash(1))).toEqual(fill(32, 3));
  });

  test('a failed payment keeps why, and its unused preimage is not handed out', () => {
    context.storage.transaction((tx) => {
      tx.putOutgoingPayment(outgoing(1, { preimage: fill(32, 5) }));
      tx.updateOutgoingPayment(hash(1), { status: 'failed', failureCode: 'x', failureText: 'no route' });
    });
    expect(context.storage.getOutgoingPayment(hash(1))).toMatchObject({
      status: 'failed',
      failureCode: 'x',
      failureText: 'no route',
    });
    expect(context.storage.getPreimage(hash(1))).toBeUndefined();
  });

  test('a hash or an idempotency key is used once', () => {
    context.storage.transaction((tx) => tx.putOutgoingPayment(outgoing(1, { idempotencyKey: 'k' })));
    const put = (payment: OutgoingPayment) => () =>
      context.storage.transaction((tx) => {
        tx.putValue('trace', fill(1, 1));
        tx.putOutgoingPayment(payment);
      });
    expect(codeOf(put(outgoing(1)))).toBe('duplicate');
    expect(codeOf(put(outgoing(2, { idempotencyKey: 'k' })))).toBe('duplicate');
    expect(context.storage.getValue('trace')).toBeUndefined();
    expect(context.storage.getOutgoingPayment(hash(2))).toBeUndefined();
  });

  test('a payment that failed may be tried again under its hash; both stay in the list', () => {
    context.storage.transaction((tx) => tx.putOutgoingPayment(outgoing(1)));
    context.storage.transaction((tx) => tx.updateOutgoingPayment(hash(1), { status: 'failed' }));
    context.storage.transaction((tx) => tx.putOutgoingPayment(outgoing(1)));
    context.reopen();
    expect(context.storage.getOutgoingPayment(hash(1))).toMatchObject({ sequence: 2, status: 'pending' });
    expect(context.storage.listPayments().payments.map(({ status }) => status)).toEqual([
      'pending',
      'failed',
    ]);
    expect(codeOf(() => context.storage.transaction((tx) => tx.putOutgoingPayment(outgoing(1))))).toBe(
      'duplicate',
    );
  });

  test('a payment that was never put cannot be updated', () => {
    const code = codeOf(() =>
      context.storage.transaction((tx) => tx.updateOutgoingPayment(hash(1), { status: 'failed' })),
    );
    expect(code).toBe('not_found');
  });

  test('threat 27: a hash that came in once is seen for ever, paid or only marked', () => {
    expect(context.storage.hasSeenHash(hash(1))).toBe(false);
    context.storage.transaction((tx) => {
      tx.putIncomingPayment(incoming(1, { sender: nodeId(3) }));
      tx.markHashSeen(hash(2));
      tx.markHashSeen(hash(2));
    });
    context.reopen();
    expect([1, 2, 3].map((value) => context.storage.hasSeenHash(hash(value)))).toEqual([true, true, false]);
    expect(context.storage.getIncomingPayment(hash(1))).toEqual({
      ...incoming(1, { sender: nodeId(3) }),
      sequence: 1,
    });
    expect(context.storage.getIncomingPayment(hash(2))).toBeUndefined();
    expect(context.storage.getPreimage(hash(1))).toEqual(fill(32, 7));
    expect(context.storage.getPreimage(hash(2))).toBeUndefined();
    expect(codeOf(() => context.storage.transaction((tx) => tx.putIncomingPayment(incoming(1))))).toBe(
      'duplicate',
    );
    // A mark is made when the HTLC comes in; the payment follows when it is settled.
    context.storage.transaction((tx) => tx.putIncomingPayment(incoming(2)));
    expect(context.storage.getIncomingPayment(hash(2))).toEqual({ ...incoming(2), sequence: 2 });
    expect(codeOf(() => context.storage.transaction((tx) => tx.putIncomingPayment(incoming(2))))).toBe(
      'duplicate',
    );
  });

  test('what was sent is not seen as received: a payment to oneself has both', () => {
    context.storage.transaction((tx) => tx.putOutgoingPayment(outgoing(1)));
    expect(context.storage.hasSeenHash(hash(1))).toBe(false);
    context.storage.transaction((tx) => tx.putIncomingPayment(incoming(1)));
    expect(context.storage.getOutgoingPayment(hash(1))?.direction).toBe('outgoing');
    expect(context.storage.getIncomingPayment(hash(1))?.direction).toBe('incoming');
  });

  test('payments outlive their channel', () => {
    context.storage.transaction((tx) => {
      tx.putChannel(channel(1));
      tx.putIncomingPayment(incoming(1));
    });
    context.storage.transaction((tx) => tx.deleteChannel(fill(32, 1)));
    expect(context.storage.getIncomingPayment(hash(1))).toEqual({ ...incoming(1), sequence: 1 });
  });

  test('are listed newest first, page by page, by direction and status', () => {
    context.storage.transaction((tx) => {
      for (let value = 1; value <= 30; value++) {
        if (value % 3 === 0) tx.putIncomingPayment(incoming(value));
        else tx.putOutgoingPayment(outgoing(value));
      }
      tx.updateOutgoingPayment(hash(1), { status: 'failed' });
      tx.updateOutgoingPayment(hash(2), { status: 'succeeded' });
    });
    const pages: number[][] = [];
    let before: number | undefined;
    do {
      const page = context.storage.listPayments({ limit: 7, before });
      pages.push(page.payments.map(({ sequence }) => sequence));
      before = page.next;
    } while (before !== undefined);
    expect(pages.map((page) => page.length)).toEqual([7, 7, 7, 7, 2]);
    expect(pages.flat()).toEqual(Array.from({ length: 30 }, (_, index) => 30 - index));
    const count = (filter: Parameters<NodeStorage['listPayments']>[0]) =>
      context.storage.listPayments(filter).payments.length;
    expect(count({ direction: 'incoming' })).toBe(10);
    expect(count({ direction: 'outgoing' })).toBe(20);
    expect(count({ status: 'pending' })).toBe(18);
    expect(count({ status: 'settled' })).toBe(10);
    expect(count({ direction: 'outgoing', status: 'failed' })).toBe(1);
    expect(count({ direction: 'incoming', status: 'succeeded' })).toBe(0);
    expect(context.storage.listPayments({ limit: 30 }).next).toBeUndefined();
    for (const limit of [0, 1001, 1.5, Number.NaN])
      expect(codeOf(() => count({ limit }))).toBe('out_of_range');
  });

  test('are followed from a place in the list on, oldest first', () => {
    context.storage.transaction((tx) => {
      for (let value = 1; value <= 9; value++) {
        if (value % 3 === 0) tx.putIncomingPayment(incoming(value));
        else tx.putOutgoingPayment(outgoing(value));
      }
    });
    const sequences = (filter: Parameters<NodeStorage['listPayments']>[0]) =>
      context.storage.listPayments(filter).payments.map(({ sequence }) => sequence);
    expect(sequences({ after: 0 })).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(sequences({ after: 3, direction: 'incoming' })).toEqual([6, 9]);
    expect(sequences({ after: 9 })).toEqual([]);
    expect(context.storage.listPayments({ after: 2, limit: 3 })).toMatchObject({ next: 5 });
    expect(codeOf(() => sequences({ after: 1, before: 5 }))).toBe('wrong_use');
  });

  test('amounts that 63 bits cannot hold are refused, not cut', () => {
    for (const amountMsat of [-1n, 2n ** 63n, 2n ** 64n]) {
      const put = () =>
        context.storage.transaction((tx) => tx.putOutgoingPayment(outgoing(1, { amountMsat })));
      expect(codeOf(put)).toBe('out_of_range');
    }
    expect(context.storage.listPayments().payments).toEqual([]);
  });
}
