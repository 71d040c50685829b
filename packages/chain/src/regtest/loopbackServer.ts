import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ChainError } from '../chainError.js';

export interface HttpRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Aborted when the client goes away or the server stops. */
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface LoopbackServer {
  readonly port: number;
  /** Without a slash at the end. */
  readonly url: string;
  close(): Promise<void>;
}

/** A slow or silent client holds a connection no longer than this. */
const requestTimeoutMs = 30_000;

export function textAnswer(status: number, body: string): HttpAnswer {
  return { status, type: 'text/plain', body };
}

export function jsonAnswer(status: number, value: unknown): HttpAnswer {
  return { status, type: 'application/json', body: JSON.stringify(value) };
}

/** The whole body; `undefined` once it is longer than the limit. */
async function readBody(request: IncomingMessage, limit: number): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let length = 0;
  // The connection has to outlive a body that is too long, or the client would never see the answer.
  const body = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  for await (const part of body) {
    length += part.length;
    if (length > limit) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** An HTTP server on 127.0.0.1. An exception of `handle` is answered with 500 and never ends the process. */
export async function startLoopbackServer(options: {
  /** 0 or nothing: a free one. */
  readonly port?: number | undefined;
  readonly maxBodyBytes: number;
  readonly handle: (request: HttpRequest) => Promise<HttpAnswer> | HttpAnswer;
}): Promise<LoopbackServer> {
  const stopping = new AbortController();

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<HttpAnswer> {
    const body = await readBody(request, options.maxBodyBytes);
    if (body === undefined) {
      response.setHeader('connection', 'close');
      return textAnswer(413, `the body is larger than ${options.maxBodyBytes} bytes`);
    }
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    return options.handle({
      method: request.method ?? 'GET',
      path: (request.url ?? '/').split('?')[0] as string,
      headers: request.headers,
      body,
      signal: AbortSignal.any([gone.signal, stopping.signal]),
    });
  }

  const server = createServer((request, response) => {
    answer(request, response)
      .catch(() => textAnswer(500, 'internal error'))
      .then((result) => {
        if (response.destroyed) return;
        response.writeHead(result.status, { 'content-type': result.type, ...result.headers });
        response.end(result.body);
      });
  });
  server.requestTimeout = requestTimeoutMs;
  server.headersTimeout = requestTimeoutMs;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'another program uses it' : cause.code;
      const message = `the chain cannot listen on port ${options.port} (${why}): choose another, or 0 for any that is free`;
      reject(new ChainError('chain_port_in_use', message, { cause }));
    });
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      if (stopping.signal.aborted) return;
      stopping.abort();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // Answers of aborted long polls are written first; what lingers then is cut.
      setImmediate(() => server.closeAllConnections());
      await closed;
    },
  };
}
