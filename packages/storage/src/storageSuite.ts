import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { testClosing } from './closingSuite.js';
import type { IncomingPayment, OutgoingPayment } from './payments.js';
import { BLOCKS_KEPT, type NodeStorage, type StoredChannel, type StoredHtlc } from './storage.js';
import { testTowers } from './towerSuite.js';

/** What the suite needs of a backend: two opens of the same place see the same data. */
export interface SuiteBackend {
  open(): NodeStorage;
  /** Forgets everything, after the storage was closed. */
  remove(): void;
  /** Whether data outlives close(). */
  readonly durable: boolean;
}

const fill = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);
const hash = (value: number): Uint8Array => {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
};
const nodeId = (value: number): Uint8Array => fill(33, value);
const channel = (value: number, state = fill(40, value)): StoredChannel => ({
  channelId: fill(32, value),
  remoteNodeId: nodeId(value),
  state,
});
const offered = (channelNumber: number, id: bigint, data = fill(60, Number(id & 0xffn))): StoredHtlc => ({
  channelId: fill(32, channelNumber),
  direction: 'offered',
  id,
  data,
});
const outgoing = (value: number, more: Partial<OutgoingPayment> = {}): OutgoingPayment => ({
  direction: 'outgoing',
  paymentHash: hash(value),
  destination: nodeId(2),
  amountMsat: BigInt(value) * 1000n,
  feeMsat: 0n,
  status: 'pending',
  records: fill(5, 9),
  createdAtMs: 1_700_000_000_000 + value,
  ...more,
});
const incoming = (value: number, more: Partial<IncomingPayment> = {}): IncomingPayment => ({
  direction: 'incoming',
  paymentHash: hash(value),
  preimage: fill(32, 7),
  amountMsat: 21_000n,
  status: 'settled',
  records: fill(300, 1),
  channelId: fill(32, 1),
  htlcId: BigInt(value),
  receivedAtMs: 1_700_000_000_000,
  ...more,
});

/** The one suite that every backend passes. */
export function storageSuite(name: string, makeBackend: () => SuiteBackend): void {
  describe(`storage: ${name}`, () => {
    let backend: SuiteBackend;
    let storage: NodeStorage;

    beforeEach(() => {
      backend = makeBackend();
      storage = backend.open();
    });
    afterEach(() => {
      storage.close();
      backend.remove();
    });
    const reopen = (): void => {
      if (!backend.durable) return;
      storage.close();
      storage = backend.open();
    };
    const codeOf = (action: () => unknown): unknown => {
      try {
        action();
      } catch (error) {
        return (error as { code?: unknown }).code;
      }
      return 'nothing was thrown';
    };

    describe('transactions', () => {
      test('return what the body returns, and its writes survive a reopening', () => {
        const result = storage.transaction((tx) => {
          tx.putValue('a', fill(3, 1));
          expect(tx.getValue('a')).toEqual(fill(3, 1));
          return 42;
        });
        expect(result).toBe(42);
        reopen();
        expect(storage.getValue('a')).toEqual(fill(3, 1));
      });

      test('an exception rolls everything back and is thrown on as it is', () => {
        storage.transaction((tx) => tx.putChannel(channel(1)));
        const failure = new Error('no');
        let thrown: unknown;
        try {
          storage.transaction((tx) => {
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
        expect(storage.loadChannels()).toEqual([channel(1)]);
        expect(storage.hasSeenHash(hash(1))).toBe(false);
        // What was remembered of the channels that were rolled back is forgotten with them.
        storage.transaction((tx) => {
          tx.putChannel(channel(3));
          tx.putChannel(channel(2));
          tx.putHtlc(offered(2, 5n));
        });
        expect(storage.loadHtlcs(fill(32, 2))).toEqual([offered(2, 5n)]);
        expect(storage.loadHtlcs(fill(32, 3))).toEqual([]);
      });

      test('cannot be nested; the outer one is rolled back when the error is not caught', () => {
        const code = codeOf(() =>
          storage.transaction((tx) => {
            tx.putValue('a', fill(1, 1));
            storage.transaction(() => {});
          }),
        );
        expect(code).toBe('wrong_use');
        expect(storage.getValue('a')).toBeUndefined();
      });

      test('refuse a body that returns a promise, and keep nothing of it', () => {
        expect(codeOf(() => storage.transaction(async (tx) => tx.putValue('a', fill(1, 1))))).toBe(
          'wrong_use',
        );
        expect(storage.getValue('a')).toBeUndefined();
      });

      test('cannot be written to once they are over', () => {
        const leaked = storage.transaction((tx) => tx);
        expect(codeOf(() => leaked.putValue('a', fill(1, 1)))).toBe('wrong_use');
        expect(storage.getValue('a')).toBeUndefined();
      });

      test('cannot be started after close', () => {
        storage.close();
        expect(codeOf(() => storage.transaction(() => {}))).toBe('wrong_use');
        expect(codeOf(() => storage.loadChannels())).toBe('wrong_use');
        storage.close();
        storage = backend.open();
      });
    });

    describe('channels', () => {
      test('are put, replaced, deleted, and come back in the order of their first put', () => {
        storage.transaction((tx) => {
          tx.putChannel(channel(5));
          tx.putChannel(channel(1));
          tx.putChannel(channel(3));
          tx.putChannel(channel(5, fill(5000, 8)));
        });
        storage.transaction((tx) => {
          tx.deleteChannel(fill(32, 1));
          tx.deleteChannel(fill(32, 77));
        });
        reopen();
        expect(storage.loadChannels()).toEqual([channel(5, fill(5000, 8)), channel(3)]);
      });

      test('never change hands', () => {
        storage.transaction((tx) => tx.putChannel(channel(1)));
        const code = codeOf(() =>
          storage.transaction((tx) => tx.putChannel({ ...channel(1), remoteNodeId: nodeId(9) })),
        );
        expect(code).toBe('wrong_use');
        expect(storage.loadChannels()).toEqual([channel(1)]);
      });

      test('have ids of 32 bytes and node ids of 33', () => {
        const short = codeOf(() =>
          storage.transaction((tx) => tx.putChannel({ ...channel(1), channelId: fill(31, 1) })),
        );
        const long = codeOf(() =>
          storage.transaction((tx) => tx.putChannel({ ...channel(1), remoteNodeId: fill(34, 1) })),
        );
        expect([short, long]).toEqual(['out_of_range', 'out_of_range']);
      });
    });

    describe('HTLCs', () => {
      beforeEach(() => {
        storage.transaction((tx) => {
          tx.putChannel(channel(1));
          tx.putChannel(channel(2));
        });
      });

      test('offered and received ones of the same id are different, and each belongs to its channel', () => {
        const received: StoredHtlc = { ...offered(1, 0n), direction: 'received', data: fill(9, 9) };
        storage.transaction((tx) => {
          tx.putHtlc(received);
          tx.putHtlc(offered(1, 1n));
          tx.putHtlc(offered(1, 0n));
          tx.putHtlc(offered(2, 0n, fill(1, 2)));
        });
        reopen();
        expect(storage.loadHtlcs(fill(32, 1))).toEqual([offered(1, 0n), offered(1, 1n), received]);
        expect(storage.loadHtlcs(fill(32, 2))).toEqual([offered(2, 0n, fill(1, 2))]);
        expect(storage.loadHtlcs(fill(32, 9))).toEqual([]);
      });

      test('archiving moves one out of the live ones and keeps the given data', () => {
        storage.transaction((tx) => {
          for (let id = 0n; id < 5n; id++) tx.putHtlc(offered(1, id));
          tx.archiveHtlc(offered(1, 2n, fill(4, 4)));
          tx.archiveHtlc(offered(1, 9n, fill(4, 9)));
          tx.deleteHtlc(offered(1, 3n));
        });
        reopen();
        expect(storage.loadHtlcs(fill(32, 1)).map(({ id }) => id)).toEqual([0n, 1n, 4n]);
        expect(storage.loadArchivedHtlcs(fill(32, 1))).toEqual([
          offered(1, 2n, fill(4, 4)),
          offered(1, 9n, fill(4, 9)),
        ]);
        expect(storage.getArchivedHtlc(offered(1, 2n))).toEqual(offered(1, 2n, fill(4, 4)));
        expect(storage.getArchivedHtlc(offered(1, 1n))).toBeUndefined();
        expect(storage.getArchivedHtlc({ ...offered(1, 2n), direction: 'received' })).toBeUndefined();
      });

      test('need their channel, and go with it', () => {
        expect(codeOf(() => storage.transaction((tx) => tx.putHtlc(offered(9, 0n))))).toBe('not_found');
        storage.transaction((tx) => {
          tx.putHtlc(offered(1, 0n));
          tx.archiveHtlc(offered(1, 1n));
          tx.deleteChannel(fill(32, 1));
        });
        expect(codeOf(() => storage.transaction((tx) => tx.putHtlc(offered(1, 0n))))).toBe('not_found');
        storage.transaction((tx) => tx.putChannel(channel(1)));
        expect(storage.loadHtlcs(fill(32, 1))).toEqual([]);
        expect(storage.loadArchivedHtlcs(fill(32, 1))).toEqual([]);
      });

      test('ids reach 2^63 - 1 and no further', () => {
        const last = 2n ** 63n - 1n;
        storage.transaction((tx) => tx.putHtlc(offered(1, last)));
        expect(storage.loadHtlcs(fill(32, 1))).toEqual([offered(1, last)]);
        for (const id of [last + 1n, 2n ** 64n, -1n]) {
          expect(codeOf(() => storage.transaction((tx) => tx.putHtlc(offered(1, id))))).toBe('out_of_range');
        }
      });

      test('any sequence of puts, archivings and deletions leaves what a plain map would hold', () => {
        const step = fc.record({
          kind: fc.constantFrom('put' as const, 'archive' as const, 'delete' as const),
          direction: fc.constantFrom('offered' as const, 'received' as const),
          id: fc.bigInt({ min: 0n, max: 3n }),
          data: fc.uint8Array({ maxLength: 20 }),
          fails: fc.boolean(),
        });
        let run = 10;
        fc.assert(
          fc.property(fc.array(fc.array(step, { maxLength: 6 }), { maxLength: 6 }), (transactions) => {
            const { channelId, remoteNodeId, state } = channel(run++ % 250);
            storage.transaction((tx) => {
              tx.deleteChannel(channelId);
              tx.putChannel({ channelId, remoteNodeId, state });
            });
            let live = new Map<string, Uint8Array>();
            let archived = new Map<string, Uint8Array>();
            for (const steps of transactions) {
              const nextLive = new Map(live);
              const nextArchived = new Map(archived);
              const fails = steps.some((each) => each.fails) && steps.length % 2 === 0;
              try {
                storage.transaction((tx) => {
                  for (const { kind, direction, id, data } of steps) {
                    const key = `${direction} ${id}`;
                    if (kind === 'put') {
                      tx.putHtlc({ channelId, direction, id, data });
                      nextLive.set(key, data);
                    } else {
                      if (kind === 'archive') {
                        tx.archiveHtlc({ channelId, direction, id, data });
                        nextArchived.set(key, data);
                      } else tx.deleteHtlc({ channelId, direction, id });
                      nextLive.delete(key);
                    }
                  }
                  if (fails) throw new Error('roll back');
                });
                live = nextLive;
                archived = nextArchived;
              } catch (error) {
                if ((error as Error).message !== 'roll back') throw error;
              }
            }
            const asMap = (htlcs: StoredHtlc[]) =>
              new Map(htlcs.map((htlc) => [`${htlc.direction} ${htlc.id}`, htlc.data]));
            expect(asMap(storage.loadHtlcs(channelId))).toEqual(live);
            expect(asMap(storage.loadArchivedHtlcs(channelId))).toEqual(archived);
          }),
          { numRuns: 40 },
        );
      });
    });

    describe('payments', () => {
      test('an outgoing payment comes back whole, before and after it settles', () => {
        const payment = outgoing(1, { label: 'lunch', idempotencyKey: 'k1', amountMsat: 2n ** 63n - 1n });
        storage.transaction((tx) => tx.putOutgoingPayment(payment));
        reopen();
        expect(storage.getOutgoingPayment(hash(1))).toEqual({ ...payment, sequence: 1 });
        expect(storage.getPreimage(hash(1))).toBeUndefined();
        const update = {
          preimage: fill(32, 3),
          feeMsat: 12n,
          status: 'succeeded',
          settledAtMs: 1_700_000_000_999,
          channelId: fill(32, 4),
          htlcId: 7n,
        } as const;
        storage.transaction((tx) => tx.updateOutgoingPayment(hash(1), update));
        reopen();
        expect(storage.getOutgoingPayment(hash(1))).toEqual({ ...payment, ...update, sequence: 1 });
        expect(storage.getOutgoingPaymentByKey('k1')).toEqual({ ...payment, ...update, sequence: 1 });
        expect(storage.getOutgoingPaymentByKey('k2')).toBeUndefined();
        expect(storage.getPreimage(hash(1))).toEqual(fill(32, 3));
      });

      test('a failed payment keeps why, and its unused preimage is not handed out', () => {
        storage.transaction((tx) => {
          tx.putOutgoingPayment(outgoing(1, { preimage: fill(32, 5) }));
          tx.updateOutgoingPayment(hash(1), { status: 'failed', failureCode: 'x', failureText: 'no route' });
        });
        expect(storage.getOutgoingPayment(hash(1))).toMatchObject({
          status: 'failed',
          failureCode: 'x',
          failureText: 'no route',
        });
        expect(storage.getPreimage(hash(1))).toBeUndefined();
      });

      test('a hash or an idempotency key is used once', () => {
        storage.transaction((tx) => tx.putOutgoingPayment(outgoing(1, { idempotencyKey: 'k' })));
        const put = (payment: OutgoingPayment) => () =>
          storage.transaction((tx) => {
            tx.putValue('trace', fill(1, 1));
            tx.putOutgoingPayment(payment);
          });
        expect(codeOf(put(outgoing(1)))).toBe('duplicate');
        expect(codeOf(put(outgoing(2, { idempotencyKey: 'k' })))).toBe('duplicate');
        expect(storage.getValue('trace')).toBeUndefined();
        expect(storage.getOutgoingPayment(hash(2))).toBeUndefined();
      });

      test('a payment that failed may be tried again under its hash; both stay in the list', () => {
        storage.transaction((tx) => tx.putOutgoingPayment(outgoing(1)));
        storage.transaction((tx) => tx.updateOutgoingPayment(hash(1), { status: 'failed' }));
        storage.transaction((tx) => tx.putOutgoingPayment(outgoing(1)));
        reopen();
        expect(storage.getOutgoingPayment(hash(1))).toMatchObject({ sequence: 2, status: 'pending' });
        expect(storage.listPayments().payments.map(({ status }) => status)).toEqual(['pending', 'failed']);
        expect(codeOf(() => storage.transaction((tx) => tx.putOutgoingPayment(outgoing(1))))).toBe(
          'duplicate',
        );
      });

      test('a payment that was never put cannot be updated', () => {
        const code = codeOf(() =>
          storage.transaction((tx) => tx.updateOutgoingPayment(hash(1), { status: 'failed' })),
        );
        expect(code).toBe('not_found');
      });

      test('threat 27: a hash that came in once is seen for ever, paid or only marked', () => {
        expect(storage.hasSeenHash(hash(1))).toBe(false);
        storage.transaction((tx) => {
          tx.putIncomingPayment(incoming(1, { sender: nodeId(3) }));
          tx.markHashSeen(hash(2));
          tx.markHashSeen(hash(2));
        });
        reopen();
        expect([1, 2, 3].map((value) => storage.hasSeenHash(hash(value)))).toEqual([true, true, false]);
        expect(storage.getIncomingPayment(hash(1))).toEqual({
          ...incoming(1, { sender: nodeId(3) }),
          sequence: 1,
        });
        expect(storage.getIncomingPayment(hash(2))).toBeUndefined();
        expect(storage.getPreimage(hash(1))).toEqual(fill(32, 7));
        expect(storage.getPreimage(hash(2))).toBeUndefined();
        expect(codeOf(() => storage.transaction((tx) => tx.putIncomingPayment(incoming(1))))).toBe(
          'duplicate',
        );
        // A mark is made when the HTLC comes in; the payment follows when it is settled.
        storage.transaction((tx) => tx.putIncomingPayment(incoming(2)));
        expect(storage.getIncomingPayment(hash(2))).toEqual({ ...incoming(2), sequence: 2 });
        expect(codeOf(() => storage.transaction((tx) => tx.putIncomingPayment(incoming(2))))).toBe(
          'duplicate',
        );
      });

      test('what was sent is not seen as received: a payment to oneself has both', () => {
        storage.transaction((tx) => tx.putOutgoingPayment(outgoing(1)));
        expect(storage.hasSeenHash(hash(1))).toBe(false);
        storage.transaction((tx) => tx.putIncomingPayment(incoming(1)));
        expect(storage.getOutgoingPayment(hash(1))?.direction).toBe('outgoing');
        expect(storage.getIncomingPayment(hash(1))?.direction).toBe('incoming');
      });

      test('payments outlive their channel', () => {
        storage.transaction((tx) => {
          tx.putChannel(channel(1));
          tx.putIncomingPayment(incoming(1));
        });
        storage.transaction((tx) => tx.deleteChannel(fill(32, 1)));
        expect(storage.getIncomingPayment(hash(1))).toEqual({ ...incoming(1), sequence: 1 });
      });

      test('are listed newest first, page by page, by direction and status', () => {
        storage.transaction((tx) => {
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
          const page = storage.listPayments({ limit: 7, before });
          pages.push(page.payments.map(({ sequence }) => sequence));
          before = page.next;
        } while (before !== undefined);
        expect(pages.map((page) => page.length)).toEqual([7, 7, 7, 7, 2]);
        expect(pages.flat()).toEqual(Array.from({ length: 30 }, (_, index) => 30 - index));
        const count = (filter: Parameters<NodeStorage['listPayments']>[0]) =>
          storage.listPayments(filter).payments.length;
        expect(count({ direction: 'incoming' })).toBe(10);
        expect(count({ direction: 'outgoing' })).toBe(20);
        expect(count({ status: 'pending' })).toBe(18);
        expect(count({ status: 'settled' })).toBe(10);
        expect(count({ direction: 'outgoing', status: 'failed' })).toBe(1);
        expect(count({ direction: 'incoming', status: 'succeeded' })).toBe(0);
        expect(storage.listPayments({ limit: 30 }).next).toBeUndefined();
        for (const limit of [0, 1001, 1.5, Number.NaN])
          expect(codeOf(() => count({ limit }))).toBe('out_of_range');
      });

      test('amounts that 63 bits cannot hold are refused, not cut', () => {
        for (const amountMsat of [-1n, 2n ** 63n, 2n ** 64n]) {
          const put = () => storage.transaction((tx) => tx.putOutgoingPayment(outgoing(1, { amountMsat })));
          expect(codeOf(put)).toBe('out_of_range');
        }
        expect(storage.listPayments().payments).toEqual([]);
      });
    });

    describe('payments under way and forwards', () => {
      const forward = (id: bigint, data: Uint8Array) => ({
        incomingChannelId: fill(32, 1),
        incomingHtlcId: id,
        data,
      });

      test('a sending is put, replaced and deleted', () => {
        storage.transaction((tx) => tx.putSending({ paymentHash: hash(1), state: fill(3, 1) }));
        storage.transaction((tx) => {
          tx.putSending({ paymentHash: hash(1), state: fill(3, 2) });
          tx.putSending({ paymentHash: hash(2), state: fill(3, 3) });
          tx.deleteSending(hash(2));
          tx.deleteSending(hash(3));
        });
        reopen();
        expect(storage.loadSendings()).toEqual([{ paymentHash: hash(1), state: fill(3, 2) }]);
      });

      test('a forward is named by its incoming HTLC and outlives both channels', () => {
        storage.transaction((tx) => {
          tx.putChannel(channel(1));
          tx.putForward(forward(0n, fill(3, 1)));
          tx.putForward(forward(1n, fill(3, 2)));
          tx.putForward(forward(1n, fill(3, 3)));
          tx.deleteForward(forward(0n, fill(3, 1)));
          tx.deleteChannel(fill(32, 1));
        });
        reopen();
        expect(storage.loadForwards()).toEqual([forward(1n, fill(3, 3))]);
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
        storage.transaction((tx) => {
          tx.addForwardTotal(total(10));
          tx.addForwardTotal(total(10, { settledCount: 0, failedCount: 1, amountMsat: 0n, feeMsat: 0n }));
          tx.addForwardTotal(total(10));
          tx.addForwardTotal(total(11));
          tx.addForwardTotal(total(12));
        });
        reopen();
        expect(storage.listForwardTotals({ fromHour: 10, toHour: 12 })).toEqual([
          total(10, { settledCount: 2, failedCount: 1, amountMsat: 10_000n, feeMsat: 14n }),
          total(11),
        ]);
      });
    });

    describe('invoices', () => {
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
        storage.transaction((tx) => {
          tx.putInvoice(invoice(1));
          tx.putInvoice(hold);
        });
        reopen();
        expect(storage.getInvoice(hash(1))).toMatchObject(invoice(1));
        expect(storage.getInvoice(hash(2))).toMatchObject(hold);
        const update = {
          preimage: fill(32, 9),
          state: 'settled' as const,
          receivedMsat: 6_000n,
          settledAtMs: 1_700_000_000_001,
        };
        storage.transaction((tx) => tx.updateInvoice(hash(2), update));
        reopen();
        expect(storage.getInvoice(hash(2))).toEqual({ ...hold, ...update, sequence: 2 });
        expect(storage.getInvoice(hash(3))).toBeUndefined();
      });

      test('a hash has one invoice, and only what is there can be changed', () => {
        storage.transaction((tx) => tx.putInvoice(invoice(1)));
        expect(codeOf(() => storage.transaction((tx) => tx.putInvoice(invoice(1))))).toBe('duplicate');
        expect(codeOf(() => storage.transaction((tx) => tx.updateInvoice(hash(2), { state: 'held' })))).toBe(
          'not_found',
        );
      });

      test('are listed newest first, page by page and by state', () => {
        storage.transaction((tx) => {
          for (let value = 1; value <= 5; value++) tx.putInvoice(invoice(value));
          tx.updateInvoice(hash(3), { state: 'held' });
        });
        const sequences = (filter = {}) =>
          storage.listInvoices(filter).invoices.map(({ sequence }) => sequence);
        expect(sequences({ limit: 2 })).toEqual([5, 4]);
        expect(storage.listInvoices({ limit: 2 }).next).toBe(4);
        expect(sequences({ before: 4, limit: 3 })).toEqual([3, 2, 1]);
        expect(sequences({ state: 'held' })).toEqual([3]);
        expect(codeOf(() => storage.listInvoices({ limit: 0 }))).toBe('out_of_range');
      });
    });

    describe('closed channels', () => {
      testClosing({ storage: () => storage, reopen: () => reopen() });
      testTowers({ storage: () => storage, reopen: () => reopen() });
    });

    describe('chain, settings and peers', () => {
      test('the last blocks are kept, and a reorganisation takes back the top', () => {
        expect(storage.getTip()).toBeUndefined();
        storage.transaction((tx) => {
          for (let height = 800_000; height < 800_200; height++) tx.putBlock({ height, hash: hash(height) });
        });
        reopen();
        expect(storage.getTip()).toEqual({ height: 800_199, hash: hash(800_199) });
        const blocks = storage.loadBlocks();
        expect(blocks.length).toBe(BLOCKS_KEPT);
        expect(blocks.at(-1)?.height).toBe(800_200 - BLOCKS_KEPT);
        expect(
          codeOf(() => storage.transaction((tx) => tx.putBlock({ height: 800_201, hash: hash(1) }))),
        ).toBe('wrong_use');
        expect(
          codeOf(() => storage.transaction((tx) => tx.putBlock({ height: 800_199, hash: hash(1) }))),
        ).toBe('wrong_use');
        storage.transaction((tx) => {
          tx.removeBlocksFrom(800_198);
          tx.putBlock({ height: 800_198, hash: hash(1) });
        });
        expect(storage.getTip()).toEqual({ height: 800_198, hash: hash(1) });
      });

      test('settings are listed by prefix, in order, and not beyond it', () => {
        storage.transaction((tx) => {
          for (const key of ['b', 'wallet/2', 'wallet/1', 'wallet', 'wallet0', 'wallet/ü', 'x']) {
            tx.putValue(key, fill(1, 1));
          }
          tx.putValue('wallet/1', new Uint8Array(0));
          tx.deleteValue('b');
          tx.deleteValue('never');
        });
        reopen();
        expect(storage.listValues('wallet/')).toEqual([
          { key: 'wallet/1', value: new Uint8Array(0) },
          { key: 'wallet/2', value: fill(1, 1) },
          { key: 'wallet/ü', value: fill(1, 1) },
        ]);
        expect(storage.listValues('').length).toBe(6);
        expect(storage.getValue('b')).toBeUndefined();
      });

      test("peers' addresses are put, replaced and deleted", () => {
        const peer = { nodeId: nodeId(1), host: '127.0.0.1', port: 9735, lastSeenMs: 5 };
        storage.transaction((tx) => {
          tx.putPeer(peer);
          tx.putPeer({ ...peer, nodeId: nodeId(2), lastSeenMs: 9 });
          tx.putPeer({ ...peer, host: '::1', lastSeenMs: 6 });
        });
        reopen();
        expect(storage.loadPeers()).toEqual([
          { ...peer, nodeId: nodeId(2), lastSeenMs: 9 },
          { ...peer, host: '::1', lastSeenMs: 6 },
        ]);
        storage.transaction((tx) => tx.deletePeer(nodeId(2)));
        expect(storage.loadPeers().length).toBe(1);
      });
    });

    test('a sound storage finds nothing wrong with itself', () => {
      storage.transaction((tx) => {
        tx.putChannel(channel(1));
        for (let id = 0n; id < 500n; id++) tx.putHtlc(offered(1, id));
      });
      expect(storage.integrityCheck()).toEqual([]);
    });
  });
}
