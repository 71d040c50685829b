import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type HttpAnswer,
  type KeysendAccount,
  keysendAddressAnswer,
  type ReceivedPayment,
} from '@rivulet/keysend';
import { type ReceiptIssuer, receiptAnswer } from '@rivulet/keysend/proof';
import { DaemonError } from '../daemonError.js';
import type { Logger } from '../logging/index.js';

export interface PublicServerOptions {
  readonly host: string;
  readonly port: number;
  /** Whom a name stands for. */
  readonly accountOf: (name: string) => Promise<KeysendAccount | undefined>;
  /** `undefined` while receipts cannot be stored. */
  readonly issuer: () => ReceiptIssuer | undefined;
  readonly findPayment: (paymentHash: string) => ReceivedPayment | undefined;
  readonly now: () => number;
  readonly logger: Logger;
}

/** What strangers may ask of a node over HTTP: where a name is paid, and the receipt of a payment that they made. */
export interface PublicServer {
  readonly port: number;
  close(): Promise<void>;
}

const addressPath = /^\/\.well-known\/keysend\/([^/?#]{1,200})$/;
const receiptPath = /^\/receipts\/[0-9a-f]{64}\?nonce=[0-9a-f]{1,64}$/;
const maxUrlLength = 400;

/** @throws DaemonError `port_taken` */
export async function startPublicServer(options: PublicServerOptions): Promise<PublicServer> {
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000, maxHeaderSize: 16_384 });
  server.maxConnections = 500;
  server.on('request', (request, response) => {
    answerOf(request, options).then(
      (answer) => reply(response, { request, answer }),
      (err) => {
        options.logger.error({ err }, 'a public request failed inside');
        reply(response, { request, answer: plain(500, 'an internal error') });
      },
    );
  });
  await new Promise<void>((resolve, reject) => {
    const refuse = (cause: Error): void => {
      const message = `${options.host}:${options.port} cannot be listened on for keysend addresses: choose another --address-port (${cause.message})`;
      reject(new DaemonError('port_taken', message, { cause }));
    };
    server.once('error', refuse);
    server.listen({ host: options.host, port: options.port }, () => {
      server.off('error', refuse);
      // Nobody who cannot be let in ends the daemon (no more file descriptors).
      server.on('error', (err) => options.logger.warn({ err }, 'the server of keysend addresses failed'));
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answerOf(request: IncomingMessage, options: PublicServerOptions): Promise<HttpAnswer> {
  const { url = '/', method = 'GET' } = request;
  if (url.length > maxUrlLength) return plain(414, 'too long');
  const [, encoded] = addressPath.exec(url) ?? [];
  if (encoded !== undefined) {
    const name = decoded(encoded);
    const account = name === undefined ? undefined : await options.accountOf(name.toLowerCase());
    return keysendAddressAnswer({
      name: name ?? '',
      accounts: () => account,
      method,
      nowMs: options.now(),
    });
  }
  if (receiptPath.test(url)) {
    const issuer = options.issuer();
    if (issuer === undefined) return plain(503, 'no receipts now: ask again later');
    return receiptAnswer({ method, url }, { issuer, find: options.findPayment });
  }
  return plain(404, 'nothing here');
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function plain(status: number, reason: string): HttpAnswer {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', 'access-control-allow-origin': '*' },
    body: JSON.stringify({ status: 'ERROR', reason }),
  };
}

function reply(
  response: ServerResponse,
  { request, answer }: { request: IncomingMessage; answer: HttpAnswer },
): void {
  // A body is of no interest here: whoever sends one is answered, and let go.
  if (!request.complete) response.shouldKeepAlive = false;
  response.writeHead(answer.status, { ...answer.headers, 'content-length': Buffer.byteLength(answer.body) });
  response.end(request.method === 'HEAD' ? undefined : answer.body);
}
