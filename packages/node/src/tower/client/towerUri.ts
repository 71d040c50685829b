import { TowerError } from '../towerError.js';

/** Where a tower is, and the key under which it signs. */
export interface TowerUri {
  /** 66 hex digits. */
  readonly towerId: string;
  /** `http://host:port` or `https://host:port`. */
  readonly url: string;
}

const defaultPort = 9814;
const towerIdPattern = /^0[23][0-9a-f]{64}$/;

/**
 * Reads `HOST:PORT/tower_id`, or `tower_id@HOST:PORT` as The Eye of Satoshi writes it; with `https://` before the
 * host for a tower behind TLS. The port is 9814 where it is absent.
 * @throws TowerError `tower_uri_invalid`
 */
export function parseTowerUri(text: string): TowerUri {
  const [, scheme = 'http://', rest = ''] = /^(https?:\/\/)?(.*)$/s.exec(text.trim()) ?? [];
  const at = rest.indexOf('@');
  const [towerId, host] =
    at < 0
      ? [rest.slice(rest.lastIndexOf('/') + 1), rest.slice(0, Math.max(0, rest.lastIndexOf('/')))]
      : [rest.slice(0, at), rest.slice(at + 1)];
  const url = URL.canParse(`${scheme}${host}`) ? new URL(`${scheme}${host}`) : undefined;
  const plain = url !== undefined && url.pathname === '/' && url.search === '' && url.username === '';
  if (!plain || !towerIdPattern.test(towerId.toLowerCase()) || host === '') {
    throw new TowerError(
      'tower_uri_invalid',
      'a tower is given as HOST:PORT/ID, with its id of 66 hex digits: its operator knows it',
    );
  }
  // URL leaves the scheme's own port out.
  const schemePort = /:(?:80|443)$/.exec(host)?.[0].slice(1);
  const port = url.port === '' ? (schemePort ?? String(defaultPort)) : url.port;
  return { towerId: towerId.toLowerCase(), url: `${url.protocol}//${url.hostname}:${port}` };
}
