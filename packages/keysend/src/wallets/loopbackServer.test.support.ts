import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

/** A real HTTP server on loopback that can break all its connections, go away and come back at the same port. */
export class LoopbackServer {
  readonly #handle: (exchange: Exchange) => unknown;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;
  /** What went wrong in the handler: a test's mistake, to be seen. */
  readonly errors: unknown[] = [];

  readonly #tls: ServerTls | undefined;

  constructor(handle: (exchange: Exchange) => unknown, tls?: ServerTls) {
    this.#handle = handle;
    this.#tls = tls;
  }

  get url(): string {
    return `${this.#tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    const listener = (request: IncomingMessage, response: ServerResponse) => {
      void this.#answer(request, response);
    };
    const server = this.#tls === undefined ? createServer(listener) : createSecureServer(this.#tls, listener);
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    try {
      for await (const part of request) parts.push(part as Buffer);
    } catch {
      return;
    }
    const url = new URL(request.url ?? '/', this.url);
    const body = Buffer.concat(parts).toString('utf8');
    try {
      await this.#handle({ request, response, url, body });
    } catch (error) {
      this.errors.push(error);
      response.writeHead(500).end(String(error));
    }
  }
}

/** PEM. */
export interface ServerTls {
  readonly key: string;
  readonly cert: string;
}

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly body: string;
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** How servers and proxies spoil an answer to a request that they have carried out. */
export function spoil(
  response: ServerResponse,
  type:
    | 'cut'
    | 'paid_then_500'
    | 'paid_then_garbage'
    | 'paid_then_half'
    | 'paid_then_oversize'
    | 'rate_limit',
): void {
  switch (type) {
    case 'cut':
      response.socket?.destroy();
      return;
    case 'paid_then_500':
      response.writeHead(502, { 'content-type': 'text/html' }).end('<html>Bad Gateway</html>');
      return;
    case 'paid_then_garbage':
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Welcome!</html>');
      return;
    case 'paid_then_half':
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '500' });
      response.write('{"result":{"payment_hash":"00', () => response.socket?.destroy());
      return;
    case 'paid_then_oversize':
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(`"${'x'.repeat(5_000_000)}"`);
      return;
    case 'rate_limit':
      response.writeHead(429, { 'content-type': 'text/plain' }).end('slow down');
      return;
  }
}
