import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { RivuletError } from '@rivulet/core/bytes';
import {
  type Endpoint,
  type EndpointName,
  endpoints,
  eventsPath,
  type NodeService,
  serverErrorStatus,
} from '@rivulet/sdk';
import { z } from 'zod';
import { BodyError, readBody } from '../http/readBody.js';
import type { Logger } from '../logging/logger.js';
import { formatAddress } from '../peers/ipAddress.js';
import { type Scheduler, systemScheduler } from '../peers/scheduler.js';
import { isSameToken, loadOrCreateToken, removeApiFile, writeApiFile } from './apiFiles.js';
import { ApiServerError, RequestError } from './apiServerError.js';
import { type EventStreamLimits, EventStreams } from './eventStreams.js';

interface ApiLimits extends EventStreamLimits {
  readonly maxBodyBytes: number;
  readonly bodyTimeoutMs: number;
  /** How long a connection that is being closed may linger. */
  readonly closeGraceMs: number;
}

const defaultLimits: ApiLimits = {
  maxBodyBytes: 64 * 1024,
  bodyTimeoutMs: 10_000,
  closeGraceMs: 1_000,
  maxStreams: 32,
  maxBufferedBytes: 1024 * 1024,
  heartbeatMs: 15_000,
};

export interface ApiServerOptions {
  readonly service: NodeService;
  /** Where the token and api.json are. */
  readonly dataDir: string;
  /** Loopback. */
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly logger: Logger;
  readonly scheduler?: Scheduler;
  readonly limits?: Partial<ApiLimits>;
}

export interface ApiServer {
  readonly url: string;
  /** Answers what is under way, ends the event streams and removes api.json. */
  close(): Promise<void>;
}

interface Route {
  readonly endpoint: Endpoint;
  readonly call: (request: unknown) => Promise<unknown>;
}

/**
 * Serves the contract of the sdk over HTTP to programs of this machine that know the token, and writes
 * api.json, so that they find it.
 * @throws ApiServerError
 */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { service, dataDir, logger } = options;
  const scheduler = options.scheduler ?? systemScheduler;
  const limits = { ...defaultLimits, ...options.limits };
  const handler = new RequestHandler({
    service,
    token: loadOrCreateToken(dataDir),
    hosts: new Set(['localhost', '127.0.0.1', '[::1]', formatHost(options.host)]),
    logger,
    scheduler,
    limits,
  });
  const server = createServer(
    { maxHeaderSize: 8 * 1024, headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 5_000 },
    (request, response) => {
      handler.handle(request, response).catch((error) => {
        // Our own fault: it costs this answer, and not the node its life.
        logger.error({ err: error }, 'a request could not be answered');
        response.destroy();
      });
    },
  );
  server.maxConnections = 256;
  // Connections that clients open in advance: Node does not count them as idle when it closes.
  const unused = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  server.on('request', ({ socket }: IncomingMessage) => unused.delete(socket));
  const port = await listen(server, options);
  const url = `http://${formatAddress(options.host, port)}`;
  writeApiFile(dataDir, { url, pid: process.pid });
  logger.info({ url }, 'the API listens');
  return {
    url,
    async close() {
      removeApiFile(dataDir);
      handler.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      for (const socket of unused) socket.destroy();
      const cancel = scheduler.schedule(limits.closeGraceMs, () => server.closeAllConnections());
      await closed;
      cancel();
    },
  };
}

function formatHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function listen(server: Server, { host, port }: { host: string; port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const where = formatAddress(host, port);
      const inUse = error.code === 'EADDRINUSE';
      const message = inUse
        ? `the API cannot listen on ${where}: another program uses that port. Stop it, or choose another port (api.port, --api-port, or 0 for any that is free)`
        : `the API cannot listen on ${where} (${error.code}): choose a loopback address and a port above 1023`;
      const code = inUse ? 'api_address_in_use' : 'api_address_unavailable';
      reject(new ApiServerError(code, message, { cause: error }));
    });
    server.listen({ host, port }, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

interface HandlerOptions {
  readonly service: NodeService;
  readonly token: string;
  /** What the Host header may name. */
  readonly hosts: ReadonlySet<string>;
  readonly logger: Logger;
  readonly scheduler: Scheduler;
  readonly limits: ApiLimits;
}

class RequestHandler {
  readonly #streams: EventStreams;
  #closing = false;
  readonly #given: HandlerOptions;
  readonly #routes: ReadonlyMap<string, Route>;

  constructor(given: HandlerOptions) {
    this.#given = given;
    this.#streams = new EventStreams(given);
    this.#routes = new Map(
      (Object.keys(endpoints) as EndpointName[]).map((name) => {
        // One method for each endpoint: NodeService says so; TypeScript cannot follow it through the loop.
        const call = given.service[name] as Route['call'];
        return [endpoints[name].path, { endpoint: endpoints[name], call: call.bind(given.service) }];
      }),
    );
  }

  /** Ends the streams, and lets no connection live longer than the answer that is under way. */
  close(): void {
    this.#closing = true;
    this.#streams.close();
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      if (this.#closing) throw new RequestError('stopping', 'the daemon stops');
      this.#checkHost(request);
      this.#checkToken(request);
      const url = readUrl(request);
      if (url.pathname === eventsPath) {
        requireMethod(request, 'GET');
        this.#streams.add(response);
        return;
      }
      const route = this.#routes.get(url.pathname);
      if (route === undefined) {
        throw new RequestError('endpoint_not_found', `there is no endpoint ${url.pathname.slice(0, 100)}`);
      }
      requireMethod(request, route.endpoint.method);
      const given =
        route.endpoint.method === 'GET'
          ? Object.fromEntries(url.searchParams)
          : await this.#readJson(request);
      const body = await this.#answer(route, given);
      if (this.#closing) response.shouldKeepAlive = false;
      reply(response, { status: 200, body });
    } catch (error) {
      this.#refuse({ request, response, error });
    }
  }

  /** A web page can make a browser call us by a name of its own that leads to loopback (DNS rebinding). */
  #checkHost(request: IncomingMessage): void {
    const name = (request.headers.host ?? '').toLowerCase().replace(/:[0-9]*$/, '');
    if (this.#given.hosts.has(name)) return;
    throw new RequestError('host_not_allowed', 'the API answers to loopback names alone, such as 127.0.0.1');
  }

  #checkToken(request: IncomingMessage): void {
    const [, token] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
    if (token !== undefined && isSameToken(token, this.#given.token)) return;
    const message =
      token === undefined
        ? 'the API wants its token: "Authorization: Bearer <the content of api-token in the data folder>"'
        : 'this is not the token of this daemon: it is in the file api-token of its data folder';
    throw new RequestError('unauthorized', message);
  }

  async #readJson(request: IncomingMessage): Promise<unknown> {
    const { limits, scheduler } = this.#given;
    const body = await readBody(request, {
      maxBytes: limits.maxBodyBytes,
      timeoutMs: limits.bodyTimeoutMs,
      scheduler,
    });
    if (body.length === 0) return {};
    if (!/^application\/json\b/i.test(request.headers['content-type'] ?? '')) {
      throw new RequestError(
        'content_type_not_supported',
        'the body must be JSON: content-type: application/json',
      );
    }
    try {
      return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
    } catch {
      throw new RequestError('invalid_request', 'the body is not JSON');
    }
  }

  async #answer(route: Route, given: unknown): Promise<unknown> {
    const request = route.endpoint.request.safeParse(given);
    if (!request.success) {
      const issues = request.error.issues.map(({ path, message }) => ({ field: path.join('.'), message }));
      const first = issues[0];
      const message = `${first?.field === '' ? 'the request' : first?.field}: ${first?.message}`;
      throw new RequestError('invalid_request', message, { issues });
    }
    return z.encode(route.endpoint.response, (await route.call(request.data)) as z.output<z.ZodObject>);
  }

  #refuse(given: { request: IncomingMessage; response: ServerResponse; error: unknown }): void {
    const { request, response } = given;
    const { status, body } = this.#describe(given.error);
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    if (request.complete) {
      if (this.#closing) response.shouldKeepAlive = false;
      reply(response, { status, body });
      return;
    }
    // The rest of a body that nobody wants: dropped as it comes, for a while, so that the answer is read.
    response.shouldKeepAlive = false;
    reply(response, { status, body });
    request.resume();
    const { scheduler, limits } = this.#given;
    const cancel = scheduler.schedule(limits.closeGraceMs, () => request.socket.destroy());
    request.socket.once('close', cancel);
  }

  #describe(error: unknown): { status: number; body: object } {
    if (error instanceof RivuletError) {
      const { code, message } = error;
      const details = 'details' in error ? error.details : undefined;
      const status =
        error instanceof RequestError
          ? error.status
          : error instanceof BodyError
            ? serverErrorStatus[error.code]
            : 422;
      return { status, body: { error: { code, message, ...(details === undefined ? {} : { details }) } } };
    }
    this.#given.logger.error({ err: error }, 'a request failed inside');
    const message = 'an internal error: the log of the daemon says more';
    return { status: 500, body: { error: { code: 'internal_error', message } } };
  }
}

function readUrl({ url = '/' }: IncomingMessage): URL {
  // A path like `//` is no path to a URL, but a host without a name.
  if (URL.canParse(url, 'http://localhost')) return new URL(url, 'http://localhost');
  throw new RequestError('endpoint_not_found', `there is no endpoint ${url.slice(0, 100)}`);
}

function requireMethod(request: IncomingMessage, method: 'GET' | 'POST'): void {
  if (request.method === method) return;
  throw new RequestError('method_not_allowed', `this endpoint wants ${method}`, { allow: method });
}

/** What answers are made of is JSON already; the details of errors may be amounts and bytes. */
function jsonValue(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
}

function reply(response: ServerResponse, { status, body }: { status: number; body: unknown }): void {
  const text = JSON.stringify(body, jsonValue);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(text);
}
