import { X509Certificate } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { lndWallet } from '../wallets/lnd/index.js';
import { LndServer } from '../wallets/lnd/lndServer.test.support.js';
import { type Exchange, LoopbackServer, type ServerTls } from '../wallets/loopbackServer.test.support.js';
import type { KeysendRequest } from '../wallets/wallet.js';
import { pinnedFetch } from './pinnedFetch.js';
import { tlsOf, tlsText } from './tlsFixtures.test.support.js';

const running: LoopbackServer[] = [];

afterEach(async () => {
  for (const server of running.splice(0)) await server.stop();
});

/** A server that answers with what it was sent, and counts what got through to it. */
async function echo(tls: ServerTls | undefined, handle?: (exchange: Exchange) => unknown) {
  const seen: Exchange[] = [];
  const server = new LoopbackServer((exchange) => {
    seen.push(exchange);
    if (handle !== undefined) return handle(exchange);
    return exchange.response.end(`${exchange.request.method} ${exchange.url.pathname} ${exchange.body}`);
  }, tls);
  running.push(server);
  await server.start();
  return { server, seen };
}

const certificate = tlsText('node.pem');
const { fingerprint256 } = new X509Certificate(certificate);

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  const error = await work.then(
    () => undefined,
    (one: unknown) => one as { code?: unknown; cause?: { code?: unknown } },
  );
  if (error === undefined) throw new Error('it was not refused');
  return error.cause?.code ?? error.code;
}

describe('a fetch that is pinned to a certificate', () => {
  test.each([
    ['PEM', certificate],
    ['PEM among others', `${tlsText('impostor.pem')}\n${certificate}`],
    ['its fingerprint', fingerprint256],
    ['its fingerprint without colons', fingerprint256.replaceAll(':', '').toLowerCase()],
  ])('takes that very certificate, which nobody has signed: %s', async (_, pin) => {
    const { server } = await echo(tlsOf('node'));
    const fetch = pinnedFetch({ certificate: pin });
    const response = await fetch(`${server.url}/a/b?c`, {
      method: 'POST',
      body: 'grüße',
      headers: { a: 'b' },
    });
    expect({ status: response.status, body: await response.text() }).toEqual({
      status: 200,
      body: 'POST /a/b grüße',
    });
  });

  test.each(['impostor', 'signed'] as const)(
    'refuses any other before it sends anything: %s',
    async (name) => {
      const { server, seen } = await echo(tlsOf(name));
      const fetch = pinnedFetch({ certificate });
      expect(await codeOf(fetch(server.url, { headers: { macaroon: 'secret' } }))).toBe(
        'CERTIFICATE_NOT_PINNED',
      );
      expect(seen).toHaveLength(0);
    },
  );

  test('does not take what the pinned one would have signed as an authority', async () => {
    const { server } = await echo(tlsOf('signed'));
    const fetch = pinnedFetch({ certificate: tlsText('authority.pem') });
    expect(await codeOf(fetch(server.url, {}))).toBe('CERTIFICATE_NOT_PINNED');
  });

  test('or trusts one authority alone, and the names in what it signed', async () => {
    const fetch = pinnedFetch({ authority: tlsText('authority.pem') });
    const signed = await echo(tlsOf('signed'));
    expect((await fetch(signed.server.url, {})).status).toBe(200);
    const elsewhere = signed.server.url.replace('127.0.0.1', '127.1');
    expect((await fetch(elsewhere, {})).status).toBe(200);
    const node = await echo(tlsOf('node'));
    expect(await codeOf(fetch(node.server.url, {}))).toMatch(/SELF_SIGNED|UNABLE_TO/);
    expect(node.seen).toHaveLength(0);
  });

  test('gives the pieces of an answer as they come, and ends when it is told to', async () => {
    const { server } = await echo(tlsOf('node'), ({ response }) => response.write('first\n'));
    const stopping = new AbortController();
    const response = await pinnedFetch({ certificate })(server.url, { signal: stopping.signal });
    const reader = response.body?.getReader();
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('first\n');
    stopping.abort();
    await expect(reader?.read()).rejects.toThrow();
  });

  test('says what is no certificate', () => {
    for (const pin of ['', 'ab:cd', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----']) {
      expect(() => pinnedFetch({ certificate: pin })).toThrow(/this is no certificate/);
      expect(() => pinnedFetch({ authority: pin })).toThrow(/this is no certificate/);
    }
  });
});

describe('a wallet over it', () => {
  const request: KeysendRequest = {
    nodeId: `03${'cd'.repeat(32)}`,
    amountMsat: 1_000n,
    records: new Map([[7629169n, Uint8Array.of(1, 2)]]),
    key: 'a',
    preimage: new Uint8Array(32).fill(7),
  };

  async function lnd(tls: ServerTls | undefined): Promise<LndServer> {
    const server = new LndServer(tls);
    running.push(server.server);
    await server.server.start();
    return server;
  }

  test('pays through real TLS, and follows what arrives', async () => {
    const server = await lnd(tlsOf('node'));
    const { macaroonHex } = server;
    const wallet = lndWallet({ url: server.server.url, macaroonHex, fetch: pinnedFetch({ certificate }) });
    expect(await wallet.keysend(request)).toMatchObject({ status: 'succeeded' });
    server.receive({ amountMsat: 5n, records: new Map() });
    const { signal } = new AbortController();
    for await (const payment of wallet.subscribe({ signal })) {
      expect(payment.amountMsat).toBe(5n);
      break;
    }
    server.behaviours.push({ type: 'cut', paid: false });
    const second = { ...request, preimage: new Uint8Array(32).fill(8) };
    expect((await wallet.keysend(second)).status).toBe('unknown');
  });

  test.each([
    ['another certificate', tlsOf('impostor'), /another certificate/, false],
    ['no TLS', undefined, /does not speak TLS|before it was secure/, undefined],
  ] as const)('knows that nothing was paid where there is %s', async (_, tls, says, retryable) => {
    const server = await lnd(tls);
    const { macaroonHex } = server;
    const url = server.server.url.replace('http:', 'https:');
    const wallet = lndWallet({ url, macaroonHex, fetch: pinnedFetch({ certificate }) });
    const outcome = await wallet.keysend(request);
    expect(outcome).toMatchObject({
      status: 'failed',
      failure: 'unreachable',
      message: expect.stringMatching(says),
    });
    if (retryable !== undefined && outcome.status === 'failed') expect(outcome.retryable).toBe(retryable);
    expect(JSON.stringify(outcome)).not.toContain(macaroonHex);
    expect(server.sent).toHaveLength(0);
  });

  test('knows the same where nobody listens, and where the platform trusts nobody of that name', async () => {
    const server = await lnd(tlsOf('node'));
    const { macaroonHex } = server;
    const platform = lndWallet({ url: server.server.url, macaroonHex });
    expect(await platform.keysend(request)).toMatchObject({
      status: 'failed',
      failure: 'unreachable',
      message: expect.stringMatching(/certificate that is not trusted \(DEPTH_ZERO_SELF_SIGNED_CERT\)/),
    });
    await server.server.stop();
    const pinned = lndWallet({ url: server.server.url, macaroonHex, fetch: pinnedFetch({ certificate }) });
    expect(await pinned.keysend(request)).toMatchObject({ status: 'failed', retryable: true });
  });
});
