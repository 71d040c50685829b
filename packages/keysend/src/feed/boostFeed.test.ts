import { utf8ToBytes } from '@rivulet/core/bytes';
import { describe, expect, test } from 'vitest';
import { boostagramRecordType, readBoostagram } from '../index.js';
import { nodeIdOf, secret, TestResolver, TestTime, TestWallet } from '../ledger/ledger.test.support.js';
import { memoryStore } from '../store/memoryStore.js';
import { boostFeed } from './boostFeed.js';
import { rss, webOf } from './feed.test.support.js';

const feedUrl = 'https://show.example/feed.xml';
const recipient = (n: number, split: number) =>
  `<podcast:valueRecipient name="r${n}" type="node" address="${nodeIdOf(n)}" split="${split}"/>`;
const value = (rows: string) => `<podcast:value type="lightning" method="keysend">${rows}</podcast:value>`;
const feed = rss(
  `<title>Show</title>${value(recipient(1, 60) + recipient(2, 40))}
   <item><title>One</title><guid>one</guid>${value(recipient(3, 1))}</item>`,
);

function world(documents: Parameters<typeof webOf>[0] = { [feedUrl]: utf8ToBytes(feed) }) {
  const time = new TestTime();
  const wallet = new TestWallet({ time });
  const { fetcher } = webOf(documents);
  const ledger = { now: time.now, schedule: time.schedule, resolver: new TestResolver(time) };
  const request = { feedUrl, store: memoryStore(), wallet, secret, fetcher, ledger };
  return {
    wallet,
    request,
    paid: () => [...wallet.paid.values()].map((one) => [one.nodeId, one.amountMsat]),
  };
}

describe('boosting a feed in one call', () => {
  test('pays the recipients of the feed, or of one of its items, with a boostagram', async () => {
    const { wallet, request, paid } = world();
    const result = await boostFeed({ ...request, boostUuid: 'a', amountMsat: 100_001n, message: 'Hello' });
    expect(result).toMatchObject({ paidMsat: 100_001n, plan: { feed: { title: 'Show' }, problems: [] } });
    expect(paid()).toEqual([
      [nodeIdOf(1), 60_001n],
      [nodeIdOf(2), 40_000n],
    ]);
    const records = wallet.requests.flatMap((one) => ('records' in one ? [one.records] : []));
    const text = records[0]?.get(boostagramRecordType) as Uint8Array;
    expect(readBoostagram(text).boostagram).toMatchObject({
      podcast: 'Show',
      message: 'Hello',
      boostUuid: 'a',
    });
    await boostFeed({ ...request, boostUuid: 'b', itemGuid: 'one', amountMsat: 5_000n });
    expect(paid().at(-1)).toEqual([nodeIdOf(3), 5_000n]);
  });

  test('pays nothing twice when it is called again', async () => {
    const { request, paid } = world();
    const again = { ...request, boostUuid: 'a', amountMsat: 100_000n };
    await boostFeed(again);
    const result = await boostFeed(again);
    expect(result.paidMsat).toBe(100_000n);
    expect(paid()).toHaveLength(2);
    await expect(boostFeed({ ...again, amountMsat: 1_000n })).rejects.toMatchObject({ code: 'key_conflict' });
  });

  test('says what is wrong with the feed, and pays nothing', async () => {
    const { request, paid } = world({ [feedUrl]: 404, 'https://a.example/': utf8ToBytes(rss('')) });
    const boost = { ...request, boostUuid: 'a', amountMsat: 1_000n };
    await expect(boostFeed(boost)).rejects.toMatchObject({ code: 'fetch_failed' });
    const none = boostFeed({ ...boost, feedUrl: 'https://a.example/' });
    await expect(none).rejects.toMatchObject({ code: 'value_missing' });
    const unknown = boostFeed({ ...boost, feedUrl: 'https://a.example/', itemGuid: 'x' });
    await expect(unknown).rejects.toMatchObject({ code: 'item_unknown' });
    expect(paid()).toEqual([]);
  });
});
