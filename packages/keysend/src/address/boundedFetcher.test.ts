import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { guardedFetch, guardedFetcher } from '../nodejs/guardedFetch.js';
import type { Fetcher } from '../value/fetcher.js';
import { boundedFetcher } from './boundedFetcher.js';
import { manualTimers, serve } from './servers.test.support.js';

const limits = { maxBytes: 1000, timeoutMs: 5000 };
const allow = { loopback: true };
const refused = expect.objectContaining({ code: 'fetch_refused' });
const failed = expect.objectContaining({ code: 'fetch_failed' });
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

describe.each<[string, (options?: Parameters<typeof boundedFetcher>[0]) => Fetcher]>([
  ['over the platform’s fetch', (options) => boundedFetcher({ allow, ...options })],
  [
    'over the guarded fetch',
    (options) => boundedFetcher({ allow, ...options, fetch: guardedFetch({ allow }) }),
  ],
])('the bounded fetcher %s', (_name, create) => {
  test('gives a whole document, of any status, with its type and where it was', async () => {
    const host = await serve((request, response) => {
      expect(request.headers.cookie).toBeUndefined();
      expect(request.headers.authorization).toBeUndefined();
      expect(request.headers.referer).toBeUndefined();
      response.writeHead(request.url === '/a' ? 200 : 404, { 'content-type': 'text/xml; charset=utf-8' });
      response.end('<a/>');
    });
    const fetched = await create()(`http://${host}/a`, limits);
    expect({ ...fetched, body: text(fetched.body) }).toEqual({
      status: 200,
      url: `http://${host}/a`,
      contentType: 'text/xml; charset=utf-8',
      body: '<a/>',
    });
    expect((await create()(`http://${host}/b`, limits)).status).toBe(404);
  });

  test('follows three redirections, and no more', async () => {
    let asked = 0;
    const host = await serve((request, response) => {
      asked++;
      const left = Number(request.url?.slice(1));
      if (left === 0) return response.end('there');
      response.writeHead(left % 2 === 0 ? 302 : 308, { location: `/${left - 1}` });
      response.end('x'.repeat(5000));
    });
    const fetched = await create()(`http://${host}/3`, limits);
    expect([text(fetched.body), fetched.url]).toEqual(['there', `http://${host}/0`]);
    asked = 0;
    await expect(create()(`http://${host}/100`, limits)).rejects.toThrow(failed);
    expect(asked).toBe(4);
  });

  test('refuses redirections to where it may not go', async () => {
    for (const location of [
      'https://10.0.0.1/',
      'http://example.com/',
      'file:///etc/passwd',
      'http://[::1',
      '//u:p@x.com/',
    ]) {
      const host = await serve((_request, response) => {
        response.writeHead(302, { location });
        response.end();
      });
      const error: unknown = await create()(`http://${host}/`, limits).catch((reason: unknown) => reason);
      expect(['fetch_refused', 'fetch_failed']).toContain((error as { code: string }).code);
    }
  });

  test('stops reading a body that is too large: declared, without end, or unpacked', async () => {
    let written = 0;
    const endless = await serve((_request, response) => {
      const more = () => {
        written += 10_000;
        if (!response.destroyed && response.write(Buffer.alloc(10_000))) setImmediate(more);
        else response.once('drain', more);
      };
      more();
    });
    await expect(create()(`http://${endless}/`, limits)).rejects.toThrow(failed);
    expect(written).toBeLessThan(20_000_000);

    const declared = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': '1000000' });
      response.write('x');
    });
    await expect(create()(`http://${declared}/`, limits)).rejects.toThrow(failed);

    const bomb = gzipSync(Buffer.alloc(50_000_000));
    const packed = await serve((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'application/json' });
      response.end(bomb);
    });
    await expect(create()(`http://${packed}/`, { ...limits, maxBytes: 100_000 })).rejects.toThrow(failed);
  });

  test('takes just as many bytes as are allowed, unpacked', async () => {
    const host = await serve((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' });
      response.end(gzipSync('y'.repeat(1000)));
    });
    expect((await create()(`http://${host}/`, limits)).body).toHaveLength(1000);
    await expect(create()(`http://${host}/`, { ...limits, maxBytes: 999 })).rejects.toThrow(failed);
  });

  test('gives up when the time is over: before the answer, and in the middle of its body', async () => {
    const arrived: ServerResponse[] = [];
    let onRequest = (): void => {};
    const host = await serve((request, response) => {
      arrived.push(response);
      if (request.url === '/body') response.write('begin');
      onRequest();
    });
    for (const path of ['/silent', '/body']) {
      const timers = manualTimers();
      const asked = new Promise<void>((resolve) => {
        onRequest = resolve;
      });
      const fetching = create({ schedule: timers.schedule })(`http://${host}${path}`, limits);
      fetching.catch(() => {});
      await asked;
      expect(timers.pending).toBe(1);
      timers.fire();
      await expect(fetching).rejects.toThrow(
        expect.objectContaining({ code: 'fetch_failed', message: expect.stringContaining('5 s') }),
      );
      // The connection is gone too.
      const response = arrived.at(-1) as ServerResponse;
      if (!response.destroyed) await once(response, 'close');
    }
  });

  test('stops when it is told to, and leaves no timer', async () => {
    const abort = new AbortController();
    const timers = manualTimers();
    const host = await serve(() => abort.abort());
    const stopped = expect.objectContaining({ code: 'stopped' });
    const fetcher = create({ schedule: timers.schedule });
    await expect(fetcher(`http://${host}/`, { ...limits, signal: abort.signal })).rejects.toThrow(stopped);
    await expect(fetcher(`http://${host}/`, { ...limits, signal: abort.signal })).rejects.toThrow(stopped);
    expect(timers.pending).toBe(0);
  });

  test('refuses media, and says plainly when nobody answers', async () => {
    const host = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'audio/mpeg' });
      response.end('ID3');
    });
    await expect(create()(`http://${host}/`, limits)).rejects.toThrow(failed);
    const closed = await serve((request) => request.socket.destroy());
    await expect(create()(`http://${closed}/`, limits)).rejects.toThrow(failed);
  });

  test('reaches nothing on this machine where that is not allowed', async () => {
    let asked = 0;
    const host = await serve((_request, response) => {
      asked++;
      response.end('secret');
    });
    await expect(create({ allow: {} })(`http://${host}/`, limits)).rejects.toThrow(refused);
    expect(asked).toBe(0);
  });
});

describe('in browsers, which do not tell where a redirection leads', () => {
  test('looks at where it ended', async () => {
    const answers = (final: string) => async (_url: string, init: RequestInit) => {
      if (init.redirect === 'manual') return { type: 'opaqueredirect' } as Response;
      const response = new Response('{}', { status: 200 });
      Object.defineProperty(response, 'url', { value: final });
      return response;
    };
    const to = (final: string) => boundedFetcher({ fetch: answers(final) })('https://example.com/', limits);
    expect((await to('https://www.example.com/a')).url).toBe('https://www.example.com/a');
    await expect(to('http://www.example.com/')).rejects.toThrow(refused);
    await expect(to('https://localhost/')).rejects.toThrow(refused);
  });
});

describe('the guarded fetch', () => {
  const at = (...addresses: string[]) => ({
    lookup: async () =>
      addresses.map((address) => ({ address, family: address.includes(':') ? (6 as const) : (4 as const) })),
  });

  test('refuses a name with any address that is not on the internet, before it connects', async () => {
    let asked = 0;
    const host = await serve(() => asked++);
    const port = host.split(':')[1];
    for (const addresses of [
      ['127.0.0.1'],
      ['10.0.0.1'],
      ['::1'],
      ['::ffff:127.0.0.1'],
      ['1.1.1.1', '169.254.169.254'],
    ]) {
      for (const allowance of [{}, { loopback: true }]) {
        const fetcher = guardedFetcher({ ...at(...addresses), allow: allowance });
        await expect(fetcher(`https://feeds.example.com:${port}/`, limits), addresses.join()).rejects.toThrow(
          refused,
        );
      }
    }
    expect(asked).toBe(0);
  });

  test('goes to the address that was checked, and asks for it once: what the name is a moment later does not matter', async () => {
    const host = await serve((request, response) => response.end(request.headers.host));
    let lookups = 0;
    const lookup = async () => {
      lookups++;
      return [{ address: lookups === 1 ? '127.0.0.1' : '10.0.0.1', family: 4 as const }];
    };
    // A name that no resolver knows: only what was checked can lead to the server.
    const url = `http://rebinding.localhost:${host.split(':')[1]}/`;
    const fetched = await guardedFetcher({ allow, lookup })(url, limits);
    expect(text(fetched.body)).toBe(`rebinding.localhost:${host.split(':')[1]}`);
    expect(lookups).toBe(1);
    await expect(guardedFetcher({ allow, lookup })(url, limits)).rejects.toThrow(refused);
  });

  test('does not take packing that was not asked for, and fails where a name has no address', async () => {
    const host = await serve((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'br' });
      response.end('x');
    });
    await expect(guardedFetcher({ allow })(`http://${host}/`, limits)).rejects.toThrow(failed);
    await expect(guardedFetcher(at())('https://example.com/', limits)).rejects.toThrow(failed);
  });

  test('sends what it is given, for those who post', async () => {
    const host = await serve(async (request, response) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of request) chunks.push(chunk as Uint8Array);
      response.end(`${request.method} ${request.headers['x-a']} ${Buffer.concat(chunks)}`);
    });
    const init = { method: 'POST', headers: { 'x-a': 'b' }, body: 'körper' };
    const response = await guardedFetch({ allow })(`http://${host}/`, init);
    expect(await response.text()).toBe('POST b körper');
  });
});
