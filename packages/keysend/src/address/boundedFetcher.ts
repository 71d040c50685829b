import { KeysendError } from '../keysendError.js';
import { type Schedule, systemSchedule } from '../timing/schedule.js';
import type { Fetched, Fetcher, FetchLimits } from '../value/fetcher.js';
import { checkUrl, type FetchAllowance } from './urlPolicy.js';

/** As much of the platform's `fetch` as is used. */
export type FetchFunction = (url: string, init: RequestInit) => Promise<Response>;

export interface BoundedFetcherOptions {
  /** The platform's where it is absent. In Node.js, use `guardedFetch`, which looks at the addresses of names too. */
  readonly fetch?: FetchFunction;
  readonly allow?: FetchAllowance;
  /** Timers; the platform's where it is absent. */
  readonly schedule?: Schedule;
}

/** Redirections that are followed. */
const maxRedirects = 3;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** Types that nothing here can be: not worth their bytes. */
const refusedTypes = /^\s*(?:audio|video|image|font|multipart)\//i;

/**
 * Gets documents from strangers: HTTPS alone (but what `allow` says), no credentials, at most 3 redirections that are
 * each checked, never more bytes than were allowed (counted as they come, unpacked), never longer than was allowed, and
 * nothing of private networks.
 */
export function boundedFetcher(options: BoundedFetcherOptions = {}): Fetcher {
  const { schedule = systemSchedule, allow } = options;
  const fetchOne = options.fetch ?? ((url, init) => globalThis.fetch(url, init));
  return async (url, limits) => {
    const first = checkUrl(url, { allow });
    const abort = new AbortController();
    const give = (reason: KeysendError): void => abort.abort(reason);
    const stop = (): void => give(new KeysendError('stopped', `fetching from ${first.host} was given up`));
    if (limits.signal?.aborted) stop();
    limits.signal?.addEventListener('abort', stop);
    const cancelTimer = schedule(limits.timeoutMs, () =>
      give(failed(first, `no whole answer within ${limits.timeoutMs / 1000} s`)),
    );
    try {
      // A fetch that does not heed the signal must not keep us.
      return await Promise.race([
        aborted(abort.signal),
        fetchAll({
          url: first,
          limits,
          fetchOne,
          signal: abort.signal,
          ...(allow === undefined ? {} : { allow }),
        }),
      ]);
    } catch (error) {
      if (abort.signal.aborted) throw abort.signal.reason;
      if (error instanceof KeysendError) throw error;
      throw failed(first, reasonOf(error), error);
    } finally {
      cancelTimer();
      limits.signal?.removeEventListener('abort', stop);
      // Ends whatever is still coming.
      stop();
    }
  };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

interface Fetching {
  readonly url: URL;
  readonly limits: FetchLimits;
  readonly fetchOne: FetchFunction;
  readonly signal: AbortSignal;
  readonly allow?: FetchAllowance;
}

async function fetchAll({ url: first, limits, fetchOne, signal, allow }: Fetching): Promise<Fetched> {
  let url = first;
  for (let followed = 0; ; followed++) {
    let response = await fetchOne(url.href, init(signal, 'manual'));
    if (response.type === 'opaqueredirect') {
      // Browsers do not tell where to: they follow by themselves, and where it ended is looked at.
      response = await fetchOne(url.href, init(signal, 'follow'));
      url = checkUrl(response.url, { allow, from: url });
    }
    const location = redirects.has(response.status) ? response.headers.get('location') : null;
    if (location === null) return read(response, url, limits);
    await response.body?.cancel();
    if (followed === maxRedirects) throw failed(first, `it redirects more than ${maxRedirects} times`);
    url = checkUrl(resolveUrl(location, url), { allow, from: url });
  }
}

function resolveUrl(location: string, base: URL): string {
  try {
    return new URL(location, base).href;
  } catch {
    throw failed(base, 'it redirects to nowhere');
  }
}

function init(signal: AbortSignal, redirect: 'manual' | 'follow'): RequestInit {
  return {
    method: 'GET',
    headers: {
      accept: 'application/json, application/rss+xml, application/xml, text/xml, text/plain, */*;q=0.1',
    },
    credentials: 'omit',
    referrerPolicy: 'no-referrer',
    redirect,
    signal,
  };
}

async function read(response: Response, url: URL, limits: FetchLimits): Promise<Fetched> {
  const contentType = (response.headers.get('content-type') ?? '').slice(0, 200);
  const declared = Number(response.headers.get('content-length') ?? 0);
  const refusal = refusedTypes.test(contentType)
    ? `its answer is of a type that is of no use here (${contentType.slice(0, 40)})`
    : declared > limits.maxBytes
      ? tooLarge(limits)
      : undefined;
  if (refusal !== undefined) {
    await response.body?.cancel();
    throw failed(url, refusal);
  }
  const body = await readBody(response, url, limits);
  return { status: response.status, url: url.href, contentType, body };
}

async function readBody(response: Response, url: URL, limits: FetchLimits): Promise<Uint8Array> {
  if (response.body === null) return new Uint8Array();
  const reader = response.body.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > limits.maxBytes) {
      // Not awaited: a body that does not end must not keep us.
      reader.cancel().catch(() => {});
      throw failed(url, tooLarge(limits));
    }
    chunks.push(value);
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}

function tooLarge({ maxBytes }: FetchLimits): string {
  return `its answer has more than ${maxBytes} bytes`;
}

function failed(url: URL, why: string, cause?: unknown): KeysendError {
  return new KeysendError('fetch_failed', `${url.host} could not be read: ${why}`, { cause });
}

/** What the platform says, without what a stranger might have put into it. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = (cause as { code?: unknown }).code;
  return typeof code === 'string' && /^[A-Z_]{3,40}$/.test(code) ? code : 'the connection failed';
}
