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

/** A block of 4 million weight units in hex inside JSON, and some. */
const maxResponseBytes = 64 * 1024 * 1024;
const retryDelayMs = 100;

async function readAll(response: Response): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > maxResponseBytes) {
      throw new ChainError('chain_bad_response', 'the chain server sent more than 64 MB');
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
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

  /** Waits, or until the client is closed. */
  pause(ms: number): Promise<void> {
    return pause(ms, this.#closing.signal);
  }

  close(): void {
    this.#closing.abort();
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw new ChainError('chain_closed', 'the chain backend was closed');
  }

  /** @throws ChainError; an HTTP status of any kind is an answer, 502 to 504 excepted */
  async request(
    url: string,
    init: { method?: string; headers?: Record<string, string>; body?: string; timeoutMs?: number } = {},
  ): Promise<HttpResponse> {
    for (let attempt = 0; ; attempt++) {
      this.#checkOpen();
      try {
        return await this.#attempt(url, init);
      } catch (error) {
        const again = error instanceof ChainError && /unreachable|timeout/.test(error.code);
        if (!again || attempt >= this.#options.retries) throw error;
      }
      await this.pause(retryDelayMs * 2 ** attempt);
    }
  }

  async #attempt(
    url: string,
    init: { method?: string; headers?: Record<string, string>; body?: string; timeoutMs?: number },
  ): Promise<HttpResponse> {
    const { timeoutMs = this.#options.timeoutMs, ...request } = init;
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const signal = AbortSignal.any([timeout, this.#closing.signal]);
      const response = await fetch(url, { ...request, signal, redirect: 'error' });
      const body = await readAll(response);
      if (response.status >= 502 && response.status <= 504) {
        const { status } = response;
        throw new ChainError('chain_unreachable', `the chain server answered with HTTP ${status}`, {
          serverCode: status,
        });
      }
      return { status: response.status, body };
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
