import { z } from 'zod';
import { errorBody } from '../contract/apiError.js';
import {
  type Endpoint,
  type EndpointName,
  endpoints,
  eventsPath,
  type RequestOf,
  type ResponseOf,
} from '../contract/endpoints.js';
import { type NodeEvent, nodeEvent, streamEvent } from '../contract/nodeEvent.js';
import { ClientError } from './clientError.js';
import { readLines } from './readLines.js';

export interface CallOptions {
  readonly signal?: AbortSignal;
}

type Method<N extends EndpointName> =
  Record<never, never> extends RequestOf<N>
    ? (request?: RequestOf<N>, options?: CallOptions) => Promise<ResponseOf<N>>
    : (request: RequestOf<N>, options?: CallOptions) => Promise<ResponseOf<N>>;

/** One method for each endpoint, and the stream of events. */
export type RivuletClient = { readonly [N in EndpointName]: Method<N> } & {
  /**
   * Events from now on. The stream is established when this resolves. Iterating ends when the daemon
   * stops or `signal` aborts, and throws a ClientError when the connection breaks; it does not reconnect.
   */
  events(options?: CallOptions): Promise<AsyncIterableIterator<NodeEvent>>;
};

export interface ClientOptions {
  /** For example `http://127.0.0.1:9736`. */
  readonly url: string;
  /** The daemon's API token. */
  readonly token: string;
  readonly fetch?: typeof fetch;
}

/**
 * A client of a daemon's API. Every method rejects with a ClientError.
 * @example
 * const client = createClient({ url, token });
 * await client.keysend({ nodeId, amountMsat: 21_000n, message: 'hello' });
 */
export function createClient(options: ClientOptions): RivuletClient {
  const methods = Object.fromEntries(
    Object.keys(endpoints).map((name) => [
      name,
      (request: Record<string, unknown> = {}, call: CallOptions = {}) =>
        callEndpoint(options, { endpoint: endpoints[name as EndpointName], request, ...call }),
    ]),
  );
  // The mapped type states for each name what the loop does for all of them.
  return { ...methods, events: (call = {}) => openEvents(options, call) } as RivuletClient;
}

async function send(options: ClientOptions, path: string, init: RequestInit): Promise<Response> {
  const { url, token } = options;
  let response: Response;
  try {
    response = await (options.fetch ?? fetch)(new URL(path, url), {
      ...init,
      redirect: 'error',
      headers: { ...init.headers, authorization: `Bearer ${token}` },
    });
  } catch (cause) {
    if (init.signal?.aborted === true) throw cause;
    if (neverConnected(cause)) {
      throw new ClientError('daemon_unreachable', `no daemon answers at ${url}`, { cause });
    }
    throw new ClientError('connection_lost', 'the connection to the daemon broke before its answer', {
      cause,
    });
  }
  if (!response.ok) throw await errorOf(response);
  return response;
}

/** Whether `fetch` failed before it could send anything; Node says so in the error's cause. */
function neverConnected(error: unknown): boolean {
  const code = (error as { cause?: { code?: unknown } }).cause?.code;
  return ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'UND_ERR_CONNECT_TIMEOUT'].includes(
    String(code),
  );
}

async function errorOf(response: Response): Promise<ClientError> {
  const { status } = response;
  try {
    const { error } = errorBody.parse(await response.json());
    return new ClientError(error.code, error.message, { status, details: error.details });
  } catch (cause) {
    return new ClientError('response_invalid', `the answer (HTTP ${status}) is not one of a Rivulet daemon`, {
      status,
      cause,
    });
  }
}

async function callEndpoint(
  options: ClientOptions,
  given: { endpoint: Endpoint; request: Record<string, unknown>; signal?: AbortSignal },
): Promise<unknown> {
  const { endpoint, request, signal } = given;
  const encoded = z.safeEncode(endpoint.request, request);
  if (!encoded.success) {
    const [issue] = encoded.error.issues;
    const field = issue?.path.join('.') ?? '';
    const message = `${field === '' ? 'the request' : field}: ${issue?.message ?? 'not allowed'}`;
    throw new ClientError('request_invalid', message, { cause: encoded.error });
  }
  const init = { method: endpoint.method, ...(signal === undefined ? {} : { signal }) };
  const isGet = endpoint.method === 'GET';
  const response = await send(
    options,
    isGet ? `${endpoint.path}${queryString(encoded.data)}` : endpoint.path,
    isGet
      ? init
      : { ...init, body: JSON.stringify(encoded.data), headers: { 'content-type': 'application/json' } },
  );
  let body: unknown;
  try {
    body = await response.json();
  } catch (cause) {
    if (signal?.aborted === true) throw cause;
    throw new ClientError('connection_lost', 'the connection broke in the middle of an answer', { cause });
  }
  return decode(endpoint.response, body);
}

function queryString(fields: Record<string, unknown>): string {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  if (given.length === 0) return '';
  return `?${new URLSearchParams(given.map(([key, value]): [string, string] => [key, String(value)]))}`;
}

function decode<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const decoded = schema.safeParse(body);
  if (decoded.success) return decoded.data;
  throw new ClientError(
    'response_invalid',
    'the answer does not fit the contract: daemon and client are of different versions',
    { cause: decoded.error },
  );
}

async function openEvents(
  options: ClientOptions,
  call: CallOptions,
): Promise<AsyncIterableIterator<NodeEvent>> {
  const { signal } = call;
  const response = await send(options, eventsPath, {
    headers: { accept: 'application/x-ndjson' },
    ...(signal === undefined ? {} : { signal }),
  });
  return iterateEvents(response, signal);
}

async function* iterateEvents(
  response: Response,
  signal: AbortSignal | undefined,
): AsyncGenerator<NodeEvent, undefined> {
  try {
    for await (const line of readLines(response.body, signal)) {
      const body: unknown = JSON.parse(line);
      const own = streamEvent.safeParse(body);
      if (!own.success) yield decode(nodeEvent, body);
      else if (own.data.type === 'lagged') {
        throw new ClientError(
          'events_lagged',
          'this reader of events was too slow and missed some: ask again',
        );
      }
    }
  } catch (cause) {
    if (signal?.aborted === true) return undefined;
    if (cause instanceof ClientError) throw cause;
    throw new ClientError('connection_lost', 'the stream of events broke', { cause });
  }
  return undefined;
}
