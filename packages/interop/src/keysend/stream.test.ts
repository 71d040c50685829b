import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { boostagramRecordType, readBoostagram } from '@rivulet/keysend';
import type { Payment } from '@rivulet/sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type NetworkNode, TestNetwork } from './network.test.support.js';

/** The built program, which its users run: `npm run build` makes it. */
const program = fileURLToPath(new URL('../../../cli/dist/main.js', import.meta.url));

let network: TestNetwork;
let listener: NetworkNode;
let host: NetworkNode;
let app: NetworkNode;
let artist: NetworkNode;
let cohost: NetworkNode;
let web: Server;

/** LNURL-pay (LUD-16) for cohost@127.0.0.1, who takes no keysend. */
async function serveAddress(): Promise<void> {
  web = createServer(async (request, response) => {
    const { port } = web.address() as AddressInfo;
    const url = new URL(request.url ?? '', `http://127.0.0.1:${port}`);
    const reply = (status: number, json: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
    if (url.pathname === '/.well-known/lnurlp/cohost') {
      return reply(200, {
        tag: 'payRequest',
        callback: `http://127.0.0.1:${port}/invoice`,
        minSendable: 1_000,
        maxSendable: 1_000_000_000,
        metadata: JSON.stringify([['text/plain', 'cohost']]),
      });
    }
    if (url.pathname === '/invoice') {
      const amountMsat = BigInt(url.searchParams.get('amount') ?? '0');
      const { invoice } = await cohost.client.createInvoice({ amountMsat, description: 'cohost' });
      return reply(200, { pr: invoice, routes: [] });
    }
    return reply(404, { status: 'ERROR', reason: 'no such user' });
  });
  await new Promise<void>((done) => web.listen(0, '127.0.0.1', done));
}

const xmlns = 'xmlns:podcast="https://podcastindex.org/namespace/1.0"';
const nodeRow = (name: string, here: NetworkNode, split: number, more = '') =>
  `<podcast:valueRecipient name="${name}" type="node" address="${here.nodeId}" split="${split}" ${more}/>`;

/**
 * Ten minutes at 100 sat. Host and cohost share it 60 to 40, the app takes 2 %. From 1:30 to 4:00 a song is played,
 * which gets 90 %; from 5:00 to 6:00 the artist talks, and gets all but the fee.
 */
function writeFeeds(): void {
  const { port } = web.address() as AddressInfo;
  writeFileSync(
    join(network.folder, 'show.xml'),
    `<?xml version="1.0"?><rss version="2.0" ${xmlns}><channel><title>Show</title>
<podcast:guid>917393e3-1b1e-5cef-ace4-edaa54e1f810</podcast:guid>
<item><title>One</title><guid>episode-1</guid>
<podcast:value type="lightning" method="keysend" suggested="0.00000100000">
${nodeRow('host', host, 60)}
<podcast:valueRecipient name="cohost" type="lnaddress" address="cohost@127.0.0.1:${port}" split="40"/>
${nodeRow('app', app, 2, 'fee="true"')}
<podcast:valueTimeSplit startTime="90" duration="150" remoteStartTime="10" remotePercentage="90">
<podcast:remoteItem feedGuid="b1b2c3d4-0000-5000-8000-000000000001" feedUrl="music.xml" itemGuid="song-1"/>
</podcast:valueTimeSplit>
<podcast:valueTimeSplit startTime="300" duration="60">${nodeRow('artist', artist, 100)}</podcast:valueTimeSplit>
</podcast:value></item></channel></rss>`,
  );
  writeFileSync(
    join(network.folder, 'music.xml'),
    `<?xml version="1.0"?><rss version="2.0" ${xmlns}><channel><title>Music</title>
<podcast:guid>b1b2c3d4-0000-5000-8000-000000000001</podcast:guid><podcast:medium>music</podcast:medium>
<item><title>Song</title><guid>song-1</guid>
<podcast:value type="lightning" method="keysend">${nodeRow('artist', artist, 100)}</podcast:value>
</item></channel></rss>`,
  );
}

/** Runs `rivulet stream` until it ends, or until so many payments are made: then it is killed. */
async function stream(given: { killAfter?: number } = {}): Promise<{ code: number | null; lines: Line[] }> {
  const args = [
    ...[
      'stream',
      '--data-dir',
      listener.dataDir,
      '--feed',
      join(network.folder, 'show.xml'),
      '--item',
      'episode-1',
    ],
    ...['--duration', '10:00', '--speed', '60', '--allow-local', '--name', 'Ada', '--json'],
  ];
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: Line[] = [];
  const exited = new Promise<number | null>((done) => child.once('close', done));
  let paid = 0;
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = JSON.parse(text) as Line;
    lines.push(line);
    if (line.type === 'payment' && line.state === 'succeeded') paid++;
    if (paid === given.killAfter) child.kill('SIGKILL');
  });
  return { code: await exited, lines };
}

interface Line {
  readonly type: 'started' | 'payment' | 'finished' | 'stopped';
  readonly state?: string;
  readonly key?: string;
  readonly resumed?: boolean;
  readonly positionSeconds?: number;
  readonly paidMsat?: string;
  readonly carriedMsat?: string;
  readonly unpaid?: readonly unknown[];
  readonly recipients?: readonly {
    readonly recipient: { readonly name: string };
    readonly paidMsat: string;
  }[];
}

async function received({ client }: NetworkNode): Promise<Payment[]> {
  const { payments } = await client.payments({ direction: 'incoming', limit: 1_000 });
  return payments.filter(({ status }) => status === 'succeeded');
}

const total = (payments: readonly Payment[]) =>
  payments.reduce((sum, { amountMsat }) => sum + amountMsat, 0n);

beforeAll(async () => {
  network = await TestNetwork.start();
  [listener, host, app, artist, cohost] = (await Promise.all(
    ['listener', 'host', 'app', 'artist', 'cohost'].map((name) => network.node(name)),
  )) as [NetworkNode, NetworkNode, NetworkNode, NetworkNode, NetworkNode];
  await network.fund(host, listener);
  await network.openChannel(host, artist, { announce: true });
  for (const to of [host, app, cohost]) await network.openChannel(listener, to, { announce: false });
  // The artist is paid through the host, whose channel the listener hears of.
  const { nodeId } = artist;
  for (let routed = false; !routed; ) {
    routed = await listener.client.route({ nodeId, amountMsat: 50_000n }).then(
      () => true,
      () => false,
    );
  }
  await serveAddress();
  writeFeeds();
}, 120_000);

afterAll(async () => {
  web?.close();
  await network?.stop();
});

test('an episode that is played, killed twice and gone on with pays everybody to the millisatoshi', async () => {
  const first = await stream({ killAfter: 5 });
  expect(first.code).toBeNull();
  expect(first.lines[0]).toMatchObject({ type: 'started', resumed: false, positionSeconds: 0 });
  const second = await stream({ killAfter: 9 });
  expect(second.code).toBeNull();
  const last = await stream();
  expect(last.lines[0]).toMatchObject({ type: 'started', resumed: true });
  expect(last.lines[0]?.positionSeconds).toBeGreaterThanOrEqual(120);
  const report = last.lines.at(-1);
  expect(report).toMatchObject({
    type: 'finished',
    paidMsat: '1000000',
    carriedMsat: '0',
    unpaid: [],
    positionSeconds: 600,
  });
  expect(last.code).toBe(0);
  const paid = Object.fromEntries(
    (report?.recipients ?? []).map(({ recipient, paidMsat }) => [recipient.name, paidMsat]),
  );
  expect(paid).toEqual({ host: '396900', cohost: '264600', artist: '318500', app: '20000' });
  // What the nodes themselves have received.
  expect(total(await received(host))).toBe(396_900n);
  expect(total(await received(cohost))).toBe(264_600n);
  expect(total(await received(artist))).toBe(318_500n);
  expect(total(await received(app))).toBe(20_000n);

  const grams = (await received(artist)).map(
    ({ records }) => readBoostagram(records.get(boostagramRecordType) as Uint8Array).boostagram,
  );
  const song = grams.find((gram) => gram?.remoteItemGuid === 'song-1');
  expect(song).toMatchObject({
    action: 'stream',
    podcast: 'Show',
    episode: 'One',
    episodeGuid: 'episode-1',
    senderName: 'Ada',
    name: 'artist',
    remoteFeedGuid: 'b1b2c3d4-0000-5000-8000-000000000001',
  });
  // Nothing is left to do, and nothing is paid again.
  const again = await stream();
  expect(again.code).toBe(0);
  expect(again.lines.filter(({ type }) => type === 'payment')).toEqual([]);
  expect(total(await received(host))).toBe(396_900n);
}, 120_000);
