import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadToolkitSecret, openWallet } from '@rivulet/keysend/node';
import { openToolkit } from '@rivulet/keysend/sqlite';

/**
 * The options of a command line, all of them text.
 * @param {Record<string, string | undefined>} defaults by name; what has none has to be given
 * @returns {Record<string, string>}
 */
export function options(defaults) {
  const { values } = parseArgs({
    options: Object.fromEntries(Object.keys(defaults).map((name) => [name, { type: 'string' }])),
  });
  return Object.fromEntries(
    Object.entries(defaults).map(([name, value]) => {
      const given = values[name] ?? value;
      if (typeof given !== 'string') throw new Error(`give --${name}`);
      return [name, given];
    }),
  );
}

/**
 * What an app keeps: a folder with its store and its secret, and a wallet.
 * @param {{ data: string, wallet: string }} given
 */
export async function openApp({ data, wallet: url }) {
  mkdirSync(data, { recursive: true });
  const { store, close } = openToolkit({ path: join(data, 'toolkit.sqlite') });
  const secret = loadToolkitSecret({ path: join(data, 'secret'), store });
  const wallet = await openWallet(url, { store });
  return { store, secret, wallet, close };
}

/** @param {number} delayMs @param {() => void} run */
export function schedule(delayMs, run) {
  const timer = setTimeout(run, delayMs);
  return () => clearTimeout(timer);
}

/** @param {number} count */
export function random(count) {
  return Uint8Array.from(randomBytes(count));
}

/** Aborts on Ctrl-C. */
export function untilStopped() {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort());
  return stop.signal;
}
