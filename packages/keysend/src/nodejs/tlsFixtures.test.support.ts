import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ServerTls } from '../wallets/loopbackServer.test.support.js';

/** The path of a file in `fixtures/tls`. */
export function tlsFile(name: string): string {
  return fileURLToPath(new URL(`../../fixtures/tls/${name}`, import.meta.url));
}

export function tlsText(name: string): string {
  return readFileSync(tlsFile(name), 'utf8');
}

/** A certificate with its key. */
export function tlsOf(name: 'node' | 'impostor' | 'signed'): ServerTls {
  return { key: tlsText(`${name}.key`), cert: tlsText(`${name}.pem`) };
}
