import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { ChainError } from '../chainError.js';

export interface HttpResponse {
  readonly status: number;
  readonly body: Buffer;
}

export interface HttpClientOptions {
  /** Milliseconds for one attempt. */
  readonly timeoutMs: number;
  /** How often a call that could not be delivered is repeated. */
  readonly retries: number;
}

export interface HttpCall {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  /** Instead of the client's. */
  readonly timeoutMs?: number;
  /** What the answer may have at most. Default: 64 MB */
  readonly maxBytes?: number;
  /** Instead of the client's. */
  readonly retries?: number;
}

/** A transaction of 4 million weight units as verbose JSON, and some. */
const maxResponseBytes = 64 * 1024 * 1024;
const retryDelayMs = 100;
async function* nothing(): AsyncIterable<Uint8Array> {}
/** Worth another attempt: the call did not get through, and the next one may. */
const passingCodes: ReadonlySet<string> = new Set(['chain_unreachable', 'chain_timeout', 'chain_busy']);

/** `fetch` of Node.js gives up after five minutes without an answer; what may take longer goes another way. */
const longestFetchMs = 280_000;

/** One HTTP exchange for which only the signal sets a limit. */
function longRequest(
  url: string,
  {
    body,
    signal,
    ...init
  }: { method?: string; headers?: Record<string, string>; body?: string; signal: AbortSignal },
): Promise<{ status: number; body: AsyncIterable<Uint8Array> }> {
  const start = url.startsWith('https:') ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = start(url, { ...init, signal }, (response: IncomingMessage) => {
      resolve({ status: response.statusCode ?? 0, body: response });
    });
    request.on('error', reject);
    request.end(body);
  });
}

async function readAll(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of body) {
    length += part.length;
    if (length > maxBytes) {
      // Leaving the loop cancels the body: the rest is not read.
      throw new ChainError('chain_bad_response', `the chain server sent more than ${maxBytes} bytes`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Waits, or until the signal is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
}

/**
 * HTTP to one chain server, with a time limit for each attempt. What fails on the way (no connection, no
 * answer, 502 to 504) is tried again: every call of a chain backend may be repeated without harm.
 */
export class HttpClient {
  readonly #options: HttpClientOptions;
  readonly #closing = new AbortController();

  constructor(options: HttpClientOptions) {
    this.#options = options;
  }

  /** Aborted once the client is closed. */
  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  /** Waits, or until the client is closed or the signal aborted. */
  pause(ms: number, signal?: AbortSignal): Promise<void> {
    const closing = this.#closing.signal;
    return pause(ms, signal === undefined ? closing : AbortSignal.any([signal, closing]));
  }

  close(): void {
    this.#closing.abort();
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw new ChainError('chain_closed', 'the chain backend was closed');
  }

  /** @throws ChainError; an HTTP status of any kind is an answer, 429 and 502 to 504 excepted */
  async request(url: string, init: HttpCall = {}): Promise<HttpResponse> {
    for (let attempt = 0; ; attempt++) {
      this.#checkOpen();
      try {
        return await this.#attempt(url, init);
      } catch (error) {
        const again = error instanceof ChainError && passingCodes.has(error.code);
        if (!again || attempt >= (init.retries ?? this.#options.retries)) throw error;
      }
      await this.pause(retryDelayMs * 2 ** attempt);
    }
  }

  async #attempt(url: string, init: HttpCall): Promise<HttpResponse> {
    const { timeoutMs = this.#options.timeoutMs, maxBytes = maxResponseBytes, retries: _, ...request } = init;
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const signal = AbortSignal.any([timeout, this.#closing.signal]);
      const response = await (timeoutMs > longestFetchMs
        ? longRequest(url, { ...request, signal })
        : fetch(url, { ...request, signal, redirect: 'error' }));
      const body = await readAll(response.body ?? nothing(), maxBytes);
      const { status } = response;
      if (status === 429 || status === 503) {
        const said = body.toString('utf8', 0, 100).trim();
        const message = `the chain server has too much to do (HTTP ${status}${said === '' ? '' : `: ${said}`})`;
        throw new ChainError('chain_busy', message, { serverCode: status });
      }
      if (status === 502 || status === 504) {
        throw new ChainError('chain_unreachable', `the chain server answered with HTTP ${status}`, {
          serverCode: status,
        });
      }
      return { status, body };
    } catch (cause) {
      if (cause instanceof ChainError) throw cause;
      this.#checkOpen();
      const host = new URL(url).host;
      if (timeout.aborted) {
        throw new ChainError('chain_timeout', `${host} did not answer within ${timeoutMs} ms`, { cause });
      }
      throw new ChainError('chain_unreachable', `no connection to the chain server at ${host}`, { cause });
    }
  }
}
