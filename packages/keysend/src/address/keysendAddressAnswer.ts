import type { JsonObject } from '../records/json.js';
import { hintsToJson, type SignedHints } from './addressHints.js';

/** Somebody who can be paid under a name. */
export interface KeysendAccount {
  /** 66 hex digits. */
  readonly nodeId: string;
  /** Which account behind the node, where there are several. */
  readonly customKey?: string;
  readonly customValue?: string;
  /** For a node without announced channels (`signHints`). */
  readonly hints?: SignedHints;
}

/** An answer for whatever framework serves it. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Apps in browsers ask from any origin. */
const anyOrigin = { 'access-control-allow-origin': '*' };
const jsonHeaders = {
  ...anyOrigin,
  'content-type': 'application/json; charset=utf-8',
  'x-content-type-options': 'nosniff',
};
/** Long enough for a boost to several shares, short enough to move house. */
const cacheSeconds = 300;

/**
 * What to answer to GET /.well-known/keysend/<name>. Pure: mount it in any web framework.
 * @param name the last part of the path, percent-decoded, in any case.
 * @param accounts by name in lower case.
 * @param nowMs hints that are expired are left out, where it is given.
 */
export function keysendAddressAnswer({
  name,
  accounts,
  method = 'GET',
  nowMs,
}: {
  readonly name: string;
  readonly accounts: ReadonlyMap<string, KeysendAccount> | ((name: string) => KeysendAccount | undefined);
  readonly method?: string;
  readonly nowMs?: number;
}): HttpAnswer {
  if (method === 'OPTIONS') {
    const headers = {
      ...anyOrigin,
      'access-control-allow-methods': 'GET',
      'access-control-allow-headers': '*',
    };
    return { status: 204, headers, body: '' };
  }
  if (method !== 'GET' && method !== 'HEAD') {
    return answer({ status: 405, json: error('only GET is answered here'), headers: { allow: 'GET' } });
  }
  const wanted = name.toLowerCase();
  const account = typeof accounts === 'function' ? accounts(wanted) : accounts.get(wanted);
  if (account === undefined) {
    // Clients try LNURL-pay after 404, and after nothing else.
    return answer({
      status: 404,
      json: error('nobody of this name'),
      headers: { 'cache-control': 'no-store' },
    });
  }
  const { hints } = account;
  const usable = hints !== undefined && (nowMs === undefined || hints.expires * 1000 > nowMs);
  const json: JsonObject = {
    status: 'OK',
    tag: 'keysend',
    pubkey: account.nodeId,
    // Some apps fail where it is absent.
    customData:
      account.customKey === undefined || account.customValue === undefined
        ? []
        : [{ customKey: account.customKey, customValue: account.customValue }],
    ...(usable ? { rivulet: hintsToJson(hints) } : {}),
  };
  return answer({ status: 200, json, headers: { 'cache-control': `public, max-age=${cacheSeconds}` } });
}

function error(reason: string): JsonObject {
  return { status: 'ERROR', reason };
}

function answer({
  status,
  json,
  headers,
}: {
  status: number;
  json: JsonObject;
  headers: Readonly<Record<string, string>>;
}): HttpAnswer {
  return { status, headers: { ...jsonHeaders, ...headers }, body: JSON.stringify(json) };
}
