import { existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { StorageError } from '../../storageError.js';
import type { Database } from '../database.js';
import { databasePages } from './databasePages.js';
import { fileError } from './fileError.js';
import { nodeFiles } from './replicaFiles.js';

/** A database that was written into a file of its own. */
export interface DatabaseCopy {
  readonly path: string;
  readonly bytes: number;
}

/**
 * Writes the database as it is now into a new file that only this user may read. A file with the final name is
 * always whole. SQLite's own VACUUM INTO is not used: where it fails at the target, it fails as the source does.
 */
export function copyInto(database: Database, givenPath: string): DatabaseCopy {
  const path = resolve(givenPath);
  if (existsSync(path)) {
    throw new StorageError('duplicate', `${path} is there already: choose another name or move it away`);
  }
  const fresh = `${path}.new`;
  database.exec('BEGIN');
  try {
    nodeFiles.makeFolder(dirname(path));
    nodeFiles.remove(fresh);
    const file = nodeFiles.open(fresh);
    try {
      let position = 0;
      for (const pages of databasePages(database)) {
        file.write(pages, position);
        position += pages.length;
      }
      file.sync();
    } finally {
      file.close();
    }
    nodeFiles.rename(fresh, path);
    nodeFiles.syncFolder(dirname(path));
  } catch (error) {
    try {
      nodeFiles.remove(fresh);
    } catch {
      // The first error says why.
    }
    throw fileError(error, path);
  } finally {
    database.rollback();
  }
  return { path, bytes: statSync(path).size };
}
