import { bytesToHex, hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import { createInvoice, type InvoiceFields } from '@rivulet/core/invoice';
import { encodeFeatureBits } from '@rivulet/core/wire';
import { describe, expect, test } from 'vitest';
import { signAsNode } from '../proof/nodeSignature.js';
import type { Fetcher } from '../value/fetcher.js';
import type { Recipient } from '../value/recipient.js';
import { signHints } from './addressHints.js';
import { boundedFetcher } from './boundedFetcher.js';
import { parseKeysendAddress, wellKnownUrl } from './keysendAddress.js';
import { type KeysendAccount, keysendAddressAnswer } from './keysendAddressAnswer.js';
import type { LnurlDestination } from './lnurlPay.js';
import { createResolver, resolveKeysendAddress } from './resolver.js';
import { serve, serveJson } from './servers.test.support.js';

const key = new Uint8Array(32).fill(0x11);
const nodeId = bytesToHex(secp256k1.publicKey(key));
const nowMs = 1_700_000_000_000;
const now = () => nowMs;
const fetcher = boundedFetcher({ allow: { loopback: true } });
const options = { fetcher, now };
const utf8 = utf8ToBytes;

const invalid = expect.objectContaining({ code: 'address_invalid' });
const unknown = expect.objectContaining({ code: 'address_unknown' });
const unreachable = expect.objectContaining({ code: 'address_unreachable' });

describe('a keysend address', () => {
  test('has one form', () => {
    expect(parseKeysendAddress(' Alice@Example.COM ')).toEqual({
      name: 'alice',
      host: 'example.com',
      text: 'alice@example.com',
    });
    expect(parseKeysendAddress('lightning:a.b_c+d-1@bücher.example:8443').text).toBe(
      'a.b_c+d-1@xn--bcher-kva.example:8443',
    );
    expect(parseKeysendAddress('a@example.com:443').text).toBe('a@example.com');
    expect(wellKnownUrl(parseKeysendAddress('a+b@example.com'), 'keysend')).toBe(
      'https://example.com/.well-known/keysend/a+b',
    );
    expect(wellKnownUrl(parseKeysendAddress('a@abc.onion'), 'lnurlp')).toBe(
      'http://abc.onion/.well-known/lnurlp/a',
    );
  });

  test.each([
    '',
    'alice',
    '@example.com',
    'alice@',
    'a@b@c',
    '..@example.com',
    'a b@example.com',
    'a/b@example.com',
    'a@example.com/x',
    'a@exa mple.com',
    'a@example.com?x',
    'a@example.com#x',
    'a@ex%61mple.com',
    `${'a'.repeat(65)}@example.com`,
    'ä@example.com',
    'a@[::1',
    'a@example.com:99999',
    `a@${'x'.repeat(400)}.com`,
    'a@example.com\\x',
  ])('is not %j', (text) => {
    expect(() => parseKeysendAddress(text)).toThrow(invalid);
  });
});

async function resolveAnswer(answer: unknown) {
  const host = await serveJson({ '/.well-known/keysend/alice': answer });
  return resolveKeysendAddress(`alice@${host}`, options);
}

describe('resolving by keysend', () => {
  test('gives the node and the account behind it', async () => {
    const answer = {
      status: 'OK',
      tag: 'keysend',
      pubkey: nodeId.toUpperCase(),
      customData: [{ customKey: '696969', customValue: 'wal_1' }],
    };
    expect(await resolveAnswer(answer)).toEqual({
      type: 'keysend',
      nodeId,
      records: new Map([[696969n, utf8('wal_1')]]),
    });
  });

  test('takes accounts that are absent, empty, without their list, or keyed by numbers', async () => {
    for (const customData of [undefined, null, [], {}, [{}], [{ customKey: '', customValue: '' }]]) {
      expect(await resolveAnswer({ pubkey: nodeId, customData })).toEqual({
        type: 'keysend',
        nodeId,
        records: new Map(),
      });
    }
    for (const customData of [
      { customKey: 818818, customValue: 'brian' },
      [{ customKey: '818818', customValue: 'brian' }],
    ]) {
      expect(await resolveAnswer({ pubkey: nodeId, customData })).toMatchObject({
        records: new Map([[818818n, utf8('brian')]]),
      });
    }
  });

  test('refuses an answer by which a payment would be lost', async () => {
    const bad: readonly object[] = [
      {},
      { pubkey: 'x' },
      { pubkey: 7 },
      { pubkey: '02'.padEnd(66, '0') },
      { pubkey: nodeId, tag: 'payRequest' },
      { pubkey: nodeId, customData: ['x'] },
      { pubkey: nodeId, customData: 'x' },
      { pubkey: nodeId, customData: [{ customKey: '696969' }] },
      { pubkey: nodeId, customData: [{ customKey: '7', customValue: 'x' }] },
      { pubkey: nodeId, customData: [{ customKey: '5482373484', customValue: 'x' }] },
      { pubkey: nodeId, customData: [{ customKey: '7629169', customValue: '{}' }] },
      {
        pubkey: nodeId,
        customData: Array.from({ length: 9 }, () => ({ customKey: '696969', customValue: 'x' })),
      },
    ];
    for (const answer of bad)
      await expect(resolveAnswer(answer), JSON.stringify(answer)).rejects.toThrow(unreachable);
  });

  test('uses hints that the node signed, and none that somebody else did', async () => {
    const hop = {
      nodeId: secp256k1.publicKey(new Uint8Array(32).fill(3)),
      shortChannelId: 5n,
      feeBaseMsat: 1,
      feeProportionalMillionths: 2,
      cltvExpiryDelta: 40,
    };
    const accounts = new Map<string, KeysendAccount>();
    const host = await serve((request, response) => {
      const { status, headers, body } = keysendAddressAnswer({
        name: request.url?.split('/').at(-1) ?? '',
        accounts,
      });
      response.writeHead(status, headers);
      response.end(body);
    });
    const sign = (name: string) =>
      signHints({ nodeId, address: `${name}@${host}`, expires: nowMs / 1000 + 60, hints: [[hop]] }, (text) =>
        signAsNode(text, key),
      );
    accounts.set('alice', { nodeId, hints: await sign('alice') });
    accounts.set('bob', { nodeId, hints: await sign('alice') });
    expect(await resolveKeysendAddress(`alice@${host}`, options)).toEqual({
      type: 'keysend',
      nodeId,
      records: new Map(),
      hints: [[hop]],
    });
    expect(await resolveKeysendAddress(`bob@${host}`, options)).toEqual({
      type: 'keysend',
      nodeId,
      records: new Map(),
    });
    const later = { fetcher, now: () => nowMs + 60_000 };
    expect(await resolveKeysendAddress(`alice@${host}`, later)).toEqual({
      type: 'keysend',
      nodeId,
      records: new Map(),
    });
  });
});

const metadata = '[["text/plain","Pay alice"]]';
const payRequest = (host: string) => ({
  tag: 'payRequest',
  callback: `http://${host}/pay?id=7`,
  minSendable: 1000,
  maxSendable: '5000000',
  metadata,
  commentAllowed: 10,
});

describe('resolving by LNURL-pay', () => {
  const answers = (keysend: (end: (status: number, body: string) => void) => void) => {
    let asked = 0;
    return {
      asked: () => asked,
      host: serve((request, response) => {
        if (request.url?.includes('/keysend/')) {
          return keysend((status, body) => {
            response.writeHead(status);
            response.end(body);
          });
        }
        asked++;
        response.end(JSON.stringify(payRequest(request.headers.host ?? '')));
      }),
    };
  };

  test.each<[string, number, string]>([
    ['404', 404, ''],
    ['410', 410, 'gone'],
    ['an error of the host’s own', 200, '{"status":"ERROR","reason":"x"}'],
    ['an error with its status', 400, '{"status":"error"}'],
    ['a page for people', 200, '<!doctype html><title>App</title>'],
  ])('comes after %s', async (_name, status, body) => {
    const { host } = answers((end) => end(status, body));
    expect(await resolveKeysendAddress(`alice@${await host}`, options)).toEqual({
      type: 'lnurl',
      callback: `http://${await host}/pay?id=7`,
      minMsat: 1000n,
      maxMsat: 5_000_000n,
      commentLength: 10,
      metadata,
    });
  });

  test.each<[string, number, string]>([
    ['500', 500, ''],
    ['503 with a page', 503, '<html>'],
    ['403', 403, ''],
    ['429', 429, '{}'],
    ['500 with an error', 500, '{"status":"ERROR"}'],
    ['no key', 200, '{}'],
  ])('does not come after %s', async (_name, status, body) => {
    const { host, asked } = answers((end) => end(status, body));
    await expect(resolveKeysendAddress(`alice@${await host}`, options)).rejects.toThrow(unreachable);
    expect(asked()).toBe(0);
  });

  test('says that a name is unknown only where both are', async () => {
    const host = await serveJson({});
    await expect(resolveKeysendAddress(`alice@${host}`, options)).rejects.toThrow(unknown);
    const down: Fetcher = (url, limits) => fetcher(url.replace('keysend', 'nothing'), limits);
    const broken = await serve((request, response) => {
      if (request.url?.includes('/nothing/')) {
        response.writeHead(404);
        response.end();
      } else request.socket.destroy();
    });
    await expect(resolveKeysendAddress(`alice@${broken}`, { ...options, fetcher: down })).rejects.toThrow(
      unreachable,
    );
  });

  test('refuses terms that make no sense', async () => {
    for (const change of [
      { tag: 'withdrawRequest' },
      { callback: 7 },
      { callback: 'javascript:1' },
      { callback: 'nothing' },
      { minSendable: 0 },
      { minSendable: 10, maxSendable: 9 },
      { minSendable: 'x' },
      { maxSendable: null },
      { minSendable: -5 },
      { metadata: [] },
    ]) {
      const host = await serveJson({
        '/.well-known/lnurlp/alice': { ...payRequest('127.0.0.1'), ...change },
      });
      await expect(resolveKeysendAddress(`alice@${host}`, options), JSON.stringify(change)).rejects.toThrow(
        unreachable,
      );
    }
  });

  test('bounds amounts that are more than there is', async () => {
    const answer = { ...payRequest('127.0.0.1'), minSendable: 1.5, maxSendable: 1e300, commentAllowed: 1e9 };
    const host = await serveJson({ '/.well-known/lnurlp/alice': answer });
    expect(await resolveKeysendAddress(`alice@${host}`, options)).toMatchObject({
      minMsat: 1n,
      maxMsat: 2_100_000_000_000_000_000n,
      commentLength: 4096,
    });
  });
});

describe('fetching an invoice', () => {
  const fields: InvoiceFields = {
    currency: 'bc',
    amountMsat: 21_000n,
    timestamp: nowMs / 1000,
    paymentHash: new Uint8Array(32).fill(4),
    paymentSecret: new Uint8Array(32).fill(5),
    description: { type: 'hash', hash: sha256(utf8(metadata)) },
    features: encodeFeatureBits([8, 14]),
  };
  const invoiceOf = (changes: Partial<InvoiceFields> = {}) =>
    createInvoice({ ...fields, ...changes }, (hash) => secp256k1.signRecoverable(hash, key));

  async function askFor(
    answer: unknown,
    { comment, amountMsat = 21_000n }: { comment?: string; amountMsat?: bigint } = {},
  ) {
    let asked = '';
    const host = await serve((request, response) => {
      asked = request.url ?? '';
      response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
    });
    const destination: LnurlDestination = {
      type: 'lnurl',
      callback: `http://${host}/pay?id=7`,
      minMsat: 1000n,
      maxMsat: 5_000_000n,
      commentLength: 10,
      metadata,
    };
    const request = { amountMsat, ...(comment === undefined ? {} : { comment }) };
    const got = await createResolver(options).invoice(destination, request);
    return { asked, got };
  }

  test('gives one that asks for just the amount, and sends as much of the comment as is taken', async () => {
    const invoice = invoiceOf();
    const { asked, got } = await askFor({ pr: invoice, routes: [] }, { comment: 'hello 👨‍👩‍👧‍👦 you' });
    expect(asked).toBe('/pay?id=7&amount=21000&comment=hello+');
    expect(got).toEqual({ invoice, paymentHash: '04'.repeat(32), expiresAtMs: nowMs + 3_600_000 });
    expect((await askFor({ pr: invoice })).asked).toBe('/pay?id=7&amount=21000');
  });

  test('takes a description in words', async () => {
    const invoice = invoiceOf({ description: { type: 'text', text: 'Pay alice' } });
    expect((await askFor({ pr: invoice })).got.invoice).toBe(invoice);
  });

  test('refuses one for another amount, purpose, network or time, and one that is none', async () => {
    const bad: readonly unknown[] = [
      { pr: invoiceOf({ amountMsat: 21_001n }) },
      { pr: createInvoice(withoutAmount(fields), (hash) => secp256k1.signRecoverable(hash, key)) },
      { pr: invoiceOf({ description: { type: 'hash', hash: new Uint8Array(32) } }) },
      { pr: invoiceOf({ currency: 'tb' }) },
      { pr: invoiceOf({ timestamp: nowMs / 1000 - 3601 }) },
      { pr: 'lnbc1nonsense' },
      { pr: 7 },
      { status: 'ERROR', reason: 'no\u0007 money\n\u202enow' },
      'not json',
      [],
    ];
    for (const answer of bad)
      await expect(askFor(answer), JSON.stringify(answer)).rejects.toThrow(unreachable);
    await expect(askFor({ status: 'ERROR', reason: 'no\u0007 money\n\u202enow' })).rejects.toThrow(
      /"no money now"$/,
    );
  });

  test('does not even ask for an amount outside of the limits', async () => {
    const wrong = expect.objectContaining({ code: 'request_invalid' });
    await expect(askFor({ pr: invoiceOf() }, { amountMsat: 999n })).rejects.toThrow(wrong);
    await expect(askFor({ pr: invoiceOf() }, { amountMsat: 5_000_001n })).rejects.toThrow(wrong);
  });
});

function withoutAmount({ amountMsat: _, ...fields }: InvoiceFields): InvoiceFields {
  return fields;
}

describe('the resolver', () => {
  const alice = (host: string, more: Partial<Recipient> = {}): Recipient => ({
    type: 'lnaddress',
    address: `alice@${host}`,
    ...more,
  });

  test('checks node ids, and sends the account that the row names', async () => {
    const { resolve } = createResolver(options);
    expect(
      await resolve({ type: 'node', address: nodeId, customKey: '696969', customValue: 'wal_1' }),
    ).toEqual({
      type: 'keysend',
      nodeId,
      records: new Map([[696969n, utf8('wal_1')]]),
    });
    for (const address of ['x', '02'.padEnd(66, '0'), nodeId.slice(2)]) {
      await expect(resolve({ type: 'node', address })).rejects.toThrow(invalid);
    }
    await expect(
      resolve({ type: 'node', address: nodeId, customKey: '7', customValue: 'x' }),
    ).rejects.toThrow(invalid);
    await expect(resolve({ type: 'node', address: nodeId, customKey: '696969' })).rejects.toThrow(invalid);
  });

  test('remembers successes for a while, failures not at all, and bounded', async () => {
    let asked = 0;
    let status = 500;
    let time = nowMs;
    const host = await serve((_request, response) => {
      asked++;
      response.writeHead(status);
      response.end(JSON.stringify({ pubkey: nodeId }));
    });
    const resolver = createResolver({ fetcher, now: () => time, cache: { ttlMs: 1000, maxEntries: 2 } });
    await expect(resolver.resolve(alice(host))).rejects.toThrow(unreachable);
    status = 200;
    await resolver.resolve(alice(host));
    await resolver.resolve(alice(host.toUpperCase()));
    expect(asked).toBe(2);
    time += 1000;
    await resolver.resolve(alice(host));
    expect(asked).toBe(3);
    await resolver.resolve({ type: 'lnaddress', address: `bob@${host}` });
    await resolver.resolve({ type: 'lnaddress', address: `carol@${host}` });
    await resolver.resolve({ type: 'lnaddress', address: `carol@${host}` });
    expect(asked).toBe(5);
    await resolver.resolve(alice(host));
    expect(asked).toBe(6);
  });

  test('lets the host’s word on the account go before the feed’s, and keeps rows of one address apart', async () => {
    const customData = [{ customKey: '696969', customValue: 'host' }];
    const host = await serveJson({ '/.well-known/keysend/alice': { pubkey: nodeId, customData } });
    const { resolve } = createResolver(options);
    expect(await resolve(alice(host, { customKey: '818818', customValue: 'feed' }))).toMatchObject({
      records: new Map([
        [818818n, utf8('feed')],
        [696969n, utf8('host')],
      ]),
    });
    expect(await resolve(alice(host, { customKey: '696969', customValue: 'feed' }))).toMatchObject({
      records: new Map([[696969n, utf8('host')]]),
    });
    expect(await resolve(alice(host))).toMatchObject({ records: new Map([[696969n, utf8('host')]]) });
  });

  test('does not remember hints beyond their expiry', async () => {
    let time = nowMs;
    let asked = 0;
    let answer = '';
    const host = await serve((_request, response) => {
      asked++;
      response.end(answer);
    });
    const hop = {
      nodeId: hexToBytes(nodeId),
      shortChannelId: 5n,
      feeBaseMsat: 1,
      feeProportionalMillionths: 2,
      cltvExpiryDelta: 40,
    };
    const hints = await signHints(
      { nodeId, address: `alice@${host}`, expires: nowMs / 1000 + 60, hints: [[hop]] },
      (text) => signAsNode(text, key),
    );
    answer = keysendAddressAnswer({ name: 'alice', accounts: () => ({ nodeId, hints }) }).body;
    const resolver = createResolver({ fetcher, now: () => time });
    expect(await resolver.resolve(alice(host))).toHaveProperty('hints');
    time += 59_999;
    expect(await resolver.resolve(alice(host))).toHaveProperty('hints');
    expect(asked).toBe(1);
    time += 1;
    expect(await resolver.resolve(alice(host))).not.toHaveProperty('hints');
    expect(asked).toBe(2);
  });

  test('stops when it is told to', async () => {
    const abort = new AbortController();
    const host = await serve(() => abort.abort());
    const resolving = createResolver(options).resolve(alice(host), { signal: abort.signal });
    await expect(resolving).rejects.toThrow(expect.objectContaining({ code: 'stopped' }));
  });

  test('is not led to this machine by an address, where that is not allowed', async () => {
    let asked = 0;
    const host = await serve(() => asked++);
    const { resolve } = createResolver({ fetcher: boundedFetcher(), now });
    const error: unknown = await resolve(alice(host)).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'address_unreachable', cause: { code: 'fetch_refused' } });
    expect(asked).toBe(0);
  });
});

describe('serving a keysend address', () => {
  const accounts = new Map([
    ['alice', { nodeId }],
    ['bob', { nodeId, customKey: '696969', customValue: 'wal_1' }],
  ]);

  test('always has customData, and lets every origin ask', () => {
    const { status, headers, body } = keysendAddressAnswer({ name: 'Alice', accounts });
    expect([status, JSON.parse(body)]).toEqual([
      200,
      { status: 'OK', tag: 'keysend', pubkey: nodeId, customData: [] },
    ]);
    expect(headers['access-control-allow-origin']).toBe('*');
    expect(headers['content-type']).toBe('application/json; charset=utf-8');
    expect(JSON.parse(keysendAddressAnswer({ name: 'bob', accounts }).body)).toMatchObject({
      customData: [{ customKey: '696969', customValue: 'wal_1' }],
    });
  });

  test('answers 404 for names that it does not know, whatever they are', () => {
    for (const name of ['carol', '', '__proto__', 'constructor', '../alice', 'x'.repeat(10_000)]) {
      const { status, headers } = keysendAddressAnswer({ name, accounts });
      expect([status, headers['access-control-allow-origin']]).toEqual([404, '*']);
    }
  });

  test('answers what browsers ask before they ask, and nothing but GET', () => {
    expect(keysendAddressAnswer({ name: 'alice', accounts, method: 'OPTIONS' })).toMatchObject({
      status: 204,
      body: '',
    });
    expect(keysendAddressAnswer({ name: 'alice', accounts, method: 'POST' })).toMatchObject({ status: 405 });
  });

  test('leaves out hints that are expired', async () => {
    const hints = { hints: [], expires: nowMs / 1000, signature: 'x' };
    const at = (time: number) =>
      JSON.parse(
        keysendAddressAnswer({ name: 'a', accounts: () => ({ nodeId, hints }), nowMs: time }).body,
      ) as object;
    expect(at(nowMs - 1)).toHaveProperty('rivulet');
    expect(at(nowMs)).not.toHaveProperty('rivulet');
  });
});
