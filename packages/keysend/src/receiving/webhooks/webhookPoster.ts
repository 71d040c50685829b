import type { FetchFunction } from '../../address/boundedFetcher.js';

export interface WebhookRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface WebhookAnswer {
  readonly status: number;
  /** `Retry-After`, where the server asks for it in seconds. */
  readonly retryAfterSeconds?: number;
}

/**
 * Sends one delivery. What may be reached is its decision.
 * @throws whatever the connection fails with.
 */
export type WebhookPoster = (
  request: WebhookRequest,
  options: { readonly signal: AbortSignal },
) => Promise<WebhookAnswer>;

/**
 * Sends over `fetch`; over `guardedFetch` of `@rivulet/keysend/node`, not into networks of one's own. Follows no
 * redirection, and does not read what is answered.
 */
export function fetchPoster(
  fetch: FetchFunction = (url, init) => globalThis.fetch(url, init),
): WebhookPoster {
  return async ({ url, headers, body }, { signal }) => {
    const response = await fetch(url, {
      method: 'POST',
      headers,
      body: body as Uint8Array<ArrayBuffer>,
      credentials: 'omit',
      redirect: 'manual',
      referrerPolicy: 'no-referrer',
      signal,
    });
    const after = response.headers.get('retry-after') ?? '';
    // Not awaited: what the server goes on sending must not keep us.
    response.body?.cancel().catch(() => {});
    return {
      status: response.status,
      ...(/^\d{1,6}$/.test(after) ? { retryAfterSeconds: Number(after) } : {}),
    };
  };
}
