import { describe, expect, test } from 'vitest';
import { splitAmount } from '../value/splitAmount.js';
import { planAt } from '../value/valuePlan.js';
import { readValuePlan, writeValuePlan } from '../value/valuePlanJson.js';
import { fixture, rss, webOf } from './feed.test.support.js';
import { loadValue } from './loadValue.js';
import { findItem, parseFeed } from './parseFeed.js';

const ALBUM = 'https://music.example/albums/1.xml';
const HOST = 'https://host.example/feed.xml';
const documents = { [ALBUM]: fixture('music-album.xml'), [HOST]: fixture('hosted-music.xml') };
const show = parseFeed(fixture('music-show.xml'), { url: 'https://show.example/feed.xml' });
const item = findItem(show, 'show-1');
const remoteFeeds = (guid: string) => (guid === 'a94f5cc9-8c58-55fc-91fe-a324087a655b' ? ALBUM : undefined);

describe('a plan of a show with remote items', () => {
  test('holds each one’s recipients, and says which are missing and why', async () => {
    const { fetcher, asked } = webOf(documents);
    const plan = await loadValue({ feed: show, item, fetcher, remoteFeeds });
    expect(asked).toEqual([ALBUM, HOST]);
    expect(plan.remotes.map((remote) => remote?.status)).toEqual([
      'loaded',
      'loaded',
      undefined,
      'missing',
      'missing',
      'loaded',
    ]);
    expect(plan.remotes[0]).toMatchObject({
      feedTitle: 'Album & Friends',
      itemTitle: 'Second song, with a guest',
    });
    expect(plan.remotes[1]).toMatchObject({
      recipients: [{ name: 'Hosted music' }],
      feedTitle: 'Hosted music',
    });
    expect(plan.remotes[5]).toMatchObject({ recipients: [{ name: 'Stand-in' }] });
    const told = plan.problems.join('\n');
    expect(told).toContain('time split 4: its recipients are not known (it is not known where the feed is)');
    expect(told).toContain('song-99');
    expect(plan).toMatchObject({
      feed: { guid: '29cdca4a-32d8-56ba-b48b-09a011c5daa9', url: 'https://show.example/feed.xml' },
      item: { guid: 'show-1', title: 'Show 1' },
    });
    expect(readValuePlan(writeValuePlan(plan))).toEqual(plan);
  });

  test('pays fees, then the remote item, then the show; the remote block’s time splits are ignored', async () => {
    const plan = await loadValue({ feed: show, item, fetcher: webOf(documents).fetcher, remoteFeeds });
    const at = (seconds: number) =>
      Object.fromEntries(
        splitAmount({ amountMsat: 1_000_000n, ...planAt(plan, seconds) }).payments.map((payment) => [
          payment.recipient.name,
          payment.amountMsat,
        ]),
      );
    expect(at(0)).toEqual({ Show: 950_000n, Hosting: 50_000n });
    expect(at(62)).toEqual({
      Hosting: 50_000n,
      Show: 47_500n,
      'The band': 442_225n,
      Guest: 353_780n,
      Mixing: 88_445n,
      Host: 18_050n,
    });
    expect(at(340)).toEqual({ Hosting: 50_000n, 'Hosted music': 950_000n });
    expect(at(400)).toEqual({ Hosting: 50_000n, Show: 850_000n, Caller: 100_000n });
    expect(at(500)).toEqual(at(0));
  });

  test('the guid’s own feed is fetched and not what the feed says; a feed with another guid is not believed', async () => {
    const { fetcher, asked } = webOf({ [HOST]: fixture('music-album.xml') });
    const plan = await loadValue({ feed: show, item, fetcher });
    expect(asked).toEqual([HOST]);
    expect(plan.remotes[1]).toMatchObject({
      status: 'missing',
      problem: expect.stringContaining('a94f5cc9'),
    });
    const found = webOf({ 'https://true.example': fixture('hosted-music.xml') });
    const resolved = await loadValue({
      feed: show,
      item,
      fetcher: found.fetcher,
      remoteFeeds: async () => 'https://true.example',
    });
    expect(resolved.remotes[1]?.status).toBe('loaded');
    expect(found.asked).toEqual(['https://true.example']);
  });

  test('feeds that are gone, broken, refused or too large stop nothing', async () => {
    for (const document of [404, new TextEncoder().encode('<rss>'), new Uint8Array(20_000_001)]) {
      const { fetcher } = webOf({ [ALBUM]: document });
      const plan = await loadValue({ feed: show, item, fetcher, remoteFeeds });
      expect(plan.remotes[0]?.status).toBe('missing');
      expect(plan.remotes[5]?.status).toBe('loaded');
    }
    const throwing = async () => {
      throw new TypeError('fetch failed');
    };
    const plan = await loadValue({ feed: show, item, fetcher: throwing, remoteFeeds: throwing });
    expect(plan.remotes[1]).toEqual({ status: 'missing', problem: 'the feed cannot be fetched' });
  });

  test('other feeds are bounded in number and in bytes, and each is fetched once, also one that failed', async () => {
    const split = (index: number) =>
      `<podcast:valueTimeSplit startTime="${index}" duration="1"><podcast:remoteItem feedGuid="g${index % 50}" feedUrl="https://f.example/${index % 50}"/></podcast:valueTimeSplit>`;
    const many = parseFeed(
      rss(
        `<podcast:value type="lightning" method="keysend"><podcast:valueRecipient type="lnaddress" address="a@b.example" split="1"/>${Array.from({ length: 2_000 }, (_, index) => split(index)).join('')}</podcast:value>`,
      ),
    );
    const gone = webOf({});
    await loadValue({ feed: many, fetcher: gone.fetcher, limits: { maxFeeds: 20 } });
    expect(gone.asked).toHaveLength(20);
    const album = fixture('music-album.xml');
    const large = webOf(
      Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`https://f.example/${i}`, album])),
    );
    await loadValue({ feed: many, fetcher: large.fetcher, limits: { maxBytesTotal: album.length * 3 } });
    expect(large.asked).toHaveLength(3);
  });

  test('an abort ends it', async () => {
    const controller = new AbortController();
    const fetcher = async () => {
      controller.abort();
      throw new TypeError('aborted');
    };
    await expect(
      loadValue({ feed: show, item, fetcher, remoteFeeds, signal: controller.signal }),
    ).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
  });
});

describe('whom there is nobody to pay for', () => {
  const { fetcher } = webOf({});
  const missing = expect.objectContaining({ code: 'value_missing' });

  test('an item without a block takes the channel’s, a feed without any is refused', async () => {
    const album = parseFeed(fixture('music-album.xml'));
    const plan = await loadValue({ feed: album, item: findItem(album, 'song-1'), fetcher });
    expect(plan.block).toBe(album.value);
    await expect(loadValue({ feed: parseFeed(rss('')), fetcher })).rejects.toThrow(missing);
  });

  test('an item whose recipients cannot be paid is not paid to its channel', async () => {
    const quirks = parseFeed(fixture('quirks.xml'));
    await expect(loadValue({ feed: quirks, item: findItem(quirks, 'unpayable'), fetcher })).rejects.toThrow(
      missing,
    );
  });
});
