import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import type { StoredHtlc } from './storage.js';
import { channel, codeOf, fill, nodeId, offered, type SuiteContext } from './suiteRows.js';

/** What every storage does with channels and their HTLCs. */
export function testChannels(context: SuiteContext): void {
  describe('channels', () => {
    test('are put, replaced, deleted, and come back in the order of their first put', () => {
      context.storage.transaction((tx) => {
        tx.putChannel(channel(5));
        tx.putChannel(channel(1));
        tx.putChannel(channel(3));
        tx.putChannel(channel(5, fill(5000, 8)));
      });
      context.storage.transaction((tx) => {
        tx.deleteChannel(fill(32, 1));
        tx.deleteChannel(fill(32, 77));
      });
      context.reopen();
      expect(context.storage.loadChannels()).toEqual([channel(5, fill(5000, 8)), channel(3)]);
    });

    test('never change hands', () => {
      context.storage.transaction((tx) => tx.putChannel(channel(1)));
      const code = codeOf(() =>
        context.storage.transaction((tx) => tx.putChannel({ ...channel(1), remoteNodeId: nodeId(9) })),
      );
      expect(code).toBe('wrong_use');
      expect(context.storage.loadChannels()).toEqual([channel(1)]);
    });

    test('have ids of 32 bytes and node ids of 33', () => {
      const short = codeOf(() =>
        context.storage.transaction((tx) => tx.putChannel({ ...channel(1), channelId: fill(31, 1) })),
      );
      const long = codeOf(() =>
        context.storage.transaction((tx) => tx.putChannel({ ...channel(1), remoteNodeId: fill(34, 1) })),
      );
      expect([short, long]).toEqual(['out_of_range', 'out_of_range']);
    });
  });

  describe('HTLCs', () => {
    beforeEach(() => {
      context.storage.transaction((tx) => {
        tx.putChannel(channel(1));
        tx.putChannel(channel(2));
      });
    });

    test('offered and received ones of the same id are different, and each belongs to its channel', () => {
      const received: StoredHtlc = { ...offered(1, 0n), direction: 'received', data: fill(9, 9) };
      context.storage.transaction((tx) => {
        tx.putHtlc(received);
        tx.putHtlc(offered(1, 1n));
        tx.putHtlc(offered(1, 0n));
        tx.putHtlc(offered(2, 0n, fill(1, 2)));
      });
      context.reopen();
      expect(context.storage.loadHtlcs(fill(32, 1))).toEqual([offered(1, 0n), offered(1, 1n), received]);
      expect(context.storage.loadHtlcs(fill(32, 2))).toEqual([offered(2, 0n, fill(1, 2))]);
      expect(context.storage.loadHtlcs(fill(32, 9))).toEqual([]);
    });

    test('archiving moves one out of the live ones and keeps the given data', () => {
      context.storage.transaction((tx) => {
        for (let id = 0n; id < 5n; id++) tx.putHtlc(offered(1, id));
        tx.archiveHtlc(offered(1, 2n, fill(4, 4)));
        tx.archiveHtlc(offered(1, 9n, fill(4, 9)));
        tx.deleteHtlc(offered(1, 3n));
      });
      context.reopen();
      expect(context.storage.loadHtlcs(fill(32, 1)).map(({ id }) => id)).toEqual([0n, 1n, 4n]);
      expect(context.storage.loadArchivedHtlcs(fill(32, 1))).toEqual([
        offered(1, 2n, fill(4, 4)),
        offered(1, 9n, fill(4, 9)),
      ]);
      expect(context.storage.getArchivedHtlc(offered(1, 2n))).toEqual(offered(1, 2n, fill(4, 4)));
      expect(context.storage.getArchivedHtlc(offered(1, 1n))).toBeUndefined();
      expect(context.storage.getArchivedHtlc({ ...offered(1, 2n), direction: 'received' })).toBeUndefined();
    });

    test('need their channel, and go with it', () => {
      expect(codeOf(() => context.storage.transaction((tx) => tx.putHtlc(offered(9, 0n))))).toBe('not_found');
      context.storage.transaction((tx) => {
        tx.putHtlc(offered(1, 0n));
        tx.archiveHtlc(offered(1, 1n));
        tx.deleteChannel(fill(32, 1));
      });
      expect(codeOf(() => context.storage.transaction((tx) => tx.putHtlc(offered(1, 0n))))).toBe('not_found');
      context.storage.transaction((tx) => tx.putChannel(channel(1)));
      expect(context.storage.loadHtlcs(fill(32, 1))).toEqual([]);
      expect(context.storage.loadArchivedHtlcs(fill(32, 1))).toEqual([]);
    });

    test('ids reach 2^63 - 1 and no further', () => {
      const last = 2n ** 63n - 1n;
      context.storage.transaction((tx) => tx.putHtlc(offered(1, last)));
      expect(context.storage.loadHtlcs(fill(32, 1))).toEqual([offered(1, last)]);
      for (const id of [last + 1n, 2n ** 64n, -1n]) {
        expect(codeOf(() => context.storage.transaction((tx) => tx.putHtlc(offered(1, id))))).toBe(
          'out_of_range',
        );
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
          context.storage.transaction((tx) => {
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
              context.storage.transaction((tx) => {
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
          expect(asMap(context.storage.loadHtlcs(channelId))).toEqual(live);
          expect(asMap(context.storage.loadArchivedHtlcs(channelId))).toEqual(archived);
        }),
        { numRuns: 40 },
      );
    });
  });
}
