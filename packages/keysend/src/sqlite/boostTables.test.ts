import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { BoostFilter } from '../receiving/boostFilter.js';
import type { BoostTotals, TotalsBy } from '../receiving/boostStore.js';
import { boostStoreSuite } from '../receiving/boostStoreSuite.test.support.js';
import { boostOf, noon } from '../receiving/boosts.test.support.js';
import { keyedBoosts } from '../receiving/keyedBoosts.js';
import type { BoostKind } from '../receiving/receivedBoost.js';
import { memoryStore } from '../store/memoryStore.js';
import { openToolkit } from './openToolkit.js';

boostStoreSuite('SQLite', () => openToolkit({ path: ':memory:' }));

const word = fc.constantFrom('a', 'B', 'Ä', 'tide', 'TIDE', 'Ebb', '"', '%', 'ß', 'abc def', '日本語', '');
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const keys = ['02', '03'].map((start) => start + 'ab'.repeat(32));
const dayMs = 86_400_000;
const time = fc.integer({ min: -3, max: 3 }).chain((day) => fc.constantFrom(day * dayMs, day * dayMs + 1));

const payment = fc.record({
  boostagram: maybe(
    fc.record({
      action: maybe(fc.constantFrom('boost', 'stream', 'auto')),
      podcast: maybe(word),
      guid: maybe(word),
      feedID: maybe(fc.integer({ min: 1, max: 2 })),
      episode: maybe(word),
      episode_guid: maybe(word),
      app_name: maybe(word),
      sender_name: maybe(word),
      sender_id: maybe(word),
      message: maybe(fc.array(word, { maxLength: 3 }).map((words) => words.join(' '))),
      remote_feed_guid: maybe(word),
    }),
  ),
  provenKey: maybe(fc.constantFrom(...keys)),
  amountMsat: fc.bigInt({ min: 1n, max: 5n }),
  receivedAtMs: time.map((ms) => noon - (noon % dayMs) + ms),
  records: fc
    .array(fc.tuple(fc.constantFrom(696969n, 906608n, 70001n), word), { maxLength: 2 })
    .map((all) => all.map(([type, text]) => [type, new TextEncoder().encode(text)] as const)),
});

const filter: fc.Arbitrary<BoostFilter> = fc
  .record({
    show: maybe(fc.oneof(word, fc.constantFrom('1', '2'))),
    episode: maybe(word),
    app: maybe(word),
    sender: maybe(word),
    provenSender: maybe(fc.constantFrom(...keys)),
    kinds: maybe(fc.uniqueArray(fc.constantFrom<BoostKind>('boost', 'stream', 'auto', 'payment'))),
    fromMs: maybe(payment.map(({ receivedAtMs }) => receivedAtMs)),
    untilMs: maybe(payment.map(({ receivedAtMs }) => receivedAtMs)),
    minMsat: maybe(fc.bigInt({ min: 0n, max: 5n })),
    text: maybe(word),
    account: maybe(word),
    remote: maybe(word),
  })
  // Most of them at once find nothing.
  .chain((all) =>
    fc
      .subarray(Object.keys(all) as (keyof BoostFilter)[], { maxLength: 3 })
      .map((names) => Object.fromEntries(names.map((name) => [name, all[name as keyof typeof all]]))),
  );

const named = ({ groups, ...rest }: BoostTotals) => ({
  ...rest,
  groups: groups.map(({ name, ...group }) => group),
});

test('the tables and the plain store say the same of any payments', () => {
  fc.assert(
    fc.property(
      fc.array(payment, { maxLength: 25 }),
      fc.array(filter, { minLength: 1, maxLength: 5 }),
      fc.record({ limit: fc.integer({ min: 1, max: 5 }), order: fc.constantFrom('newest', 'oldest') }),
      fc.constantFrom<TotalsBy>('show', 'episode', 'app', 'sender', 'day', 'kind'),
      fc.option(
        fc.record({ beforeMs: time.map((ms) => noon - (noon % dayMs) + ms), keepSums: fc.boolean() }),
      ),
      (payments, filters, page, by, forgetting) => {
        const toolkit = openToolkit({ path: ':memory:' });
        const plainStore = memoryStore();
        const plain = keyedBoosts(plainStore);
        const batch = { source: 'main', boosts: payments.map((given, i) => boostOf(i, given)) };
        toolkit.store.transaction((tx) => toolkit.boosts.ingest(tx, batch));
        plainStore.transaction((tx) => plain.ingest(tx, batch));
        if (forgetting !== null) {
          const left = toolkit.store.transaction((tx) => toolkit.boosts.forget(tx, forgetting));
          expect(plainStore.transaction((tx) => plain.forget(tx, forgetting))).toBe(left);
        }
        for (const wanted of filters) {
          expect(toolkit.boosts.list(wanted)).toEqual(plain.list(wanted));
          const request = { by, filter: wanted };
          const sum = (totals: BoostTotals) => named(totals);
          expect(sum(toolkit.boosts.totals(request))).toEqual(sum(plain.totals(request)));
          let cursor: string | undefined;
          do {
            const some = { ...page, ...(cursor === undefined ? {} : { cursor }) };
            const found = toolkit.boosts.list(wanted, some);
            expect(found).toEqual(plain.list(wanted, some));
            if (found.previous !== undefined) {
              const back = { ...page, cursor: found.previous };
              expect(toolkit.boosts.list(wanted, back)).toEqual(plain.list(wanted, back));
            }
            cursor = found.next;
          } while (cursor !== undefined);
        }
        toolkit.close();
      },
    ),
    { numRuns: 150 },
  );
});
