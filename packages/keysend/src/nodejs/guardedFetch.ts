import { lookup as dnsLookup } from 'node:dns/promises';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { LookupFunction } from 'node:net';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { type BoundedFetcherOptions, boundedFetcher, type FetchFunction } from '../address/boundedFetcher.js';
import { classifyHost, classifyIp } from '../address/hostClass.js';
import { checkClass, checkUrl, type FetchAllowance } from '../address/urlPolicy.js';
import { KeysendError } from '../keysendError.js';
import type { Fetcher } from '../value/fetcher.js';

export interface ResolvedAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

export interface GuardedFetchOptions {
  readonly allow?: FetchAllowance;
  /** All addresses of a name; the system's resolver where it is absent. */
  readonly lookup?: (hostname: string) => Promise<readonly ResolvedAddress[]>;
  /** Authorities besides the platform's, PEM. */
  readonly ca?: string;
}

/**
 * A `fetch` for servers, safe against server-side request forgery: the name is resolved once, all of its addresses are
 * checked (one that is not on the internet makes it refuse the name), and the connection goes to just those, so that a
 * name that resolves to something else a moment later leads nowhere. It follows no redirection, keeps no connection,
 * uses no proxy, and unpacks gzip as it is read. `boundedFetcher` sets the limits; `guardedFetcher` is both.
 * @throws KeysendError `fetch_refused`; whatever the connection fails with.
 */
export function guardedFetch({ allow, lookup = systemLookup, ca }: GuardedFetchOptions = {}): FetchFunction {
  return async (text, init) => {
    const url = checkUrl(text, { allow });
    const pinned = await resolve(url, { allow, lookup });
    const body = bodyOf(init);
    const response = await new Promise<IncomingMessage>((done, reject) => {
      const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
      const request: ClientRequest = send(
        url,
        {
          method: init.method ?? 'GET',
          headers: {
            'user-agent': 'rivulet',
            ...Object.fromEntries(new Headers(init.headers)),
            'accept-encoding': 'gzip',
            ...(body === undefined ? {} : { 'content-length': String(body.length) }),
          },
          // A connection of its own, from nobody's pool and through no proxy of the environment.
          agent: false,
          lookup: pinned,
          maxHeaderSize: 16_384,
          ...(init.signal ? { signal: init.signal } : {}),
          ...(ca === undefined ? {} : { ca }),
        },
        done,
      );
      request.on('error', reject);
      request.end(body);
    });
    return toResponse(response);
  };
}

/** Gets documents from strangers within bounds, from a server: `boundedFetcher` over `guardedFetch`. */
export function guardedFetcher({
  schedule,
  ...options
}: GuardedFetchOptions & Pick<BoundedFetcherOptions, 'schedule'> = {}): Fetcher {
  return boundedFetcher({
    fetch: guardedFetch(options),
    ...(options.allow === undefined ? {} : { allow: options.allow }),
    ...(schedule === undefined ? {} : { schedule }),
  });
}

async function systemLookup(hostname: string): Promise<ResolvedAddress[]> {
  const found = await dnsLookup(hostname, { all: true, verbatim: true });
  return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
}

/** What the connection is told when it asks for the name's addresses. */
async function resolve(
  url: URL,
  {
    allow,
    lookup,
  }: { allow: FetchAllowance | undefined; lookup: NonNullable<GuardedFetchOptions['lookup']> },
): Promise<LookupFunction> {
  // Addresses are never looked up, and were checked with the URL.
  if (url.hostname.startsWith('[') || /^[\d.]+$/.test(url.hostname)) {
    return (_hostname, _options, callback) => callback(new Error('an address needs no lookup'), '', 4);
  }
  const addresses = await lookup(url.hostname);
  const [first] = addresses;
  if (first === undefined) throw new KeysendError('fetch_failed', `${url.host} has no address`);
  const hostClass = classifyHost(url.hostname);
  for (const { address } of addresses) {
    const what = `${url.host} is at ${address}, which`;
    const addressClass = classifyIp(address);
    // A name of the internet may be anybody's: it does not lead to this machine, whatever is allowed.
    if (addressClass === 'loopback' && hostClass !== 'loopback') checkClass(addressClass, { what });
    checkClass(addressClass, { allow, what });
  }
  const all = addresses.map(({ address, family }) => ({ address, family }));
  return (_hostname, options, callback) => {
    if (options.all === true) callback(null, all);
    else callback(null, first.address, first.family);
  };
}

function bodyOf({ body }: RequestInit): Uint8Array | undefined {
  if (body === undefined || body === null) return undefined;
  if (typeof body === 'string') return new TextEncoder().encode(body);
  if (body instanceof Uint8Array) return body;
  throw new KeysendError('request_invalid', 'the body of a guarded request is a text or bytes');
}

/** Statuses whose answers have no body. */
const bodiless: ReadonlySet<number> = new Set([204, 205, 304]);

function toResponse(message: IncomingMessage): Response {
  const status = message.statusCode ?? 0;
  const headers = new Headers();
  for (const [name, value] of Object.entries(message.headers)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item !== undefined) headers.append(name, item);
    }
  }
  if (status < 200 || status > 599) {
    message.destroy();
    throw new KeysendError('fetch_failed', `its answer has status ${status}`);
  }
  if (bodiless.has(status)) {
    message.resume();
    return new Response(null, { status, headers });
  }
  const encoding = headers.get('content-encoding') ?? 'identity';
  const bytes = Readable.toWeb(message) as ReadableStream<Uint8Array>;
  if (encoding === 'identity') return new Response(bytes, { status, headers });
  if (encoding !== 'gzip' && encoding !== 'x-gzip') {
    message.destroy();
    throw new KeysendError('fetch_failed', 'its answer is packed in a way that was not asked for');
  }
  // What it says is the length of what is packed.
  headers.delete('content-length');
  const unpacked: ReadableStream<Uint8Array> = bytes.pipeThrough(new DecompressionStream('gzip'));
  return new Response(unpacked, { status, headers });
}
