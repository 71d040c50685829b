/** What came back: whole, and no larger than was allowed. */
export interface Fetched {
  readonly status: number;
  /** After redirections. */
  readonly url: string;
  readonly contentType: string;
  readonly body: Uint8Array;
}

export interface FetchLimits {
  readonly maxBytes: number;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/**
 * Gets a document from the web, within bounds. Injected everywhere, so that the app decides what may be reached.
 * @throws KeysendError `fetch_refused` for what may not be reached, `fetch_failed` for what could not be.
 */
export type Fetcher = (url: string, limits: FetchLimits) => Promise<Fetched>;
