import { expect, test } from 'vitest';
import { channel, codeOf, fill, hash, incoming, offered, type SuiteContext } from './suiteRows.js';

/** What every storage promises of a transaction. */
export function testTransactions(context: SuiteContext): void {
  test('return what the body returns, and its writes survive a reopening', () => {
    const result = context.storage.transaction((tx) => {
      tx.putValue('a', fill(3, 1));
      expect(tx.getValue('a')).toEqual(fill(3, 1));
      return 42;
    });
    expect(result).toBe(42);
    context.reopen();
    expect(context.storage.getValue('a')).toEqual(fill(3, 1));
  });

  test('an exception rolls everything back and is thrown on as it is', () => {
    context.storage.transaction((tx) => tx.putChannel(channel(1)));
    const failure = new Error('no');
    let thrown: unknown;
    try {
      context.storage.transaction((tx) => {
        tx.putChannel(channel(1, fill(1, 9)));
        tx.putChannel(channel(2));
        tx.putHtlc(offered(2, 0n));
        tx.putIncomingPayment(incoming(1));
        tx.deleteChannel(fill(32, 1));
        throw failure;
      });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBe(failure);
    expect(context.storage.loadChannels()).toEqual([channel(1)]);
    expect(context.storage.hasSeenHash(hash(1))).toBe(false);
    // What was remembered of the channels that were rolled back is forgotten with them.
    context.storage.transaction((tx) => {
      tx.putChannel(channel(3));
      tx.putChannel(channel(2));
      tx.putHtlc(offered(2, 5n));
    });
    expect(context.storage.loadHtlcs(fill(32, 2))).toEqual([offered(2, 5n)]);
    expect(context.storage.loadHtlcs(fill(32, 3))).toEqual([]);
  });

  test('cannot be nested; the outer one is rolled back when the error is not caught', () => {
    const code = codeOf(() =>
      context.storage.transaction((tx) => {
        tx.putValue('a', fill(1, 1));
        context.storage.transaction(() => {});
      }),
    );
    expect(code).toBe('wrong_use');
    expect(context.storage.getValue('a')).toBeUndefined();
  });

  test('refuse a body that returns a promise, and keep nothing of it', () => {
    expect(codeOf(() => context.storage.transaction(async (tx) => tx.putValue('a', fill(1, 1))))).toBe(
      'wrong_use',
    );
    expect(context.storage.getValue('a')).toBeUndefined();
  });

  test('cannot be written to once they are over', () => {
    const leaked = context.storage.transaction((tx) => tx);
    expect(codeOf(() => leaked.putValue('a', fill(1, 1)))).toBe('wrong_use');
    expect(context.storage.getValue('a')).toBeUndefined();
  });

  test('cannot be started after close', () => {
    context.storage.close();
    expect(codeOf(() => context.storage.transaction(() => {}))).toBe('wrong_use');
    expect(codeOf(() => context.storage.loadChannels())).toBe('wrong_use');
    context.renew();
  });
}
