import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { RivuletError } from '@rivulet/core/bytes';
import { DaemonError } from './daemonError.js';
import { createWords, wordsToSeed } from './wallet/index.js';

/** The words of the wallet (BIP 39), in the data folder, readable by its owner alone. */
export const wordsFileName = 'wallet-words';

/**
 * The seed of a data folder; words are made at the first start, which is when there is no database yet. To
 * restore a wallet, put its words into the file before the first start.
 * @throws DaemonError
 */
export function loadOrCreateSeed(given: { dataDir: string; databasePath: string }): {
  seed: Uint8Array;
  created: boolean;
} {
  const { dataDir, databasePath } = given;
  const file = join(dataDir, wordsFileName);
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    if (existsSync(file)) return { seed: readSeed(file), created: false };
    if (existsSync(databasePath)) {
      throw new DaemonError(
        'words_missing',
        `${file} is missing, and ${databasePath} belongs to its words: put the words back into that file. New words would not open what the old ones hold`,
      );
    }
    const fresh = createWords(Uint8Array.from(randomBytes(16)));
    createDurably(file, `${fresh}\n`);
    return { seed: wordsToSeed(fresh), created: true };
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new DaemonError(
      'data_folder',
      `the data folder ${dataDir} cannot be written (${error.code}): choose another with --data-dir, or make room or give this user the right to write there`,
      { cause: error },
    );
  }
}

/**
 * The file is there with all of its content or not at all, on the disk, before any address of the wallet is
 * given out. Fails if there is one: words that may hold money are never replaced.
 */
function createDurably(file: string, content: string): void {
  const unfinished = `${file}.new`;
  try {
    writeFileSync(unfinished, content, { mode: 0o600, flush: true });
    linkSync(unfinished, file);
  } finally {
    rmSync(unfinished, { force: true });
  }
  // Windows has no folders that can be synced, and does that by itself.
  if (process.platform === 'win32') return;
  const folder = openSync(dirname(file), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
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
