import { type Context, runInContext } from 'node:vm';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import { parseShortChannelId } from '@rivulet/core/wire';
import { boostagramRecordType, keysendAddressAnswer, readBoostagram, signHints } from '@rivulet/keysend';
import { signAsNode } from '@rivulet/keysend/proof';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Bundle, bundleForBrowser } from '../size/bundle.js';
import { mainEntry, sizedEntries } from '../size/entries.js';
import { browserRealm, runInPage } from './browserRealm.test.support.js';
import { repository } from './package.test.support.js';
import { SmallLnd } from './smallLnd.test.support.js';

// What is published is what was built: the names lead to dist, not to sources as elsewhere in tests.
const folder = `${repository}/packages/interop`;

const keyOf = (n: number): Uint8Array => hexToBytes(n.toString(16).padStart(64, '0'));
const nodeIdOf = (n: number): string => bytesToHex(secp256k1.publicKey(keyOf(n)));

const hidden = {
  nodeId: nodeIdOf(9),
  address: 'hidden@host.example',
  expires: Math.floor(Date.now() / 1000) + 86_400,
};
const rows = [
  `<podcast:valueRecipient name="Host" type="node" address="${nodeIdOf(2)}" split="60"/>`,
  `<podcast:valueRecipient name="Guest" type="lnaddress" address="${hidden.address}" split="40"/>`,
];
const feed = `<rss version="2.0" xmlns:podcast="https://podcastindex.org/namespace/1.0"><channel>
  <title>Wellen &amp; Täler</title>
  <podcast:value type="lightning" method="keysend">${rows.join('')}</podcast:value></channel></rss>`;

/** What a page reaches: a feed, a keysend address with hints, and an LND node. */
async function world() {
  const lnd = new SmallLnd();
  const hop = {
    nodeId: secp256k1.publicKey(keyOf(8)),
    shortChannelId: parseShortChannelId('539268x845x1'),
    feeBaseMsat: 1000,
    feeProportionalMillionths: 100,
    cltvExpiryDelta: 80,
  };
  const hints = await signHints({ ...hidden, hints: [[hop]] }, (text) => signAsNode(text, keyOf(9)));
  const accounts = new Map([['hidden', { nodeId: hidden.nodeId, hints }]]);
  const asked: string[] = [];
  const fetch = async (address: string, init: RequestInit): Promise<Response> => {
    const url = new URL(address);
    asked.push(address);
    if (url.host === 'lnd.example:8080') {
      const macaroon = new Headers(init.headers).get('grpc-metadata-macaroon');
      const text =
        typeof init.body === 'string' ? init.body : Buffer.from((init.body ?? '') as Uint8Array).toString();
      const { status, body } = lnd.answer({
        method: init.method ?? 'GET',
        path: url.pathname,
        macaroon,
        body: text,
      });
      return new Response(body, { status });
    }
    if (address === 'https://show.example/feed.xml') return new Response(feed);
    if (address === 'https://host.example/.well-known/keysend/hidden') {
      const { status, headers, body } = keysendAddressAnswer({ name: 'hidden', accounts });
      return new Response(body, { status, headers });
    }
    return new Response('', { status: 404 });
  };
  return { lnd, fetch, asked };
}

async function pageWith(bundle: Bundle, fetch: Parameters<typeof browserRealm>[0]): Promise<Context> {
  const realm = browserRealm(fetch);
  await runInPage(realm, bundle.script);
  return realm;
}

function messageIn(lnd: SmallLnd): (string | undefined)[] {
  return lnd.paid.map(({ records }) => {
    const record = records.get(boostagramRecordType.toString());
    return record === undefined ? undefined : readBoostagram(new Uint8Array(record)).boostagram?.message;
  });
}

describe('the toolkit in a browser', () => {
  let main: Bundle;
  let withFeed: Bundle;

  beforeAll(async () => {
    main = await bundleForBrowser(mainEntry.source, folder);
    const source = "export * from '@rivulet/keysend'; export * from '@rivulet/keysend/feed';";
    withFeed = await bundleForBrowser(source, folder);
  });

  test('is below 60 kB with all that is in the main entry', () => {
    console.log(`the main entry: ${main.minifiedBytes} bytes minified, ${main.gzipBytes} with gzip -9`);
    expect(main.gzipBytes).toBeLessThan(60_000);
    expect(mainEntry.mostBytes).toBe(60_000);
  });

  test.each(sizedEntries.map(({ name, source }) => [name, source] as const))(
    'is one file that needs nothing of Node.js: %s',
    async (_name, source) => {
      const { gzipBytes } = await bundleForBrowser(source, folder);
      expect(gzipBytes).toBeGreaterThan(1_000);
    },
  );

  test('runs where there is nothing of Node.js', async () => {
    const { fetch } = await world();
    const realm = await pageWith(main, fetch);
    for (const name of ['process', 'Buffer', 'require', 'module', 'global', 'setImmediate']) {
      expect(runInContext(`typeof ${name}`, realm), name).toBe('undefined');
    }
  });

  test('boosts over LND, to a node and to an address with signed hints', async () => {
    const { lnd, fetch, asked } = await world();
    const realm = await pageWith(main, fetch);
    const script = `(async () => {
      const { LegLedger, boost, boundedFetcher, createResolver, lndWallet, systemSchedule, webStore } = toolkit;
      const row = (type, address, split) => ({ name: address, type, address, split, fee: false });
      const recipients = [row('node', '${nodeIdOf(2)}', 60n), row('lnaddress', '${hidden.address}', 40n)];
      const block = { type: 'lightning', method: 'keysend', recipients, timeSplits: [] };
      const plan = { feed: { title: 'Show' }, block, remotes: [], problems: [] };
      const ledger = new LegLedger({
        store: webStore(localStorage),
        wallet: lndWallet({ url: 'https://lnd.example:8080', macaroonHex: '${lnd.macaroonHex}' }),
        secret: crypto.getRandomValues(new Uint8Array(32)),
        now: Date.now,
        schedule: systemSchedule,
        resolver: createResolver({ fetcher: boundedFetcher(), now: Date.now }),
        owner: crypto.randomUUID(),
      });
      const request = { boostUuid: 'one', plan, amountMsat: 100001n, message: 'Grüße 🎉' };
      await boost(ledger, request);
      const { legs, paidMsat } = await boost(ledger, request);
      return JSON.stringify([paidMsat.toString(), ...legs.map(({ leg }) => leg.state), localStorage.length > 3]);
    })()`;
    expect(JSON.parse(String(await runInPage(realm, script)))).toEqual([
      '100001',
      'succeeded',
      'succeeded',
      true,
    ]);
    expect(lnd.paid.map(({ nodeId, amountMsat }) => [nodeId, amountMsat])).toEqual([
      [nodeIdOf(2), 60_001n],
      [hidden.nodeId, 40_000n],
    ]);
    expect(messageIn(lnd)).toEqual(['Grüße 🎉', 'Grüße 🎉']);
    expect(lnd.paid[1]?.routeHints).toMatchObject([
      { hop_hints: [{ node_id: nodeIdOf(8), fee_base_msat: 1000 }] },
    ]);
    expect(asked).toContain('https://host.example/.well-known/keysend/hidden');
  });

  test('reads a feed and boosts it in one call', async () => {
    const { lnd, fetch } = await world();
    const realm = await pageWith(withFeed, fetch);
    const script = `(async () => {
      const { boostFeed, lndWallet, webStore } = toolkit;
      const { plan, paidMsat } = await boostFeed({
        feedUrl: 'https://show.example/feed.xml',
        boostUuid: crypto.randomUUID(),
        amountMsat: 50000n,
        message: 'From a tab',
        store: webStore(localStorage),
        secret: crypto.getRandomValues(new Uint8Array(32)),
        wallet: lndWallet({ url: 'https://lnd.example:8080', macaroonHex: '${lnd.macaroonHex}' }),
      });
      return JSON.stringify([plan.feed.title, paidMsat.toString()]);
    })()`;
    expect(JSON.parse(String(await runInPage(realm, script)))).toEqual(['Wellen & Täler', '50000']);
    expect(lnd.paid.map(({ amountMsat }) => amountMsat)).toEqual([30_000n, 20_000n]);
    expect(messageIn(lnd)).toEqual(['From a tab', 'From a tab']);
  });
});
