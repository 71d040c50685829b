import { StorageError } from '../storageError.js';
import { Database } from './database.js';
import { makePrivateFile } from './privateFile.js';

/**
 * Keeps a second daemon away from the same file. The lock is an exclusive transaction on an empty database
 * beside it: the kernel holds it for this process and drops it when the process ends, however it ends, so
 * that no stale lock can ever be left behind.
 * @returns the function that lets go.
 * @throws StorageError `locked` when another process, or this one, has it.
 */
export function lockFile(path: string): () => void {
  const lockPath = `${path}.lock`;
  makePrivateFile(lockPath);
  const database = new Database(lockPath);
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (error instanceof StorageError && error.code === 'locked') {
      throw new StorageError(
        'locked',
        `${path} is in use by another Rivulet node: stop that one, or give this one a data folder of its own. ` +
          'Two nodes on one set of channels would lose money',
        { cause: error },
      );
    }
    throw error;
  }
  return () => {
    database.rollback();
    database.close();
  };
}
