import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { ChainError } from '../chainError.js';
import { rpcCodes } from '../regtest/rpcError.js';
import type { HttpClient, HttpResponse } from './httpClient.js';

export interface RpcLogin {
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
  /** Instead of user and password: bitcoind's `.cookie`, which it makes anew at each start. */
  readonly cookiePath?: string;
}

/** What one call may take. */
export interface RpcLimits {
  readonly timeoutMs?: number;
  readonly maxBytes?: number;
  readonly retries?: number;
}

const envelope = z.object({
  result: z.unknown(),
  error: z.object({ code: z.number(), message: z.string() }).nullish(),
});

/** JSON-RPC to one bitcoind. `onOutcome` hears of each call whether bitcoind could be asked, and why not. */
export class RpcClient {
  readonly #login: RpcLogin;
  readonly #http: HttpClient;
  readonly #onOutcome: (failure?: ChainError) => void;

  constructor(options: { login: RpcLogin; http: HttpClient; onOutcome?: (failure?: ChainError) => void }) {
    this.#login = options.login;
    this.#http = options.http;
    this.#onOutcome = options.onOutcome ?? (() => {});
  }

  /**
   * One call. An error answer of bitcoind is `chain_server_error` with its code as `serverCode` and its words
   * as `cause`, `chain_warming_up` while it starts.
   * @throws ChainError
   */
  async call<T>(
    schema: z.ZodType<T>,
    method: string,
    params: readonly unknown[] = [],
    limits: RpcLimits = {},
  ): Promise<T> {
    let answer: z.infer<typeof envelope>;
    try {
      answer = parseAnswer(method, await this.#post(method, { params, limits }));
    } catch (error) {
      if (error instanceof ChainError && error.code !== 'chain_closed') this.#onOutcome(error);
      throw error;
    }
    this.#onOutcome();
    if (answer.error) {
      const { code, message } = answer.error;
      const said = { serverCode: code, cause: message };
      throw new ChainError('chain_server_error', `bitcoind refused ${method}: ${message}`, said);
    }
    const result = schema.safeParse(answer.result);
    if (result.success) return result.data;
    const message = `bitcoind answered ${method} with something unexpected`;
    throw new ChainError('chain_bad_response', message, { cause: result.error });
  }

  async #post(
    method: string,
    { params, limits }: { params: readonly unknown[]; limits: RpcLimits },
  ): Promise<HttpResponse> {
    const body = JSON.stringify({ jsonrpc: '1.0', id: 'rivulet', method, params });
    const send = (authorization: string): Promise<HttpResponse> => {
      const headers = { 'content-type': 'application/json', authorization };
      return this.#http.request(this.#login.url, { method: 'POST', headers, body, ...limits });
    };
    const first = await this.#authorization();
    let response = await send(first);
    if (response.status === 401 && this.#login.cookiePath !== undefined) {
      // bitcoind may have started between the reading of its cookie and the call.
      const second = await this.#authorization();
      if (second !== first) response = await send(second);
    }
    if (response.status === 401) {
      throw new ChainError('chain_unauthorized', 'bitcoind refused the user, password or cookie');
    }
    if (response.status === 403) {
      const message = `bitcoind does not allow ${method} to us: look at its rpcallowip and rpcwhitelist`;
      throw new ChainError('chain_unauthorized', message, { serverCode: 403 });
    }
    return response;
  }

  async #authorization(): Promise<string> {
    const { cookiePath, user = '', password = '' } = this.#login;
    let login = `${user}:${password}`;
    if (cookiePath !== undefined) {
      try {
        login = (await readFile(cookiePath, 'utf8')).trim();
      } catch (cause) {
        const message = `no cookie at ${cookiePath}: is bitcoind running?`;
        throw new ChainError('chain_unauthorized', message, { cause });
      }
    }
    return `Basic ${Buffer.from(login).toString('base64')}`;
  }
}

function parseAnswer(method: string, { status, body }: HttpResponse): z.infer<typeof envelope> {
  let answer: z.infer<typeof envelope>;
  try {
    answer = envelope.parse(JSON.parse(body.toString('utf8')));
  } catch (cause) {
    const message = `bitcoind answered ${method} with HTTP ${status} and no JSON-RPC`;
    throw new ChainError('chain_bad_response', message, { cause, serverCode: status });
  }
  if (answer.error?.code !== rpcCodes.inWarmup) return answer;
  const { code, message } = answer.error;
  throw new ChainError('chain_warming_up', `bitcoind is starting: ${message}`, { serverCode: code });
}
