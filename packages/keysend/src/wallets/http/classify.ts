import type { WalletFailure } from '../wallet.js';

/** What a failure says of the request. */
export interface Verdict {
  /** The request was certainly not carried out. */
  readonly certain: boolean;
  readonly failure: WalletFailure;
  readonly retryable: boolean;
  /** What to tell people; a half sentence that begins with the server's name. */
  readonly says: string;
}

/** Errors of Node.js that happen only before a connection stands. */
const unconnected: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_NODATA',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** Those of TLS that end the handshake: the request is sent after it. */
const untrusted =
  /^(ERR_TLS_CERT_|CERT_|SELF_SIGNED_|DEPTH_ZERO_SELF_SIGNED_CERT$|UNABLE_TO_(GET|VERIFY|DECRYPT|DECODE)_|HOSTNAME_MISMATCH$|INVALID_CA$|PATH_LENGTH_EXCEEDED$)/;

interface SystemError {
  readonly code?: unknown;
  readonly syscall?: unknown;
  readonly cause?: unknown;
}

/** The error itself and its causes: where the codes are depends on who threw. */
function* allErrors(error: unknown, depth = 0): Generator<SystemError> {
  if (depth > 5 || typeof error !== 'object' || error === null) return;
  const one = error as SystemError;
  yield one;
  yield* allErrors(one.cause, depth + 1);
}

/** Whether it happened before anything was sent. Browsers do not say: there it stays open. */
export function verdictOfFetchError(error: unknown): Verdict {
  let insecure = false;
  for (const { code, syscall } of allErrors(error)) {
    const text = String(code ?? '');
    if (unconnected.has(text) || (syscall === 'connect' && text.startsWith('E'))) {
      return { certain: true, failure: 'unreachable', retryable: true, says: 'cannot be reached' };
    }
    if (text === 'CERTIFICATE_NOT_PINNED') {
      const says =
        'shows another certificate than the one that was given: it has a new one, or it is not the same';
      return { certain: true, failure: 'unreachable', retryable: false, says };
    }
    if (untrusted.test(text)) {
      const says = `shows a certificate that is not trusted (${text}): give its own, or its fingerprint`;
      return { certain: true, failure: 'unreachable', retryable: false, says };
    }
    if (text === 'ERR_SSL_WRONG_VERSION_NUMBER' || text === 'ERR_SSL_PACKET_LENGTH_TOO_LONG') {
      return {
        certain: true,
        failure: 'unreachable',
        retryable: false,
        says: 'does not speak TLS: use http',
      };
    }
    // Of `pinnedFetch`: whatever broke, nothing was sent.
    if (text === 'TLS_HANDSHAKE_FAILED') insecure = true;
  }
  if (insecure) {
    const says = 'broke the connection before it was secure';
    return { certain: true, failure: 'unreachable', retryable: true, says };
  }
  return { certain: false, failure: 'unreachable', retryable: true, says: 'broke the connection' };
}

/** What an HTTP status other than 2xx says of the request, for servers that keep to what they mean. */
export function verdictOfStatus(status: number): Verdict {
  switch (status) {
    // 0 is what browsers make of a redirect that is not followed.
    case 0:
    case 301:
    case 302:
    case 307:
    case 308: {
      const says = 'answers with a redirect: give the address that it leads to';
      return { certain: true, failure: 'unreachable', retryable: false, says };
    }
    case 400:
    case 406:
    case 411:
    case 413:
    case 414:
    case 415:
    case 422:
    case 431: {
      const says = `refused the request (HTTP ${status})`;
      return { certain: true, failure: 'request_invalid', retryable: false, says };
    }
    case 401:
    case 403:
    case 407: {
      const says = `refused the credentials (HTTP ${status})`;
      return { certain: true, failure: 'unauthorized', retryable: false, says };
    }
    case 402: {
      const says = 'says that a quota is used up (HTTP 402)';
      return { certain: true, failure: 'quota_exceeded', retryable: true, says };
    }
    case 404:
    case 405:
    case 501: {
      const says = `has no such call (HTTP ${status}): is this its address, and is it recent?`;
      return { certain: status !== 501, failure: 'wallet_cannot', retryable: false, says };
    }
    case 429: {
      const says = 'gets too many requests (HTTP 429)';
      return { certain: true, failure: 'rate_limited', retryable: true, says };
    }
  }
  const says = `answered with HTTP ${status}`;
  return { certain: false, failure: 'other', retryable: true, says };
}
