import { readFileSync } from 'node:fs';
import { KeysendError } from '../keysendError.js';
import type { Fetcher } from '../value/fetcher.js';

export function fixture(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`../../fixtures/${name}`, import.meta.url)));
}

/** A web of a few documents; `asked` is what was fetched, in order. */
export function webOf(documents: Readonly<Record<string, Uint8Array | number>>): {
  fetcher: Fetcher;
  asked: string[];
} {
  const asked: string[] = [];
  const fetcher: Fetcher = async (url, { maxBytes }) => {
    asked.push(url);
    const found = documents[url];
    if (found === undefined) throw new KeysendError('fetch_failed', `${url} cannot be reached`);
    const body = typeof found === 'number' ? new Uint8Array() : found;
    if (body.length > maxBytes)
      throw new KeysendError('fetch_failed', `${url} is larger than ${maxBytes} bytes`);
    const status = typeof found === 'number' ? found : 200;
    return { status, url, contentType: 'application/rss+xml', body };
  };
  return { fetcher, asked };
}

/** A feed around a channel's content. */
export function rss(channel: string, root = ''): string {
  return `<rss version="2.0" xmlns:podcast="https://podcastindex.org/namespace/1.0"${root}><channel>${channel}</channel></rss>`;
}
