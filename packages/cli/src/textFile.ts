import { readFileSync } from 'node:fs';
import { usageError } from './cliError.js';
import { printable } from './format/text.js';

/** Text that is given in a file: `-` is what comes in, where a command takes that. @throws CliError */
export function readTextFile(path: string, { stdin = false }: { readonly stdin?: boolean } = {}): string {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(stdin && path === '-' ? 0 : path);
  } catch (cause) {
    const { code = 'error' } = cause as NodeJS.ErrnoException;
    throw usageError(`${printable(path)} cannot be read (${code})`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw usageError(`${printable(path)} is not written in UTF-8: save it so`);
  }
}

/** The same of JSON. @throws CliError */
export function readJsonFile(path: string, options: { readonly stdin?: boolean } = {}): unknown {
  const text = readTextFile(path, options);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw usageError(`${printable(path)} is no JSON: ${cause instanceof Error ? cause.message : cause}`);
  }
}
