import { closeSync, openSync, writeSync } from 'node:fs';
import { usageError } from './cliError.js';
import { printable } from './format/text.js';

/**
 * Writes a file that is not there yet, for its owner alone: what was written before is never replaced.
 * @throws CliError
 */
export function writeNewFile(path: string, parts: Iterable<string>): void {
  const file = openNewFile(path);
  try {
    for (const part of parts) writeSync(file, part);
  } finally {
    closeSync(file);
  }
}

/** @returns its descriptor, to be closed. @throws CliError */
export function openNewFile(path: string): number {
  try {
    return openSync(path, 'wx', 0o600);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why =
      code === 'EEXIST' ? 'is there already: give the name of a new file' : `cannot be written (${code})`;
    throw usageError(`${printable(path)} ${why}`);
  }
}
