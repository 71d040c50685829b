import { expect, test } from 'vitest';
import { channel, fill, hash, type SuiteContext } from './suiteRows.js';

/** What every storage does with what is under way. */
export function testRouting(context: SuiteContext): void {
  const forward = (id: bigint, data: Uint8Array) => ({
    incomingChannelId: fill(32, 1),
    incomingHtlcId: id,
    data,
  });

  test('a sending is put, replaced and deleted', () => {
    context.storage.transaction((tx) => tx.putSending({ paymentHash: hash(1), state: fill(3, 1) }));
    context.storage.transaction((tx) => {
      tx.putSending({ paymentHash: hash(1), state: fill(3, 2) });
      tx.putSending({ paymentHash: hash(2), state: fill(3, 3) });
      tx.deleteSending(hash(2));
      tx.deleteSending(hash(3));
    });
    context.reopen();
    expect(context.storage.loadSendings()).toEqual([{ paymentHash: hash(1), state: fill(3, 2) }]);
  });

  test('a forward is named by its incoming HTLC and outlives both channels', () => {
    context.storage.transaction((tx) => {
      tx.putChannel(channel(1));
      tx.putForward(forward(0n, fill(3, 1)));
      tx.putForward(forward(1n, fill(3, 2)));
      tx.putForward(forward(1n, fill(3, 3)));
      tx.deleteForward(forward(0n, fill(3, 1)));
      tx.deleteChannel(fill(32, 1));
    });
    context.reopen();
    expect(context.storage.loadForwards()).toEqual([forward(1n, fill(3, 3))]);
  });

  test('of what was forwarded the sums of an hour and a pair of channels stay', () => {
    const total = (hour: number, more = {}) => ({
      hour,
      incomingChannelId: fill(32, 1),
      outgoingChannelId: fill(32, 2),
      settledCount: 1,
      failedCount: 0,
      amountMsat: 5_000n,
      feeMsat: 7n,
      ...more,
    });
    context.storage.transaction((tx) => {
      tx.addForwardTotal(total(10));
      tx.addForwardTotal(total(10, { settledCount: 0, failedCount: 1, amountMsat: 0n, feeMsat: 0n }));
      tx.addForwardTotal(total(10));
      tx.addForwardTotal(total(11));
      tx.addForwardTotal(total(12));
    });
    context.reopen();
    expect(context.storage.listForwardTotals({ fromHour: 10, toHour: 12 })).toEqual([
      total(10, { settledCount: 2, failedCount: 1, amountMsat: 10_000n, feeMsat: 14n }),
      total(11),
    ]);
  });
}
