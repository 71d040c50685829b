import { StorageError } from '../../storageError.js';

/** The typed form of what the file system threw while `path` was read or written. */
export function fileError(error: unknown, path: string): StorageError {
  if (error instanceof StorageError) return error;
  const { code = 'unknown', message } = error as NodeJS.ErrnoException;
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  const advice = full
    ? 'make room on the disk'
    : 'check that the disk is there and that this user may use it';
  return new StorageError(full ? 'disk_full' : 'io', `${path}: ${message}; ${advice}`, { cause: error });
}
