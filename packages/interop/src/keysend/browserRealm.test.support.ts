import { type Context, createContext, runInContext } from 'node:vm';

/** What a page has besides the language itself, as far as the toolkit may use it. */
const platform = {
  URL,
  URLSearchParams,
  AbortController,
  AbortSignal,
  DOMException,
  Headers,
  Request,
  Response,
  ReadableStream,
  WebSocket: undefined,
  setTimeout,
  clearTimeout,
  atob,
  btoa,
  structuredClone,
  queueMicrotask,
};

/** Its own bytes and texts, so that everything is of one realm, as in a page. */
const prelude = `
  globalThis.self = globalThis.window = globalThis;
  globalThis.TextEncoder = class { encode(text = '') { return Uint8Array.from(platform.encode(text)); } };
  globalThis.TextDecoder = class {
    #decoder;
    constructor(label, options) { this.#decoder = platform.decoder(label, options); }
    decode(bytes, options) { return this.#decoder.decode(bytes, options); }
  };
  globalThis.crypto = {
    getRandomValues: (bytes) => { bytes.set(platform.random(bytes.length)); return bytes; },
    randomUUID: () => platform.uuid(),
  };
  const items = new Map();
  globalThis.localStorage = {
    get length() { return items.size; },
    key: (index) => [...items.keys()][index] ?? null,
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => { items.set(key, String(value)); },
    removeItem: (key) => { items.delete(key); },
  };
`;

export type PageFetch = (url: string, init: RequestInit) => Promise<Response>;

/** A realm with the globals of a page and none of Node.js. */
export function browserRealm(fetch: PageFetch): Context {
  const realm = createContext({
    ...platform,
    fetch,
    platform: {
      encode: (text: string) => new TextEncoder().encode(text),
      decoder: (label: string | undefined, options: object | undefined) => new TextDecoder(label, options),
      random: (length: number) => crypto.getRandomValues(new Uint8Array(length)),
      uuid: () => crypto.randomUUID(),
    },
  });
  runInContext(prelude, realm);
  return realm;
}

/** Runs a script of the page; what it comes to is awaited. */
export async function runInPage(realm: Context, script: string): Promise<unknown> {
  return runInContext(script, realm, { filename: 'page.js' });
}
