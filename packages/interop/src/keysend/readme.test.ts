import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { bytesToHex } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import {
  boostagramRecordType,
  clnWallet,
  eclairWallet,
  lndWallet,
  memoryStore,
  type RivuletWalletClient,
  readBoostagram,
  rivuletWallet,
  type Wallet,
  type WalletCapabilities,
} from '@rivulet/keysend';
import { nwcService, nwcWallet } from '@rivulet/keysend/nwc';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundleForBrowser } from '../size/bundle.js';
import { sizedEntries } from '../size/entries.js';
import { PlainRelay, WebSocket } from './nostr.test.support.js';
import {
  addTypes,
  compile,
  copyFixture,
  installed,
  type Project,
  repository,
  runAside,
} from './package.test.support.js';
import { SmallLnd } from './smallLnd.test.support.js';

const home = join(repository, 'packages/keysend');
const readme = readFileSync(join(home, 'README.md'), 'utf8');
const snippets = [...readme.matchAll(/^```(js|ts)\n([\s\S]*?)^```$/gm)].map((match) => match[2] as string);

/** The cells of a table's rows, by its header's first cell. */
function table(firstHeader: string): string[][] {
  const lines = readme.split('\n');
  const start = lines.findIndex((line) => line.startsWith(`| ${firstHeader} |`));
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'));
  const rows = lines.slice(start, end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  return rows.filter((_, index) => index !== 1);
}

describe('the first lines of the README', () => {
  const lnd = new SmallLnd();
  const servers: Server[] = [];
  let project: Project;
  const nodeIds = [2, 3].map((n) => bytesToHex(secp256k1.publicKey(new Uint8Array(32).fill(n))));
  const rows = nodeIds.map(
    (nodeId, n) =>
      `<podcast:valueRecipient name="r${n}" type="node" address="${nodeId}" split="${70 - 40 * n}"/>`,
  );
  const feed = `<rss version="2.0" xmlns:podcast="https://podcastindex.org/namespace/1.0"><channel><title>Show</title>
    <podcast:value type="lightning" method="keysend">${rows.join('')}</podcast:value></channel></rss>`;

  async function listen(server: Server): Promise<number> {
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  beforeAll(() => {
    project = installed();
    addTypes(project, '@types/node');
    copyFixture(project, 'readmeNames.ts');
  });

  afterAll(() => {
    for (const server of servers) server.close();
    rmSync(project.folder, { recursive: true });
  });

  test('are ten, and boost a feed over an LND node with a certificate of its own', async () => {
    expect(readme.split('\n').slice(0, 3)).toEqual(['# @rivulet/keysend', '', '```js']);
    const [first = ''] = snippets;
    expect(first.trim().split('\n')).toHaveLength(10);
    const tls = (name: string) => readFileSync(join(home, 'fixtures/tls', name));
    const certificate = { key: tls('node.key'), cert: tls('node.pem') };
    const lndServer = createHttpsServer(certificate, async (request, response) => {
      const macaroon = request.headers['grpc-metadata-macaroon'];
      const { status, body } = lnd.answer({
        method: request.method ?? '',
        path: request.url ?? '',
        macaroon: typeof macaroon === 'string' ? macaroon : null,
        body: await textOf(request),
      });
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    });
    const feedServer = createHttpServer((_request, response) => response.end(feed));
    const [lndPort, feedPort] = [await listen(lndServer), await listen(feedServer)];
    // The addresses alone are others, and this machine is let be one.
    const replacements = [
      ['127.0.0.1:8080', `127.0.0.1:${lndPort}`],
      ['https://show.example/feed.xml', `http://127.0.0.1:${feedPort}/feed.xml`],
      ['guardedFetcher()', 'guardedFetcher({ allow: { loopback: true } })'],
    ] as const;
    let code = first;
    for (const [from, to] of replacements) {
      expect(code.split(from)).toHaveLength(2);
      code = code.replace(from, to);
    }
    writeFileSync(join(project.folder, 'boost.js'), code);
    writeFileSync(join(project.folder, 'admin.macaroon'), Buffer.from(lnd.macaroonHex, 'hex'));
    writeFileSync(join(project.folder, 'tls.cert'), certificate.cert);
    const lines = (await runAside(project, 'boost.js')).trim().split('\n');
    expect(lines).toEqual(['r0 1470000n succeeded', 'r1 630000n succeeded']);
    expect(lnd.paid.map(({ nodeId, amountMsat }) => [nodeId, amountMsat])).toEqual([
      [nodeIds[0], 1_470_000n],
      [nodeIds[1], 630_000n],
    ]);
    const record = new Uint8Array(lnd.paid[0]?.records.get(boostagramRecordType.toString()) ?? []);
    expect(readBoostagram(record).boostagram).toMatchObject({ podcast: 'Show', message: 'Thank you!' });
  });

  test('are followed by others that fit the types of what is published', () => {
    const files = snippets.slice(1).map((snippet, index) => {
      const file = `snippet${index + 1}.ts`;
      // Modules even where they export nothing.
      writeFileSync(join(project.folder, file), `${snippet}\nexport {};\n`);
      return file;
    });
    expect(files.length).toBeGreaterThan(6);
    const options = { module: 'nodenext', moduleResolution: 'nodenext', types: ['node'], skipLibCheck: true };
    const lib = ['es2023', 'dom', 'dom.iterable'];
    expect(compile(project, ['readmeNames.ts', ...files], { ...options, lib, noEmit: true })).toBe('');
  });
});

describe('what the README says of wallets', () => {
  const rows = table('what it can do');
  const [, ...kinds] = rows[0] as string[];
  const said = (kind: string): Record<string, string> =>
    Object.fromEntries(
      rows
        .slice(1)
        .map((row) => [
          /^`(\w+)`/.exec(row[0] as string)?.[1] ?? '',
          (row[1 + kinds.indexOf(kind)] as string).split(' ')[0] as string,
        ]),
    );
  const shown = (capabilities: WalletCapabilities): Record<string, string> =>
    Object.fromEntries(
      Object.entries({ repeatsUnproven: false, ...capabilities }).map(([name, value]) => [
        name,
        value === true ? 'yes' : value === false ? 'no' : value,
      ]),
    );
  const answering =
    (answers: Readonly<Record<string, unknown>>) =>
    async (url: string): Promise<Response> =>
      new Response(JSON.stringify(answers[new URL(url).pathname] ?? {}), { status: 200 });

  const nodeId = `02${'79'.repeat(32)}`;
  const wallets: Record<string, () => Wallet> = {
    rivulet: () => rivuletWallet({} as RivuletWalletClient),
    lnd: () =>
      lndWallet({
        url: 'https://lnd.example',
        macaroonHex: 'aa',
        holdsKeysends: true,
        fetch: answering({ '/v1/getinfo': { version: '0.21.0-beta', identity_pubkey: nodeId, alias: '' } }),
      }),
    cln: () =>
      clnWallet({
        url: 'https://cln.example',
        rune: 'rune',
        fetch: answering({
          '/v1/getinfo': { id: nodeId, version: 'v26.06', network: 'bitcoin' },
          '/v1/rivulet-keysends': { log: 'ab', last: 0, keysends: [] },
        }),
      }),
    eclair: () => eclairWallet({ url: 'https://eclair.example', password: 'x', store: memoryStore() }),
  };

  test.each(Object.keys(wallets))('is true of %s', async (kind) => {
    const wallet = (wallets[kind] as () => Wallet)();
    expect(said(kind)).toEqual(shown(await wallet.capabilities()));
  });

  test('is true of nwc', async () => {
    const relay = await PlainRelay.start();
    const behind = (wallets.lnd as () => Wallet)();
    const service = nwcService({
      wallet: { ...behind, subscribe: async function* () {} },
      store: memoryStore(),
      relays: [relay.url],
      secret: new Uint8Array(32).fill(1),
      WebSocket,
    });
    const methods = [
      'pay_keysend',
      'pay_invoice',
      'get_info',
      'list_transactions',
      'lookup_invoice',
      'sign_message',
    ];
    const uri = service.connect({ name: 'app', methods });
    await service.start();
    const wallet = nwcWallet({ uri, WebSocket });
    expect(said('nwc')).toEqual(shown(await wallet.capabilities()));
    await wallet.close();
    service.close();
    await relay.stop();
  });

  test('is said of every kind', () => {
    expect(kinds).toEqual([...Object.keys(wallets), 'nwc']);
  });
});

describe('what the README says of sizes', () => {
  const folder = `${repository}/packages/interop`;
  const kB = async (source: string): Promise<number> =>
    (await bundleForBrowser(source, folder)).gzipBytes / 1_000;
  const entries = table('entry').slice(1);

  test('names every entry', () => {
    const { exports } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as { exports: object };
    const named = entries.map(([name = '']) => name.replaceAll('`', '').replace('@rivulet/keysend', '.'));
    expect(named.map((name) => name.replace(/^\//, './')).sort()).toEqual(Object.keys(exports).sort());
  });

  test.each(
    entries.filter((cells) => cells[2] === 'yes').map((cells) => [cells[0] as string, cells[3] as string]),
  )('is about right for %s', async (name, size) => {
    const entry = name.replaceAll('`', '').replace('@rivulet/keysend', '');
    const more = entry === '' ? '' : `export * as more from '@rivulet/keysend${entry}';`;
    const measured = await kB(`export * from '@rivulet/keysend'; ${more}`);
    expect(Math.abs(measured - Number.parseInt(size, 10)) / measured, `${measured} kB`).toBeLessThan(0.1);
  });

  test('is about right for single topics', async () => {
    const [, keysend, boostagrams] =
      /one keysend over LND is (\d+) kB, reading and writing boostagrams (\d+) kB/.exec(
        readme.replaceAll('\n', ' '),
      ) ?? [];
    const of = (name: string) => sizedEntries.find((entry) => entry.name === name)?.source as string;
    expect(Number(keysend)).toBeCloseTo(await kB(of('one keysend over LND')), -0.5);
    expect(Number(boostagrams)).toBeCloseTo(await kB(of('boostagrams')), -0.5);
  });
});
