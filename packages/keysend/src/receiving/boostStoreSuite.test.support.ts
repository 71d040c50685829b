import { utf8ToBytes } from '@rivulet/core/bytes';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ToolkitStore } from '../store/toolkitStore.js';
import type { BoostStore } from './boostStore.js';
import { boostOf, hashOf, noon } from './boosts.test.support.js';
import type { NewBoost } from './receivedBoost.js';

export interface OpenBoosts {
  readonly store: ToolkitStore;
  readonly boosts: BoostStore;
  close(): void;
}

const dayMs = 86_400_000;
const alice = `02${'aa'.repeat(32)}`;

/** What every BoostStore has to do. */
export function boostStoreSuite(name: string, open: () => OpenBoosts): void {
  describe(`received payments: ${name}`, () => {
    let opened: OpenBoosts;
    beforeEach(() => {
      opened = open();
    });
    afterEach(() => opened.close());

    const ingest = (added: readonly NewBoost[], given: { source?: string; cursor?: string } = {}) =>
      opened.store.transaction((tx) => opened.boosts.ingest(tx, { source: 'main', boosts: added, ...given }));
    const listed = (...args: Parameters<BoostStore['list']>) =>
      opened.boosts.list(...args).boosts.map(({ id }) => id);

    test('takes each payment of a source once, however often and in whatever batches it comes', () => {
      expect(ingest([boostOf(1), boostOf(2), boostOf(1)]).map(({ id }) => id)).toEqual([1, 2]);
      expect(ingest([boostOf(2), boostOf(3)]).map(({ id, paymentHash }) => [id, paymentHash])).toEqual([
        [3, hashOf(3)],
      ]);
      expect(listed()).toEqual([3, 2, 1]);
      expect(opened.boosts.totals({ by: 'kind' }).total).toMatchObject({ count: 3, amountMsat: 3_000n });
    });

    test('keeps the same hash from two wallets apart, and a cursor for each', () => {
      ingest([boostOf(1)], { source: 'one', cursor: 'a' });
      ingest([boostOf(1)], { source: 'two', cursor: 'b' });
      ingest([], { source: 'two', cursor: 'c' });
      ingest([boostOf(2)], { source: 'one' });
      const { boosts } = opened;
      expect([boosts.cursor('one'), boosts.cursor('two'), boosts.cursor('three')]).toEqual([
        'a',
        'c',
        undefined,
      ]);
      expect(boosts.sources()).toEqual([
        { source: 'one', cursor: 'a' },
        { source: 'two', cursor: 'c' },
      ]);
      expect(listed({ source: 'two' })).toEqual([2]);
      expect(boosts.totals({ by: 'kind', filter: { source: 'one' } }).total.count).toBe(2);
    });

    test('keeps nothing of a batch whose transaction fails: no payment, no cursor, no sum', () => {
      ingest([boostOf(1)], { cursor: '1' });
      const { store, boosts } = opened;
      expect(() =>
        store.transaction((tx) => {
          boosts.ingest(tx, { source: 'main', boosts: [boostOf(2)], cursor: '2' });
          throw new Error('disk full');
        }),
      ).toThrow('disk full');
      expect([listed(), boosts.cursor('main'), boosts.totals({ by: 'day' }).total.count]).toEqual([
        [1],
        '1',
        1,
      ]);
      expect(ingest([boostOf(2)]).map(({ id }) => id)).toEqual([2]);
    });

    test('gives back all that a payment carried, what nobody understands too', () => {
      const boostagram = {
        podcast: 'Tide & Time',
        guid: 'ABCD-1',
        feedID: 1337,
        episode: 'One',
        episode_guid: 'ep-1',
        itemID: '77',
        ts: 62,
        action: 'boost',
        app_name: 'Castle',
        app_version: '1.2',
        value_msat: 900,
        value_msat_total: 1000,
        message: 'ahoy \u0000 ✓',
        name: 'Host',
        sender_name: 'Ann',
        sender_id: 'u1',
        boost_uuid: 'B-1',
        uuid: 'L-1',
        reply_address: alice,
        reply_custom_key: 696969,
        reply_custom_value: 'ann',
        remote_feed_guid: 'FEED-2',
        remote_item_guid: 'song',
      };
      const boost = boostOf(1, {
        boostagram,
        provenKey: alice,
        records: [
          [696969n, utf8ToBytes('host-account')],
          [70001n, Uint8Array.of(0, 255, 7)],
          [34349339n, Uint8Array.of(2)],
        ],
      });
      ingest([boost]);
      const stored = opened.boosts.get(1);
      expect(stored).toEqual({ ...boost, id: 1 });
      expect(stored).toMatchObject({
        kind: 'boost',
        sender: { name: 'Ann', id: 'u1', provenKey: alice },
        show: { name: 'Tide & Time', guid: 'abcd-1', feedId: '1337' },
        episode: { name: 'One', guid: 'ep-1', itemId: '77' },
        remote: { feedGuid: 'feed-2', itemGuid: 'song' },
        share: { name: 'Host', valueMsat: 900n, totalMsat: 1000n },
        message: 'ahoy \ufffd ✓',
        positionSeconds: 62,
        boostUuid: 'b-1',
        account: { key: '696969', value: 'host-account' },
        reply: { address: alice, customKey: '696969', customValue: 'ann' },
        problems: ['sender_key: length_invalid'],
      });
      expect(stored?.records.get(70001n)).toEqual(Uint8Array.of(0, 255, 7));
      expect(opened.boosts.get(2)).toBeUndefined();
    });

    test('finds payments by what they are about', () => {
      const of = (n: number, boostagram: Record<string, unknown>, more: object = {}) =>
        boostOf(n, { boostagram: { action: 'boost', ...boostagram }, ...more });
      ingest([
        of(1, { podcast: 'Tide', guid: 'g1', episode: 'A', episode_guid: 'e1', app_name: 'Castle' }),
        of(2, { podcast: 'TIDE', feedID: 9, episode: 'a', app_name: 'castle', sender_name: 'Ann' }),
        of(3, { podcast: 'Ebb', guid: 'g2', sender_id: 'Ann', message: 'Öl and "quotes" 100%' }),
        of(4, { guid: 'g1', action: 'stream', sender_name: 'Ann' }, { provenKey: alice, amountMsat: 5_000n }),
        boostOf(5, { records: [[696969n, utf8ToBytes('host')]] }),
        of(6, { remote_feed_guid: 'R1', message: 'oil' }, { receivedAtMs: noon + dayMs }),
      ]);
      const cases: readonly (readonly [Parameters<BoostStore['list']>[0], number[]])[] = [
        [{ show: 'tide' }, [2, 1]],
        [{ show: 'G1' }, [4, 1]],
        [{ show: '9' }, [2]],
        [{ show: '' }, [6, 5]],
        [{ show: 'nobody' }, []],
        [{ episode: 'a' }, [2, 1]],
        [{ episode: 'E1' }, [1]],
        [{ app: 'CASTLE' }, [2, 1]],
        [{ app: '' }, [6, 5, 4, 3]],
        [{ sender: 'ann' }, [4, 3, 2]],
        [{ provenSender: alice.toUpperCase() }, [4]],
        [{ sender: 'ann', provenSender: alice }, [4]],
        [{ kinds: ['boost'] }, [6, 3, 2, 1]],
        [{ kinds: ['stream', 'payment'] }, [5, 4]],
        [{ kinds: [] }, []],
        [{ minMsat: 1_001n }, [4]],
        [{ account: 'HOST' }, [5]],
        [{ account: '696969:host' }, [5]],
        [{ account: '', kinds: ['stream'] }, [4]],
        [{ remote: 'r1' }, [6]],
        [{ text: 'öl AND' }, [3]],
        [{ text: '"QUOTES" 1' }, [3]],
        [{ text: '0%' }, [3]],
        [{ text: '%%%' }, []],
        [{ text: 'il' }, [6]],
        [{ text: 'oil', show: 'tide' }, []],
        [{ fromMs: noon + 3, untilMs: noon + 5 }, [4, 3]],
        [{ show: 'tide', app: 'castle', sender: 'ann' }, [2]],
      ];
      for (const [filter, ids] of cases) expect([filter, listed(filter)]).toEqual([filter, ids]);
    });

    test('gives pages forwards and backwards, with payments of the same time in between', () => {
      const times = [5, 1, 3, 3, 3, 2, 5];
      ingest(times.map((time, i) => boostOf(i, { receivedAtMs: noon + time })));
      const oldest = [2, 6, 3, 4, 5, 1, 7];
      for (const order of ['oldest', 'newest'] as const) {
        const expected = order === 'oldest' ? oldest : [...oldest].reverse();
        expect(listed({}, { order })).toEqual(expected);
        const seen: number[] = [];
        let page = opened.boosts.list({}, { order, limit: 2 });
        expect(page.previous).toBeUndefined();
        for (;;) {
          seen.push(...page.boosts.map(({ id }) => id));
          if (page.next === undefined) break;
          page = opened.boosts.list({}, { order, limit: 2, cursor: page.next });
        }
        expect(seen).toEqual(expected);
        const back = page.boosts.map(({ id }) => id).reverse();
        while (page.previous !== undefined) {
          page = opened.boosts.list({}, { order, limit: 2, cursor: page.previous });
          back.push(...page.boosts.map(({ id }) => id).reverse());
        }
        expect(back.reverse()).toEqual(expected);
        expect(page.next).toBeDefined();
      }
    });

    test('refuses pages that make no sense', () => {
      for (const page of [
        { limit: 0 },
        { limit: 1_001 },
        { limit: 1.5 },
        { cursor: 'x' },
        { cursor: 'n1' },
      ]) {
        expect(() => opened.boosts.list({}, page)).toThrow(
          expect.objectContaining({ code: 'request_invalid' }),
        );
      }
    });

    test('tells what arrived since, in the order of arrival', () => {
      expect([opened.boosts.lastId(), opened.boosts.arrivals(0)]).toEqual([0, []]);
      ingest([boostOf(1, { receivedAtMs: noon }), boostOf(2, { receivedAtMs: 5 }), boostOf(3)]);
      expect(opened.boosts.arrivals(1).map(({ id }) => id)).toEqual([2, 3]);
      expect(opened.boosts.arrivals(0, 1).map(({ id }) => id)).toEqual([1]);
      expect(opened.boosts.lastId()).toBe(3);
    });

    test('shows the legs of one boost together, whichever wallet got them', () => {
      const leg = (n: number, uuid: string | undefined) =>
        boostOf(n, { boostagram: { action: 'boost', boost_uuid: uuid }, receivedAtMs: noon - n });
      ingest([leg(1, 'x'), leg(2, 'y'), leg(3, undefined)], { source: 'one' });
      ingest([leg(4, 'X')], { source: 'two' });
      expect(opened.boosts.legs('x').map(({ id, source }) => [id, source])).toEqual([
        [4, 'two'],
        [1, 'one'],
      ]);
      expect(opened.boosts.legs('z')).toEqual([]);
    });

    test('adds up by what is asked for, with streams apart', () => {
      const of = (n: number, boostagram: Record<string, unknown>, more: object = {}) =>
        boostOf(n, { boostagram, amountMsat: BigInt(n) * 1_000n, ...more });
      ingest([
        of(1, { podcast: 'Tide', guid: 'g1', action: 'boost', sender_name: 'Ann', app_name: 'Castle' }),
        of(2, { podcast: 'Tide (new)', guid: 'g1', action: 'stream', sender_name: 'Ann' }),
        of(3, { podcast: 'Ebb', action: 'stream' }, { provenKey: alice, receivedAtMs: noon - dayMs }),
        boostOf(4, { amountMsat: 500n }),
      ]);
      const { boosts } = opened;
      const byShow = boosts.totals({ by: 'show' });
      expect(byShow.groups).toMatchObject([
        {
          key: 'guid:g1',
          name: 'Tide (new)',
          filter: { show: 'g1' },
          count: 2,
          amountMsat: 3_000n,
          kinds: { boost: { count: 1, amountMsat: 1_000n }, stream: { count: 1, amountMsat: 2_000n } },
        },
        { key: 'name:ebb', name: 'Ebb', count: 1, amountMsat: 3_000n },
        { key: '', name: '', filter: { show: '' }, count: 1, amountMsat: 500n },
      ]);
      expect(byShow).toMatchObject({ groupCount: 3, total: { count: 4, amountMsat: 6_500n } });
      expect(byShow.total.kinds.stream).toEqual({ count: 2, amountMsat: 5_000n });
      expect(boosts.totals({ by: 'show', limit: 1 })).toMatchObject({
        groups: [{ key: 'guid:g1' }],
        groupCount: 3,
      });
      expect(boosts.totals({ by: 'day' }).groups.map(({ key, count }) => [key, count])).toEqual([
        ['2026-11-21', 3],
        ['2026-11-20', 1],
      ]);
      expect(boosts.totals({ by: 'kind' }).groups.map(({ key }) => key)).toEqual([
        'stream',
        'boost',
        'payment',
      ]);
      expect(boosts.totals({ by: 'sender' }).groups).toMatchObject([
        { key: `key:${alice}`, filter: { provenSender: alice } },
        { key: 'name:ann', filter: { sender: 'ann' } },
        { key: '' },
      ]);
      const filtered = boosts.totals({ by: 'app', filter: { show: 'g1', kinds: ['boost'] } });
      expect(filtered.groups).toMatchObject([{ key: 'name:castle', count: 1 }]);
      expect(boosts.totals({ by: 'day', filter: { fromMs: noon - dayMs, untilMs: noon } }).total.count).toBe(
        1,
      );
      expect(boosts.totals({ by: 'day', filter: { minMsat: 2_000n } }).total.count).toBe(2);
      expect(boosts.totals({ by: 'show', filter: { app: 'nobody' } })).toMatchObject({
        groups: [],
        groupCount: 0,
      });
    });

    test('knows one thing by however many names strangers give it', () => {
      ingest(
        Array.from({ length: 40 }, (_, n) =>
          boostOf(n, {
            boostagram: {
              podcast: n < 39 ? 'Tide' : 'Tide at last',
              guid: n % 2 === 0 ? 'g' : `other-${n}`,
              feedID: 1 + n,
            },
          }),
        ),
      );
      const { boosts } = opened;
      expect(listed({ show: 'TIDE' }, { limit: 3 })).toEqual([39, 38, 37]);
      expect(listed({ show: 'g', app: '' }, { limit: 3, order: 'oldest' })).toEqual([1, 3, 5]);
      expect(boosts.totals({ by: 'day', filter: { show: 'tide' } }).total.count).toBe(39);
      expect(boosts.totals({ by: 'show', filter: { show: 'tide' } }).groupCount).toBe(20);
      const { groups, groupCount, total } = boosts.totals({ by: 'show', limit: 1 });
      expect(groups).toMatchObject([{ key: 'guid:g', name: 'Tide', count: 20, amountMsat: 20_000n }]);
      expect([groupCount, total.count]).toEqual([21, 40]);
    });

    test('forgets what is old, and never takes it up again', () => {
      const boost = (n: number, day: number) =>
        boostOf(n, {
          receivedAtMs: noon + day * dayMs,
          boostagram: { action: 'boost', podcast: 'Tide', message: `number ${n}` },
        });
      const all = [boost(1, -3), boost(2, -2), boost(3, -2), boost(4, 0)];
      ingest(all);
      const { boosts, store } = opened;
      const forget = (request: Omit<Parameters<BoostStore['forget']>[1], 'beforeMs'>) =>
        store.transaction((tx) => boosts.forget(tx, { beforeMs: noon, ...request }));
      expect(forget({ keepSums: true, limit: 1 })).toBe(1);
      expect(listed()).toEqual([4, 3, 2]);
      expect(boosts.totals({ by: 'day' }).groups.map(({ count }) => count)).toEqual([1, 2, 1]);
      expect(boosts.totals({ by: 'show', filter: { show: 'tide' } }).total.count).toBe(4);
      // What has to be looked at one by one is gone.
      expect(boosts.totals({ by: 'show', filter: { minMsat: 1n } }).total.count).toBe(3);
      expect(forget({ keepSums: false, keepFromId: 3 })).toBe(1);
      expect(boosts.totals({ by: 'day' }).groups.map(({ key, count }) => [key, count])).toEqual([
        ['2026-11-21', 1],
        ['2026-11-19', 1],
        ['2026-11-18', 1],
      ]);
      expect(listed({ text: 'number' })).toEqual([4, 3]);
      expect(ingest(all)).toEqual([]);
      expect(forget({ keepSums: false })).toBe(1);
      expect(forget({ keepSums: false })).toBe(0);
      expect(ingest([boost(5, 0)]).map(({ id }) => id)).toEqual([5]);
    });
  });
}
