import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  createClient,
  type EndpointName,
  endpoints,
  type NodeEvent,
  type NodeService,
  ServiceError,
} from '@rivulet/sdk';
import { afterEach, describe, expect, test } from 'vitest';
import { silentLogger } from '../logging/logger.js';
import { ManualScheduler } from '../peers/testing/manualScheduler.js';
import { type ApiServerOptions, startApiServer } from './apiServer.js';

const id = `03${'ab'.repeat(32)}`;
const hash = 'cd'.repeat(32);
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function dataFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'rivulet-api-'));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  return folder;
}

type Methods = Partial<{ [N in EndpointName]: (request: never) => Promise<unknown> }>;

async function start(methods: Methods = {}, options: Partial<ApiServerOptions> = {}) {
  const listeners = new Set<(event: NodeEvent) => void>();
  const service = {
    subscribe(listener: (event: NodeEvent) => void) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    ...Object.fromEntries(Object.keys(endpoints).map((name) => [name, async () => ({ peers: [] })])),
    ...methods,
  } as unknown as NodeService;
  const scheduler = new ManualScheduler();
  const dataDir = options.dataDir ?? dataFolder();
  const server = await startApiServer({
    service,
    dataDir,
    host: '127.0.0.1',
    port: 0,
    logger: silentLogger,
    scheduler,
    ...options,
  });
  cleanups.push(() => server.close());
  const token = readFileSync(join(dataDir, 'api-token'), 'utf8').trim();
  const emit = (event: NodeEvent) => {
    for (const listener of listeners) listener(event);
  };
  return {
    ...server,
    dataDir,
    token,
    scheduler,
    listeners,
    emit,
    client: createClient({ url: server.url, token }),
  };
}

interface Answer {
  status: number;
  code: string | undefined;
  message: string;
}

async function call(
  server: { url: string; token: string },
  given: {
    method?: string;
    path?: string;
    headers?: Record<string, string>;
    body?: string | Uint8Array;
  } = {},
): Promise<Answer> {
  const { method = 'GET', path = '/v1/peers', headers = {}, body } = given;
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      new URL(path, server.url),
      { method, headers: { authorization: `Bearer ${server.token}`, ...headers } },
      async (response: IncomingMessage) => {
        let text = '';
        for await (const chunk of response.setEncoding('utf8')) text += chunk;
        const error = JSON.parse(text).error;
        resolve({ status: response.statusCode ?? 0, code: error?.code, message: error?.message ?? '' });
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

async function rawSocket(server: { url: string }, head: readonly string[]): Promise<Socket> {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  cleanups.push(() => socket.destroy());
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.write(`${head.join('\r\n')}\r\n\r\n`);
  return socket;
}

describe('who may call', () => {
  test('threat 28: no token, a wrong one and one of another daemon are refused', async () => {
    const mine = await start();
    const other = await start();
    expect((await call(mine)).status).toBe(200);
    for (const authorization of [
      '',
      'Bearer',
      `Bearer ${other.token}`,
      `Bearer ${mine.token}0`,
      mine.token,
    ]) {
      expect(await call(mine, { headers: { authorization } })).toMatchObject({
        status: 401,
        code: 'unauthorized',
      });
    }
    expect(await call(mine, { path: '/v1/events', headers: { authorization: '' } })).toMatchObject({
      status: 401,
    });
  });

  test('threat 28: a web page that found a name for loopback is refused', async () => {
    const server = await start();
    expect(await call(server, { headers: { host: 'evil.example' } })).toMatchObject({
      status: 403,
      code: 'host_not_allowed',
    });
    expect((await call(server, { headers: { host: 'localhost:1234' } })).status).toBe(200);
    expect((await call(server, { headers: { host: '[::1]:1' } })).status).toBe(200);
  });

  test('the token is kept, and only its owner may read it', async () => {
    const server = await start();
    expect(server.token).toMatch(/^[0-9a-f]{64}$/);
    expect(statSync(join(server.dataDir, 'api-token')).mode & 0o777).toBe(0o600);
    await server.close();
    const again = await start({}, { dataDir: server.dataDir });
    expect(again.token).toBe(server.token);
  });

  test('a damaged token file is named', async () => {
    const dataDir = dataFolder();
    writeFileSync(join(dataDir, 'api-token'), 'hello');
    await expect(start({}, { dataDir })).rejects.toMatchObject({ code: 'api_token_invalid' });
  });
});

describe('requests', () => {
  test('of unknown paths and wrong methods are told so', async () => {
    const server = await start();
    expect(await call(server, { path: '/v1/nothing' })).toMatchObject({
      status: 404,
      code: 'endpoint_not_found',
    });
    // No URL: it begins as one with a host does.
    expect(await call(server, { path: `${server.url}//` })).toMatchObject({
      status: 404,
      code: 'endpoint_not_found',
    });
    expect(await call(server, { path: '/v1/keysend' })).toMatchObject({
      status: 405,
      code: 'method_not_allowed',
    });
    expect(await call(server, { method: 'DELETE' })).toMatchObject({ status: 405 });
  });

  test.each([
    ['no JSON', '{"nodeId":', /not JSON/],
    ['JSON of the wrong kind', '[]', /request/],
    ['no UTF-8', Uint8Array.of(0xff, 0xfe), /not JSON/],
    ['a missing field', JSON.stringify({ nodeId: id }), /amountMsat/],
    ['a field of the wrong kind', JSON.stringify({ nodeId: id, amountMsat: 5 }), /amountMsat/],
    ['a field too many', JSON.stringify({ nodeId: id, amountMsat: '5', x: 1 }), /x/],
  ])('with %s are refused with the reason', async (_, body, says) => {
    const server = await start();
    const headers = { 'content-type': 'application/json' };
    const answer = await call(server, { method: 'POST', path: '/v1/keysend', headers, body });
    expect(answer).toMatchObject({ status: 400, code: 'invalid_request' });
    expect(answer.message).toMatch(says);
  });

  test('must call JSON by its name', async () => {
    const server = await start();
    const headers = { 'content-type': 'text/plain' };
    const answer = await call(server, { method: 'POST', path: '/v1/stop', headers, body: '{}' });
    expect(answer).toMatchObject({ status: 415 });
  });

  test('threat 28: a body of 100 MB is refused before it is read, announced or not', async () => {
    const server = await start();
    const head = (extra: string) => [
      'POST /v1/keysend HTTP/1.1',
      'Host: 127.0.0.1',
      `Authorization: Bearer ${server.token}`,
      'Content-Type: application/json',
      extra,
    ];
    for (const extra of ['Content-Length: 104857600', 'Transfer-Encoding: chunked']) {
      const socket = await rawSocket(server, head(extra));
      const answer = new Promise<string>((resolve) => socket.once('data', (chunk) => resolve(String(chunk))));
      const chunk = 'x'.repeat(0x8000);
      for (let i = 0; i < 3; i++) {
        socket.write(extra.startsWith('Transfer') ? `8000\r\n${chunk}\r\n` : chunk);
      }
      expect(await answer).toMatch(/^HTTP\/1.1 413 [\s\S]*body_too_large/);
      // Whoever goes on sending is cut off.
      const ended = new Promise((resolve) => socket.once('close', resolve));
      socket.on('error', () => {});
      server.scheduler.advance(1_000);
      await ended;
    }
  });

  test('threat 28: a slow body is given up', async () => {
    const server = await start();
    const socket = await rawSocket(server, [
      'POST /v1/keysend HTTP/1.1',
      'Host: 127.0.0.1',
      `Authorization: Bearer ${server.token}`,
      'Content-Type: application/json',
      'Expect: 100-continue',
      'Content-Length: 100',
    ]);
    // The server asks for the body once it waits for it.
    await new Promise((resolve) => socket.once('data', resolve));
    socket.write('{');
    const answer = new Promise<string>((resolve) => socket.once('data', (chunk) => resolve(String(chunk))));
    server.scheduler.advance(10_000);
    expect(await answer).toMatch(/^HTTP\/1.1 408 [\s\S]*body_timeout/);
  });
});

describe('answers', () => {
  test('carry amounts beyond the integers of JSON both ways', async () => {
    const server = await start({
      keysend: async (request: { amountMsat: bigint; records: Map<bigint, Uint8Array> }) => ({
        sequence: 1,
        direction: 'outgoing',
        status: 'succeeded',
        paymentHash: hash,
        preimage: hash,
        amountMsat: request.amountMsat,
        feeMsat: 0n,
        createdAtMs: 1,
        records: request.records,
      }),
    });
    const records = new Map([[7629169n, Uint8Array.of(0x7b, 0x7d)]]);
    const amountMsat = 2_099_999_999_999_999_999n;
    const payment = await server.client.keysend({ nodeId: id, amountMsat, records });
    expect(payment).toMatchObject({ amountMsat, records, status: 'succeeded' });
  });

  test('tell what the node says, with its code and details', async () => {
    const server = await start({
      keysend: async () => {
        throw new ServiceError('insufficient_balance', 'only 5 sat can be sent', { spendableMsat: '5000' });
      },
    });
    await expect(server.client.keysend({ nodeId: id, amountMsat: 1n })).rejects.toMatchObject({
      code: 'insufficient_balance',
      message: 'only 5 sat can be sent',
      details: { spendableMsat: '5000' },
      status: 422,
    });
  });

  test('hide what failed inside, and what breaks the contract', async () => {
    const server = await start({
      balance: async () => {
        throw new TypeError('secret detail');
      },
      newAddress: async () => ({ address: 5 }),
    });
    const hidden = { code: 'internal_error', status: 500, message: expect.not.stringMatching(/secret/) };
    await expect(server.client.balance()).rejects.toMatchObject(hidden);
    await expect(server.client.newAddress()).rejects.toMatchObject(hidden);
  });

  test('read the query string of a GET', async () => {
    const asked: unknown[] = [];
    const server = await start({
      payments: async (request) => {
        asked.push(request);
        return { payments: [] };
      },
    });
    await server.client.payments({ direction: 'incoming', limit: 5, before: 9 });
    await server.client.payments();
    expect(asked).toEqual([{ direction: 'incoming', limit: 5, before: 9 }, {}]);
  });

  test('the details of an error may be amounts and bytes', async () => {
    const details = { neededSat: 2_000_182n, txid: Uint8Array.of(0xab) };
    const poor = Object.assign(new ServiceError('insufficient_balance', 'add 388244 sat'), { details });
    const { client } = await start({ openChannel: () => Promise.reject(poor) });
    await expect(client.openChannel({ nodeId: id, capacitySat: 2_000_000n })).rejects.toMatchObject({
      code: 'insufficient_balance',
      details: { neededSat: '2000182', txid: 'ab' },
    });
  });

  test('an answer that cannot be written costs its connection, not the server', async () => {
    const circle: { self?: unknown } = {};
    circle.self = circle;
    const broken = Object.assign(new ServiceError('no_route', 'none'), { details: circle });
    const { client } = await start({ keysend: () => Promise.reject(broken) });
    await expect(client.keysend({ nodeId: id, amountMsat: 1n })).rejects.toMatchObject({
      code: 'connection_lost',
    });
    expect(await client.peers()).toEqual({ peers: [] });
  });
});

describe('the stream of events', () => {
  const block = (height: number): NodeEvent => ({ type: 'block', height, blockHash: hash });

  test('brings every event in order, and ends when the daemon stops', async () => {
    const server = await start();
    const events = await server.client.events();
    server.emit(block(1));
    server.scheduler.advance(15_000);
    server.emit(block(2));
    expect((await events.next()).value).toEqual(block(1));
    expect((await events.next()).value).toEqual(block(2));
    await server.close();
    expect(await events.next()).toEqual({ done: true, value: undefined });
    expect(server.listeners.size).toBe(0);
  });

  test('ends without an error when its reader has had enough', async () => {
    const server = await start();
    const stopper = new AbortController();
    const events = await server.client.events({ signal: stopper.signal });
    const ended = events.next();
    stopper.abort();
    expect(await ended).toEqual({ done: true, value: undefined });
    while (server.listeners.size > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  test('ends so too when the request was collected as garbage meanwhile', async () => {
    const server = await start();
    const stopper = new AbortController();
    const events = await server.client.events({ signal: stopper.signal });
    server.emit(block(1));
    await events.next();
    setFlagsFromString('--expose-gc');
    await new Promise((resolve) => setImmediate(resolve));
    runInNewContext('gc')();
    const ended = events.next();
    stopper.abort();
    expect(await ended).toEqual({ done: true, value: undefined });
    while (server.listeners.size > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  test('lets go of a reader that does not keep up, and tells it', async () => {
    const server = await start({}, { limits: { maxBufferedBytes: 50_000 } });
    const socket = await rawSocket(server, [
      'GET /v1/events HTTP/1.1',
      'Host: 127.0.0.1',
      `Authorization: Bearer ${server.token}`,
    ]);
    while (server.listeners.size === 0) await new Promise((resolve) => setImmediate(resolve));
    socket.pause();
    let sent = 0;
    for (; server.listeners.size > 0; sent++) {
      server.emit({ type: 'peer_disconnected', nodeId: id, reason: 'x'.repeat(10_000) });
      if (sent % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.resume();
    await new Promise((resolve) => socket.once('end', resolve));
    expect(text).toContain('{"type":"lagged"}');
    expect(text.split('peer_disconnected').length - 1).toBe(sent - 1);
  });

  test('is not given to more readers than the limit', async () => {
    const server = await start({}, { limits: { maxStreams: 1 } });
    await server.client.events();
    await expect(server.client.events()).rejects.toMatchObject({ code: 'too_many_streams', status: 429 });
  });
});

describe('start and stop', () => {
  test('api.json tells where the daemon is, while it is there', async () => {
    const server = await start();
    const file = join(server.dataDir, 'api.json');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ url: server.url, pid: process.pid });
    await server.close();
    expect(existsSync(file)).toBe(false);
    await expect(server.client.info()).rejects.toMatchObject({ code: 'daemon_unreachable' });
  });

  test('a port in use says what to do', async () => {
    const first = await start();
    const second = start({}, { port: Number(new URL(first.url).port) });
    await expect(second).rejects.toMatchObject({ code: 'api_address_in_use' });
    await expect(second).rejects.toThrow(/choose another port/);
  });

  test('an answer that is under way is still given', async () => {
    let finish = () => {};
    const server = await start({
      newAddress: () =>
        new Promise((resolve) => {
          finish = () => resolve({ address: 'bcrt1q' });
        }),
    });
    const asked = server.client.newAddress();
    while (finish.toString() === '() => {}') await new Promise((resolve) => setImmediate(resolve));
    const closed = server.close();
    finish();
    expect(await asked).toEqual({ address: 'bcrt1q' });
    await closed;
  });
});
