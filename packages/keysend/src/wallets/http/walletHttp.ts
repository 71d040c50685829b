import { KeysendError } from '../../keysendError.js';
import { type Schedule, systemSchedule } from '../../timing/schedule.js';
import { verdictOfFetchError, verdictOfStatus } from './classify.js';
import { Deadline } from './deadline.js';
import { shownText, tellsOf } from './hideSecrets.js';
import { HttpProblem } from './httpProblem.js';
import { BodyTooLarge, readLines, readText } from './readBody.js';

/** What of `fetch` is used: the browser's, that of Node.js, or one that trusts a certificate of its own. */
export type WalletFetch = (url: string, init: RequestInit) => Promise<Response>;

export interface WalletHttpOptions {
  /** As people call it in a message: `the LND node`. */
  readonly name: string;
  /** http or https, without credentials. A path is kept. */
  readonly url: string;
  /** With every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** Never to be in a message, even if the server sends them back. */
  readonly secrets: readonly string[];
  readonly fetch?: WalletFetch | undefined;
  readonly schedule?: Schedule | undefined;
  /** Of one request; 30,000 where it is absent. */
  readonly timeoutMs?: number | undefined;
  /** Of one answer, and of one line; 4,000,000 where it is absent. */
  readonly maxBytes?: number | undefined;
  /** What this server's answers other than 2xx say, where it is more than their status. */
  readonly explain?: ((status: number, body: string) => HttpProblem | undefined) | undefined;
}

export interface WalletHttpRequest {
  readonly method: 'GET' | 'POST';
  /** Begins with a slash; with the query. */
  readonly path: string;
  readonly json?: unknown;
  readonly form?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  /** Instead of the server's. */
  readonly maxBytes?: number;
  readonly signal?: AbortSignal | undefined;
  /** Of this request, to be hidden as well. */
  readonly secrets?: readonly string[];
}

/**
 * HTTP to the server of one wallet. Nothing is tried again here: a request may move money. What fails is an
 * HttpProblem that says whether the request can have been carried out.
 */
export class WalletHttp {
  readonly #options: WalletHttpOptions;
  readonly #base: string;
  readonly #fetch: WalletFetch;
  readonly #schedule: Schedule;

  /** @throws KeysendError `wallet_invalid` */
  constructor(options: WalletHttpOptions) {
    this.#options = options;
    this.#base = baseOf(options);
    this.#fetch = options.fetch ?? ((url, init) => globalThis.fetch(url, init));
    this.#schedule = options.schedule ?? systemSchedule;
  }

  /** Text of the server, or of a request, to be shown to people. */
  shown(text: string, secrets: readonly string[] = []): string {
    return shownText(text, [...this.#options.secrets, ...secrets]);
  }

  /** @throws HttpProblem: for everything but an answer of 2xx that came whole. */
  async text(request: WalletHttpRequest): Promise<string> {
    return this.#exchange(request, async (response) => {
      const maxBytes = request.maxBytes ?? this.#options.maxBytes ?? 4_000_000;
      const body = await readText(response.body, maxBytes);
      if (!response.ok) throw this.#problemOfAnswer(response.status, body, request);
      return body;
    });
  }

  /** @throws HttpProblem; an answer that is no JSON leaves open whether the request was carried out. */
  async json(request: WalletHttpRequest): Promise<unknown> {
    return this.parse(await this.text(request));
  }

  /** @throws HttpProblem */
  parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      throw this.notUnderstood();
    }
  }

  /** Of an answer that says something else than it should. */
  notUnderstood(): HttpProblem {
    const message = `${this.#options.name} gave an answer that was not understood: is this its address?`;
    return new HttpProblem(message, { certain: false, failure: 'other' });
  }

  /**
   * The lines of an answer that is a stream, each of bounded length. It ends when the server ends it, and throws
   * when it breaks. A timeout is for all of it; none where it is absent.
   * @throws HttpProblem
   */
  async *lines(request: WalletHttpRequest): AsyncGenerator<string, undefined> {
    const deadline = this.#begin(request, request.timeoutMs);
    try {
      const response = await this.#send(request, deadline);
      const maxBytes = request.maxBytes ?? this.#options.maxBytes ?? 4_000_000;
      if (!response.ok) {
        const body = await deadline.race(readText(response.body, maxBytes));
        throw this.#problemOfAnswer(response.status, body, request);
      }
      const lines = readLines(response.body, maxBytes);
      try {
        for (;;) {
          const next = await deadline.race(lines.next());
          if (next.done === true) return undefined;
          yield next.value;
        }
      } finally {
        // Not waited for: where the deadline has passed, it hangs in a read that only the abort ends.
        void lines.return(undefined).catch(() => {});
      }
    } catch (error) {
      throw this.#problemOf(error, deadline);
    } finally {
      deadline.end();
    }
  }

  async #exchange<T>(request: WalletHttpRequest, read: (response: Response) => Promise<T>): Promise<T> {
    const deadline = this.#begin(request, request.timeoutMs ?? this.#options.timeoutMs ?? 30_000);
    try {
      return await deadline.race(read(await this.#send(request, deadline)));
    } catch (error) {
      throw this.#problemOf(error, deadline);
    } finally {
      deadline.end();
    }
  }

  #begin({ signal }: WalletHttpRequest, timeoutMs: number | undefined): Deadline {
    if (signal?.aborted === true) {
      const fields = { certain: true, aborted: true, failure: 'other', retryable: true } as const;
      throw new HttpProblem(`stopped before ${this.#options.name} was asked`, fields);
    }
    return new Deadline(this.#schedule, { timeoutMs, signal });
  }

  #send({ method, path, json, form }: WalletHttpRequest, deadline: Deadline): Promise<Response> {
    const headers: Record<string, string> = { ...this.#options.headers, accept: 'application/json' };
    let body: string | undefined;
    if (json !== undefined) {
      headers['content-type'] = 'application/json';
      body = JSON.stringify(json);
    } else if (form !== undefined) {
      headers['content-type'] = 'application/x-www-form-urlencoded';
      body = new URLSearchParams(form).toString();
    }
    const init: RequestInit = {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
      signal: deadline.signal,
      // Never followed: the credentials are for this server.
      redirect: 'manual',
      credentials: 'omit',
    };
    // Whatever throws before there is a promise has sent nothing, but it is not told apart: open is safe.
    return deadline.race(this.#fetch(`${this.#base}${path}`, init));
  }

  #problemOfAnswer(status: number, body: string, request: WalletHttpRequest): HttpProblem {
    const explained = this.#options.explain?.(status, body);
    if (explained !== undefined) {
      const { certain, failure, retryable } = explained;
      const message = this.shown(explained.message, request.secrets);
      return new HttpProblem(message, { certain, failure, retryable, status, body });
    }
    const { says, ...verdict } = verdictOfStatus(status);
    // A proxy that misses its page for broken connections says instead that nothing is there.
    const isPage = (status === 404 || status === 405) && /^\s*</.test(body);
    const certain = verdict.certain && !isPage;
    return new HttpProblem(`${this.#options.name} ${says}`, { ...verdict, certain, status, body });
  }

  #problemOf(error: unknown, deadline: Deadline): HttpProblem {
    if (error instanceof HttpProblem) return error;
    const { name } = this.#options;
    if (deadline.expired) {
      const message = `${name} did not answer within ${Math.ceil((deadline.timeoutMs ?? 0) / 1000)} seconds`;
      return new HttpProblem(message, { certain: false, failure: 'timeout', retryable: true });
    }
    if (deadline.signal.aborted) {
      const fields = { certain: false, aborted: true, failure: 'other' } as const;
      return new HttpProblem(`stopped before ${name} had answered`, fields);
    }
    if (error instanceof BodyTooLarge) {
      const message = `${name} gave an answer that is too long: ${error.message}`;
      return new HttpProblem(message, { certain: false, failure: 'other' });
    }
    const { says, ...verdict } = verdictOfFetchError(error);
    // Platforms quote headers that they do not take.
    const isShown = !tellsOf(error, this.#options.secrets);
    return new HttpProblem(`${name} ${says}`, { ...verdict, ...(isShown ? { cause: error } : {}) });
  }
}

/** @throws KeysendError `wallet_invalid`; without the URL, which may have a password in it. */
function baseOf({ name, url }: WalletHttpOptions): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new KeysendError('wallet_invalid', `the address of ${name} is no URL: give https://host:port`);
  }
  if (parsed.protocol !== 'https:' && parsed.protocol !== 'http:') {
    throw new KeysendError('wallet_invalid', `the address of ${name} begins with https:// or http://`);
  }
  if (parsed.username !== '' || parsed.password !== '' || parsed.search !== '' || parsed.hash !== '') {
    const message = `the address of ${name} is a host and a port alone: credentials are given apart from it`;
    throw new KeysendError('wallet_invalid', message);
  }
  return `${parsed.origin}${parsed.pathname.replace(/\/+$/, '')}`;
}
