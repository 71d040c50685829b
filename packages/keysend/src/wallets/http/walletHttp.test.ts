import { afterEach, describe, expect, test } from 'vitest';
import { type Exchange, LoopbackServer } from '../loopbackServer.test.support.js';
import { ManualSchedule } from '../walletWorld.test.support.js';
import { verdictOfFetchError, verdictOfStatus } from './classify.js';
import { errorOfProblem, HttpProblem, outcomeBefore, outcomeOfProblem } from './httpProblem.js';
import { WalletHttp, type WalletHttpOptions } from './walletHttp.js';

const running: LoopbackServer[] = [];

afterEach(async () => {
  for (const server of running.splice(0)) await server.stop();
});

async function serve(handle: (exchange: Exchange) => unknown): Promise<LoopbackServer> {
  const server = new LoopbackServer(handle);
  running.push(server);
  await server.start();
  return server;
}

function httpTo(url: string, options: Partial<WalletHttpOptions> = {}): WalletHttp {
  return new WalletHttp({
    name: 'the node',
    url,
    headers: { authorization: 'Bearer hush' },
    secrets: ['hush'],
    ...options,
  });
}

async function problemOf(work: Promise<unknown>): Promise<HttpProblem> {
  const error = await work.then(
    () => undefined,
    (one: unknown) => one,
  );
  expect(error).toBeInstanceOf(HttpProblem);
  return error as HttpProblem;
}

async function all(lines: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const line of lines) found.push(line);
  return found;
}

const get = { method: 'GET', path: '/' } as const;

describe('HTTP to a wallet', () => {
  test('sends what it is given, and gives back JSON', async () => {
    const server = await serve(({ request, response, url, body }) => {
      const { authorization, 'content-type': type } = request.headers;
      response.end(JSON.stringify([request.method, url.pathname + url.search, authorization, type, body]));
    });
    const http = httpTo(`${server.url}/base/`);
    expect(await http.json({ ...get, path: '/a?b=c' })).toEqual([
      'GET',
      '/base/a?b=c',
      'Bearer hush',
      null,
      '',
    ]);
    expect(await http.json({ method: 'POST', path: '/a', json: { b: 1 } })).toEqual([
      'POST',
      '/base/a',
      'Bearer hush',
      'application/json',
      '{"b":1}',
    ]);
    expect(await http.json({ method: 'POST', path: '/a', form: { b: 'c d&' } })).toEqual([
      'POST',
      '/base/a',
      'Bearer hush',
      'application/x-www-form-urlencoded',
      'b=c+d%26',
    ]);
  });

  test.each([
    [301, true, 'unreachable'],
    [303, false, 'other'],
    [400, true, 'request_invalid'],
    [401, true, 'unauthorized'],
    [403, true, 'unauthorized'],
    [402, true, 'quota_exceeded'],
    [404, true, 'wallet_cannot'],
    [408, false, 'other'],
    [409, false, 'other'],
    [429, true, 'rate_limited'],
    [500, false, 'other'],
    [501, false, 'wallet_cannot'],
    [502, false, 'other'],
    [503, false, 'other'],
    [504, false, 'other'],
  ])('says of HTTP %d whether the request can have been carried out', async (status, certain, failure) => {
    const server = await serve(({ response }) =>
      response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end('hush'),
    );
    const problem = await problemOf(httpTo(server.url).json({ method: 'POST', path: '/pay', json: {} }));
    expect(problem).toMatchObject({ certain, failure, status });
    expect(problem.message).not.toContain('hush');
    expect(outcomeOfProblem(problem).status).toBe(certain ? 'failed' : 'unknown');
  });

  test.each([404, 405])('leaves open what a page of a proxy says: HTTP %d', async (status) => {
    // nginx whose `error_page 502 504` is not there.
    const page = '<html>\r\n<head><title>404 Not Found</title></head>';
    const server = await serve(({ response }) => response.writeHead(status).end(page));
    const problem = await problemOf(httpTo(server.url).json({ method: 'POST', path: '/pay', json: {} }));
    expect(problem).toMatchObject({ certain: false, failure: 'wallet_cannot', status });
  });

  test.each([0, 200, 299, 418, 599, 999])('has something to say of any status: %d', (status) => {
    expect(verdictOfStatus(status).says).not.toBe('');
  });

  test('leaves open what breaks after it was sent, and not what never was', async () => {
    const server = await serve(({ response }) => response.socket?.destroy());
    expect(await problemOf(httpTo(server.url).text(get))).toMatchObject({
      certain: false,
      failure: 'unreachable',
    });
    await server.stop();
    expect(await problemOf(httpTo(server.url).text(get))).toMatchObject({
      certain: true,
      failure: 'unreachable',
    });
    // What a browser says: the same for everything.
    const fetch = () => Promise.reject(new TypeError('Failed to fetch'));
    expect((await problemOf(httpTo(server.url, { fetch }).text(get))).certain).toBe(false);
    expect(verdictOfFetchError(undefined).certain).toBe(false);
    expect(verdictOfFetchError({ cause: { code: 'ECONNRESET', syscall: 'read' } }).certain).toBe(false);
    expect(verdictOfFetchError({ cause: { code: 'ETIMEDOUT', syscall: 'connect' } }).certain).toBe(true);
    expect(verdictOfFetchError({ cause: { code: 'ETIMEDOUT', syscall: 'write' } }).certain).toBe(false);
  });

  test('ends when the time is up, even where fetch does not listen', async () => {
    const timers = new ManualSchedule();
    let asked = () => {};
    const called = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const fetch = () => {
      asked();
      return new Promise<Response>(() => {});
    };
    const http = httpTo('http://127.0.0.1:1', { fetch, schedule: timers.schedule });
    const waiting = problemOf(http.text({ ...get, timeoutMs: 5_000 }));
    await called;
    timers.elapse(5_000);
    expect(await waiting).toMatchObject({
      certain: false,
      failure: 'timeout',
      message: 'the node did not answer within 5 seconds',
    });
  });

  test('ends when the caller wants no more: before it is sent that is certain', async () => {
    const stopping = new AbortController();
    const server = await serve(() => stopping.abort());
    const { signal } = stopping;
    expect(await problemOf(httpTo(server.url).text({ ...get, signal }))).toMatchObject({
      certain: false,
      aborted: true,
    });
    expect(await problemOf(httpTo(server.url).text({ ...get, signal }))).toMatchObject({
      certain: true,
      aborted: true,
    });
    expect(errorOfProblem(await problemOf(httpTo(server.url).text({ ...get, signal }))).code).toBe('stopped');
  });

  test('reads no more than it was allowed to', async () => {
    const server = await serve(({ response, url }) =>
      response.end(url.pathname === '/lines' ? `${'a'.repeat(100)}\n${'b'.repeat(101)}\n` : 'x'.repeat(101)),
    );
    const http = httpTo(server.url, { maxBytes: 100 });
    expect(await problemOf(http.text(get))).toMatchObject({
      certain: false,
      message: expect.stringMatching(/too long/),
    });
    const lines = http.lines({ ...get, path: '/lines' });
    expect((await lines.next()).value).toBe('a'.repeat(100));
    expect(await problemOf(lines.next())).toMatchObject({ certain: false });
  });

  test('reads lines however they are cut, in any alphabet, the last one too', async () => {
    const text = '{"a":1}\n\n  \r\n{"ü":"🎧"}\r\nlast';
    const bytes = new TextEncoder().encode(text);
    for (let size = 1; size <= bytes.length; size++) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      );
      const fetch = async () => new Response(ReadableStream.from(pieces) as ReadableStream<Uint8Array>);
      expect(await all(httpTo('http://127.0.0.1:1', { fetch }).lines(get))).toEqual([
        '{"a":1}',
        '{"ü":"🎧"}',
        'last',
      ]);
    }
  });

  test('lets go of a stream that nobody reads on', async () => {
    let closed = () => {};
    const gone = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const server = await serve(({ response }) => {
      response.on('close', closed);
      response.write('one\n');
    });
    for await (const line of httpTo(server.url).lines(get)) {
      expect(line).toBe('one');
      break;
    }
    await gone;
  });

  test('shows of what others say one line, not much of it, and none of its secrets', () => {
    const http = httpTo('http://127.0.0.1:1');
    expect(http.shown('no \u0000hush,\n\u202d really hush-hush', ['really'])).toBe(
      'no [hidden], [hidden] [hidden]-[hidden]',
    );
    expect(http.shown('x'.repeat(1_000))).toHaveLength(301);
  });

  test('keeps no error that quotes a secret', async () => {
    const http = httpTo('http://127.0.0.1:1', { headers: { authorization: 'hush\u0001' } });
    const problem = await problemOf(http.text(get));
    for (let error: unknown = problem; error instanceof Error; error = error.cause) {
      expect(`${error.message} ${error.stack}`).not.toContain('hush');
    }
  });

  test.each(['', 'host', 'ftp://host', 'http://me:hush@host', 'http://host?hush', 'http://host#hush'])(
    'refuses an address that is none, and does not show it: %s',
    (url) => {
      try {
        httpTo(url);
        throw new Error('it was taken');
      } catch (error) {
        expect(error).toMatchObject({ code: 'wallet_invalid' });
        expect((error as Error).message).not.toContain('hush');
      }
    },
  );

  test('calls nothing failed but what is certain', () => {
    expect(outcomeOfProblem(new Error('what is this')).status).toBe('unknown');
    expect(outcomeBefore(new Error('what is this')).status).toBe('failed');
    expect(errorOfProblem(new Error('what is this')).code).toBe('wallet_failed');
  });
});
