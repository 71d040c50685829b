import { KeysendError } from '../keysendError.js';
import { classifyHost, type HostClass } from './hostClass.js';

/** What may be reached besides public hosts over HTTPS. Nothing, where it is absent. */
export interface FetchAllowance {
  /** Onion services, by HTTP too; needs a `fetch` that goes through Tor. */
  readonly onion?: boolean;
  /** This machine, by HTTP too: for development. */
  readonly loopback?: boolean;
  /** Networks of one's own, by HTTPS. */
  readonly private?: boolean;
}

const maxUrlLength = 2048;

/**
 * Whether a URL may be fetched.
 * @param from the URL that redirected to it: nothing on the internet may lead into what is not.
 * @throws KeysendError `fetch_refused`
 */
export function checkUrl(
  text: string,
  { allow = {}, from }: { allow?: FetchAllowance | undefined; from?: URL } = {},
): URL {
  if (text.length > maxUrlLength) throw refused('an address', `has more than ${maxUrlLength} characters`);
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw new KeysendError('fetch_refused', `${JSON.stringify(text.slice(0, 80))} is no address of the web`, {
      cause,
    });
  }
  const what = `${url.protocol}//${url.host}`;
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refused(what, 'is not on the web');
  if (url.username !== '' || url.password !== '') throw refused(url.host, 'is given with a user or password');
  const hostClass = classifyHost(url.hostname);
  checkClass(hostClass, { allow, what });
  if (url.protocol === 'http:' && hostClass !== 'loopback' && hostClass !== 'onion') {
    throw refused(what, 'is not encrypted: use https');
  }
  if (from !== undefined && hostClass !== 'public' && classifyHost(from.hostname) !== hostClass) {
    throw refused(what, `is where ${from.host} redirects to, which has no business there`);
  }
  return url;
}

/** @throws KeysendError `fetch_refused` */
export function checkClass(
  hostClass: HostClass,
  { allow = {}, what }: { allow?: FetchAllowance | undefined; what: string },
): void {
  switch (hostClass) {
    case 'public':
      return;
    case 'loopback':
      if (allow.loopback !== true) throw refused(what, 'is this machine itself');
      return;
    case 'onion':
      if (allow.onion !== true) throw refused(what, 'is in Tor, which is not allowed here');
      return;
    case 'private':
      if (allow.private !== true) throw refused(what, 'is no host of the internet');
      return;
  }
}

function refused(what: string, why: string): KeysendError {
  return new KeysendError('fetch_refused', `not fetched: ${what} ${why}`);
}
