import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { StorageError } from '../storageError.js';

/**
 * Makes an empty file that only this user may read, and its folder, unless it is there. A file that is there is
 * not even opened: closing it would let go of every lock that this process holds on it (POSIX advisory locks).
 * @throws StorageError `io` or `disk_full`
 */
export function makePrivateFile(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && !(error as NodeJS.ErrnoException).syscall?.startsWith('mkdir')) return;
    const full = code === 'ENOSPC' || code === 'EDQUOT';
    const advice = full ? 'make room on the disk' : 'check that this user may write there';
    throw new StorageError(full ? 'disk_full' : 'io', `${path} cannot be made (${code}): ${advice}`, {
      cause: error,
    });
  }
}
