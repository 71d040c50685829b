import { bytesToHex } from '@rivulet/core/bytes';
import { KeysendError } from '../keysendError.js';

type Parameters = ReadonlyMap<string, string>;

/** The URL of a wallet, read and checked. */
export type WalletUrl =
  | { readonly kind: 'folder'; readonly folder: string }
  | {
      readonly kind: 'rivulet' | 'lnd' | 'cln' | 'eclair';
      /** Without its parameters. */
      readonly address: string;
      readonly parameters: Parameters;
    }
  | { readonly kind: 'nwc'; readonly uri: string | undefined; readonly parameters: Parameters };

const certificates = ['cert-file', 'cert-sha256', 'ca-file'];
/** What each kind needs to be let in: in a file or a variable. */
const secretOf = { rivulet: 'token', lnd: 'macaroon', cln: 'rune', eclair: 'password', nwc: 'uri' } as const;

const schemes: ReadonlyMap<string, readonly ['rivulet' | 'lnd' | 'cln' | 'eclair', 'http:' | 'https:']> =
  new Map([
    ['http:', ['rivulet', 'http:']],
    ['https:', ['rivulet', 'https:']],
    ['rivulet+http:', ['rivulet', 'http:']],
    ['rivulet+https:', ['rivulet', 'https:']],
    ['lnd+http:', ['lnd', 'http:']],
    ['lnd+https:', ['lnd', 'https:']],
    ['cln+http:', ['cln', 'http:']],
    ['cln+https:', ['cln', 'https:']],
    ['eclair+http:', ['eclair', 'http:']],
    ['eclair+https:', ['eclair', 'https:']],
  ] as const);

function invalid(message: string): KeysendError {
  return new KeysendError('wallet_invalid', message);
}

/** Nothing of the text is shown where it is refused: it may have a secret in it. @throws KeysendError `wallet_invalid` */
export function walletUrlOf(text: string): WalletUrl {
  const scheme = /^[a-z0-9+]+:/i.exec(text)?.[0].toLowerCase();
  if (scheme === 'rivulet:') {
    const folder = text.slice(scheme.length);
    if (folder === '' || folder.startsWith('//')) {
      throw invalid('rivulet: is followed by the path of a data folder, as in rivulet:/home/me/.rivulet');
    }
    return { kind: 'folder', folder };
  }
  if (scheme === 'nostr+walletconnect:') return { kind: 'nwc', uri: text, parameters: new Map() };
  if (scheme === 'nwc:') {
    const query = new URLSearchParams(text.slice(scheme.length).replace(/^[^?]*\?/, ''));
    return { kind: 'nwc', uri: undefined, parameters: parametersOf(query, 'nwc') };
  }
  const known = scheme === undefined ? undefined : schemes.get(scheme);
  if (scheme === undefined || known === undefined) {
    throw invalid(
      'no wallet has a URL like this: they begin with rivulet:, lnd+https://, cln+https://, eclair+http:// or nostr+walletconnect://',
    );
  }
  const [kind, protocol] = known;
  let url: URL;
  try {
    // Of http, since only for its schemes is a URL read as people mean it.
    url = new URL(`${protocol}${text.slice(scheme.length)}`);
  } catch {
    throw invalid(`the address of the wallet is no URL: ${scheme}//host:port?…`);
  }
  if (url.username !== '' || url.password !== '') {
    throw invalid(`secrets do not belong into the URL: put it into a file and give ${secretOf[kind]}-file=…`);
  }
  const parameters = parametersOf(url.searchParams, kind);
  const chosen = certificates.filter((name) => parameters.has(name));
  if (chosen.length > 1) throw invalid(`give one of ${chosen.join(' and ')}`);
  if (chosen.length > 0 && protocol === 'http:') {
    throw invalid(`${chosen[0]} is for https: with http nothing is encrypted, and there is no certificate`);
  }
  return { kind, address: `${url.origin}${url.pathname.replace(/\/+$/, '')}`, parameters };
}

function parametersOf(query: URLSearchParams, kind: keyof typeof secretOf): Parameters {
  const secret = secretOf[kind];
  const tls = kind === 'nwc' || kind === 'rivulet' ? [] : certificates;
  const known = [`${secret}-file`, `${secret}-env`, ...tls];
  const parameters = new Map<string, string>();
  for (const [name, value] of query) {
    if (name === secret || name === 'password' || name === 'token') {
      throw invalid(`secrets do not belong into the URL: put it into a file and give ${secret}-file=…`);
    }
    if (!known.includes(name)) {
      const shown = /^[a-z0-9-]{1,30}$/.test(name) ? name : 'one of them';
      throw invalid(
        `the URL of the wallet has parameters that are not known (${shown}): it takes ${known.join(', ')}`,
      );
    }
    if (parameters.has(name)) throw invalid(`the URL of the wallet has ${name} twice`);
    if (value === '') throw invalid(`${name} is empty`);
    parameters.set(name, value);
  }
  return parameters;
}

/** Reads what a URL names. Nothing of what is read is ever in a message. */
export function openWalletSecrets(given: {
  readonly url: WalletUrl;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly readFile: (path: string) => Promise<Uint8Array>;
}) {
  const { url, env, readFile } = given;
  const parameters = url.kind === 'folder' ? new Map<string, string>() : url.parameters;

  async function bytes(parameter: string): Promise<Uint8Array> {
    const path = parameters.get(parameter) ?? '';
    try {
      return await readFile(path);
    } catch (error) {
      const { code } = error as { code?: unknown };
      throw invalid(`the file ${path} (${parameter}) cannot be read: ${String(code ?? 'unknown error')}`);
    }
  }

  async function secret(name: string): Promise<Uint8Array | string> {
    const [file, variable] = [`${name}-file`, `${name}-env`];
    if (parameters.has(file) && parameters.has(variable))
      throw invalid(`give one of ${file} and ${variable}`);
    if (parameters.has(file)) return bytes(file);
    const named = parameters.get(variable);
    if (named === undefined) throw invalid(`the URL of the wallet needs ${file}=… (or ${variable}=…)`);
    const value = env[named];
    if (value === undefined || value === '') throw invalid(`the variable ${named} (${variable}) is not set`);
    return value;
  }

  async function text(name: string): Promise<string> {
    const value = await secret(name);
    const read = (typeof value === 'string' ? value : new TextDecoder().decode(value)).trim();
    if (read === '') throw invalid(`the ${name} is empty`);
    return read;
  }

  return {
    text,
    file: async (parameter: string) => new TextDecoder().decode(await bytes(parameter)),
    /** Bytes of a file as hex digits; or hex digits that are there as text. */
    async hex(name: string): Promise<string> {
      const value = await secret(name);
      if (typeof value === 'string') return value.trim();
      const read = new TextDecoder('latin1').decode(value).trim();
      return /^([0-9a-fA-F]{2}){16,}$/.test(read) ? read : bytesToHex(value);
    },
  };
}
