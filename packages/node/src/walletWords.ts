import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RivuletError } from '@rivulet/core/bytes';
import { DaemonError } from './daemonError.js';
import { createWords, wordsToSeed } from './wallet/index.js';

/** The words of the wallet (BIP 39), in the data folder, readable by its owner alone. */
export const wordsFileName = 'wallet-words';

/**
 * The seed of a data folder; words are made at the first start. To restore a wallet, put its words into the
 * file before the first start.
 * @throws DaemonError
 */
export function loadOrCreateSeed(dataDir: string): { seed: Uint8Array; created: boolean } {
  const file = join(dataDir, wordsFileName);
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const fresh = createWords(Uint8Array.from(randomBytes(16)));
    // Fails if there is a file: words that may hold money are never replaced.
    writeFileSync(file, `${fresh}\n`, { mode: 0o600, flag: 'wx' });
    return { seed: wordsToSeed(fresh), created: true };
  } catch (error) {
    if (!isSystemError(error)) throw error;
    if (error.code !== 'EEXIST') {
      throw new DaemonError(
        'data_folder',
        `the data folder ${dataDir} cannot be written (${error.code}): choose another with --data-dir, or make room`,
        { cause: error },
      );
    }
  }
  return { seed: readSeed(file), created: false };
}

function readSeed(file: string): Uint8Array {
  let words: string;
  try {
    words = readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new DaemonError('words_unreadable', `${file} cannot be read: check its owner and permissions`, {
      cause,
    });
  }
  try {
    return wordsToSeed(words);
  } catch (cause) {
    if (!(cause instanceof RivuletError)) throw cause;
    throw new DaemonError('words_invalid', `${file}: ${cause.message}`, { cause });
  }
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && 'syscall' in error;
}
