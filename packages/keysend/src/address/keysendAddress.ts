import { KeysendError } from '../keysendError.js';
import { classifyHost } from './hostClass.js';

/** A keysend or Lightning address, in its one form. */
export interface KeysendAddress {
  readonly name: string;
  /** A port is in it where one was given. */
  readonly host: string;
  /** `name@host`. */
  readonly text: string;
}

const maxAddressLength = 320;

/**
 * Reads name@host: any case, a `lightning:` before it or not.
 * @throws KeysendError `address_invalid`
 */
export function parseKeysendAddress(text: string): KeysendAddress {
  const trimmed = text
    .trim()
    .toLowerCase()
    .replace(/^lightning:/, '');
  const [name = '', host = '', ...more] = trimmed.split('@');
  if (trimmed.length > maxAddressLength || more.length > 0) throw invalid(text);
  // LUD-16: a-z0-9-_. and what follows a plus
  if (!/^[a-z0-9._+-]{1,64}$/.test(name) || /^\.+$/.test(name)) throw invalid(text);
  if (!/^(?:[^\s/?#@\\%]+)$/.test(host)) throw invalid(text);
  let url: URL;
  try {
    url = new URL(`https://${host}`);
  } catch {
    throw invalid(text);
  }
  if (url.hostname === '' || url.pathname !== '/') throw invalid(text);
  return { name, host: url.host, text: `${name}@${url.host}` };
}

/** Where a document about an address is. Tor encrypts by itself, and this machine needs no encryption. */
export function wellKnownUrl({ name, host }: KeysendAddress, kind: 'keysend' | 'lnurlp'): string {
  const hostClass = classifyHost(new URL(`https://${host}`).hostname);
  const scheme = hostClass === 'onion' || hostClass === 'loopback' ? 'http' : 'https';
  return `${scheme}://${host}/.well-known/${kind}/${name}`;
}

function invalid(text: string): KeysendError {
  return new KeysendError(
    'address_invalid',
    `${JSON.stringify(text.slice(0, 80))} is no keysend address: one looks like name@example.com`,
  );
}
