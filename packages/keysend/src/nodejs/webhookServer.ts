import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { RivuletError } from '@rivulet/core/bytes';
import type { RuleRunner } from '../automation/ruleRunner.js';

export interface WebhookHandlerOptions {
  readonly runner: RuleRunner;
  /** In front of the name of the rule; `/hooks/` where it is absent. */
  readonly path?: string;
  /** 64 KiB where it is absent. */
  readonly maxBodyBytes?: number;
}

/** Answers one request. */
export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * Takes the webhooks of triggers: `POST /hooks/<rule>`, signed as the Standard Webhooks specification says.
 *
 * 200 with `{status, amountMsat, keys}` once the payment is planned (it is paid afterwards), and every time that it
 * is sent again; 400 for a document that the rule refuses, 401 for a signature that is none (and for a rule that does
 * not exist), 404, 405, 409 for a rule that is disabled, 413, 503 for a budget that is used up: sent again later, it
 * may be paid.
 */
export function createWebhookHandler(options: WebhookHandlerOptions): HttpHandler {
  const { runner, path = '/hooks/', maxBodyBytes = 65_536 } = options;
  return (request, response) => {
    const rule = ruleOf(request.url ?? '', path);
    if (rule === undefined)
      return refuse(response, { status: 404, code: 'not_found', message: 'nothing is here' });
    if (request.method !== 'POST') {
      response.setHeader('allow', 'POST');
      return refuse(response, {
        status: 405,
        code: 'request_invalid',
        message: 'webhooks are sent with POST',
      });
    }
    readBody(request, maxBodyBytes).then(
      (body) => {
        if (body === undefined) {
          const message = `more than ${maxBodyBytes} bytes are not taken`;
          return refuse(response, { status: 413, code: 'request_invalid', message });
        }
        answer(response, { runner, rule, headers: request.headers, body });
      },
      // Whoever sent it is gone.
      () => response.destroy(),
    );
  };
}

function answer(
  response: ServerResponse,
  given: {
    runner: RuleRunner;
    rule: string;
    headers: IncomingMessage['headers'];
    body: Uint8Array;
  },
): void {
  const { runner, rule, headers, body } = given;
  try {
    const result = runner.deliver({ rule, headers, body });
    if (result.status === 'ignored') sendJson(response, 200, result);
    else {
      const { amountMsat, keys } = result.payment;
      sendJson(response, 200, { status: result.status, amountMsat: amountMsat.toString(), keys });
    }
  } catch (error) {
    const code = error instanceof RivuletError ? error.code : 'internal_error';
    const message = error instanceof RivuletError ? error.message : 'this is our fault';
    refuse(response, { status: statusOf(code), code, message });
  }
}

function statusOf(code: string): number {
  switch (code) {
    case 'signature_invalid':
      return 401;
    case 'request_invalid':
    case 'address_invalid':
      return 400;
    case 'state_conflict':
    case 'not_found':
      return 409;
    case 'budget_exceeded':
      return 503;
    default:
      return 500;
  }
}

function ruleOf(url: string, path: string): string | undefined {
  const [plain = ''] = url.split('?');
  const name = plain.startsWith(path) ? plain.slice(path.length) : '';
  return /^[a-z0-9][a-z0-9-]{0,39}$/.test(name) ? name : undefined;
}

/** The whole body; `undefined` where it is larger than is taken. */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= maxBytes) chunks.push(chunk);
      // What is too much is read away for a while, so that the answer arrives; whoever goes on is cut off.
      else if (length > maxBytes * 4 + 1_048_576) request.destroy();
    });
    request.once('end', () => resolve(length > maxBytes ? undefined : new Uint8Array(Buffer.concat(chunks))));
    request.once('error', reject);
    request.once('close', () => reject(new Error('closed')));
  });
}

function refuse(
  response: ServerResponse,
  { status, code, message }: { status: number; code: string; message: string },
): void {
  if (status === 503) response.setHeader('retry-after', '600');
  sendJson(response, status, { error: { code, message } });
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  if (response.headersSent || response.destroyed) return;
  const body = JSON.stringify(value);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  response.end(body);
}

export interface WebhookServer {
  /** Of `POST <url><rule>`. */
  readonly url: string;
  close(): Promise<void>;
}

/** Serves webhooks, on the loopback interface where no host is given: in front of it belongs whatever has TLS. */
export async function startWebhookServer({
  host = '127.0.0.1',
  port,
  ...options
}: WebhookHandlerOptions & { readonly host?: string; readonly port: number }): Promise<WebhookServer> {
  const server = createServer(createWebhookHandler(options));
  server.requestTimeout = 15_000;
  server.headersTimeout = 10_000;
  server.maxConnections = 500;
  await listen(server, { host, port });
  const { port: bound, address, family } = server.address() as AddressInfo;
  const shown = family === 'IPv6' ? `[${address}]` : address;
  return {
    url: `http://${shown}:${bound}${options.path ?? '/hooks/'}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Resolves once it listens. */
export function listen(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      // Nobody who cannot be let in ends the process (no more file descriptors).
      server.on('error', () => {});
      resolve();
    });
  });
}
