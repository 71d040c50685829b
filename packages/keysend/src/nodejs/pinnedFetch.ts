import { X509Certificate } from 'node:crypto';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { connect, type TLSSocket } from 'node:tls';
import { KeysendError } from '../keysendError.js';
import type { WalletFetch } from '../wallets/http/index.js';

export type PinnedFetchOptions =
  /**
   * The server's own certificate: PEM (one or several), or its SHA-256 fingerprint in hex digits with or without
   * colons. No other is taken, whoever signed it; its names and its dates do not matter.
   */
  | { readonly certificate: string }
  /** PEM of an authority: what it signed for the server's name is taken, and nothing else. */
  | { readonly authority: string };

const pemBlock = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;
/** Statuses whose answers have no body. */
const bodiless: ReadonlySet<number> = new Set([204, 205, 304]);

/**
 * A `fetch` for servers whose certificate nobody else vouches for, as those of LND and Core Lightning. The connection
 * is checked before anything is sent over it: a stranger in between sees no macaroon. Each request has a connection
 * of its own, so that none is lost on one that was just being closed.
 * @throws KeysendError `wallet_invalid` where the certificate is none
 */
export function pinnedFetch(options: PinnedFetchOptions): WalletFetch {
  const dial =
    'certificate' in options ? pinnedTo(fingerprintsOf(options.certificate)) : signedBy(options.authority);
  return async (address, init) => {
    const url = new URL(address);
    if (url.protocol !== 'https:') {
      throw new KeysendError('wallet_invalid', 'a certificate is for https alone: this address has http');
    }
    const socket = await dial(url, init.signal ?? undefined);
    return exchange({ url, init, socket });
  };
}

type Dial = (url: URL, signal: AbortSignal | undefined) => Promise<TLSSocket>;

function pinnedTo(fingerprints: ReadonlySet<string>): Dial {
  return async (url, signal) => {
    // Whether somebody signed it does not count: what it is does, below. TLS itself proves that the server has its key.
    const socket = await handshake(url, { signal, rejectUnauthorized: false });
    if (fingerprints.has(plain(socket.getPeerCertificate().fingerprint256 ?? ''))) return socket;
    socket.destroy();
    throw Object.assign(new Error('the server has another certificate than the one that it must have'), {
      code: 'CERTIFICATE_NOT_PINNED',
    });
  };
}

function signedBy(authority: string): Dial {
  certificatesOf(authority);
  return (url, signal) => handshake(url, { signal, ca: authority });
}

function handshake(
  url: URL,
  { signal, ...trust }: { signal: AbortSignal | undefined; rejectUnauthorized?: boolean; ca?: string },
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const socket = connect({
      host,
      port: url.port === '' ? 443 : Number(url.port),
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ALPNProtocols: ['http/1.1'],
      ...trust,
    });
    const abort = () => fail(new Error('aborted'));
    const fail = (error: unknown) => {
      signal?.removeEventListener('abort', abort);
      socket.destroy();
      // Whatever it was: nothing was sent yet.
      reject(
        Object.assign(new Error('no secure connection', { cause: error }), { code: 'TLS_HANDSHAKE_FAILED' }),
      );
    };
    socket.once('error', fail);
    socket.once('secureConnect', () => {
      signal?.removeEventListener('abort', abort);
      socket.off('error', fail);
      resolve(socket);
    });
    if (signal?.aborted === true) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  });
}

function exchange({
  url,
  init,
  socket,
}: {
  url: URL;
  init: RequestInit;
  socket: TLSSocket;
}): Promise<Response> {
  const { method = 'GET', headers, body, signal } = init;
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        method,
        path: `${url.pathname}${url.search}`,
        headers: { host: url.host, ...Object.fromEntries(new Headers(headers)), connection: 'close' },
        createConnection: () => socket,
        maxHeaderSize: 64 * 1024,
        ...(signal ? { signal } : {}),
      },
      (response) => resolve(toResponse(response)),
    );
    request.on('error', reject);
    request.end(typeof body === 'string' ? body : undefined);
  });
}

function toResponse(incoming: IncomingMessage): Response {
  const status = incoming.statusCode ?? 0;
  const headers = new Headers();
  for (const [name, values] of Object.entries(incoming.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value);
  }
  if (bodiless.has(status)) {
    incoming.resume();
    return new Response(null, { status, headers });
  }
  return new Response(Readable.toWeb(incoming) as ReadableStream<Uint8Array>, { status, headers });
}

function fingerprintsOf(certificate: string): ReadonlySet<string> {
  const text = certificate.trim();
  if (/^([0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}$/.test(text)) return new Set([plain(text)]);
  return new Set(certificatesOf(text).map(({ fingerprint256 }) => plain(fingerprint256)));
}

function certificatesOf(pem: string): X509Certificate[] {
  try {
    const found = (pem.match(pemBlock) ?? []).map((block) => new X509Certificate(block));
    if (found.length > 0) return found;
  } catch {
    // Said below.
  }
  throw new KeysendError(
    'wallet_invalid',
    'this is no certificate: give PEM (-----BEGIN CERTIFICATE-----), or the SHA-256 fingerprint in 64 hex digits',
  );
}

function plain(fingerprint: string): string {
  return fingerprint.replaceAll(':', '').toLowerCase();
}
