import { StorageError } from '@rivulet/storage';
import type { Database } from '@rivulet/storage/database';

/**
 * The schema, as the steps that lead to it. A step that was ever released is never edited: a change is a new step.
 *
 * - `entries`: what the ledgers keep, text by key (ToolkitStore).
 */
const migrations: readonly string[] = [
  `
  CREATE TABLE entries (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
];

/** What says that a file is the toolkit's: "rvkt". */
const applicationId = 0x72766b74;

/**
 * Brings the schema up in one transaction.
 * @throws StorageError `newer_version`; `corrupt` for the database of something else. The file is left untouched.
 */
export function migrate(database: Database): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    const found = Number(database.pragma('user_version') ?? 0);
    const id = Number(database.pragma('application_id') ?? 0);
    const tables = Number(database.prepare('SELECT count(*) FROM sqlite_schema').get()?.[0] ?? 0);
    if (tables > 0 && id !== applicationId) {
      throw new StorageError(
        'corrupt',
        `${database.path} is a database, but not one of Rivulet's toolkit: check the path`,
      );
    }
    if (found > migrations.length) {
      throw new StorageError(
        'newer_version',
        `${database.path} was written by a newer Rivulet (schema ${found}; this one knows up to ${migrations.length}): run the newer version`,
      );
    }
    for (const step of migrations.slice(found)) database.exec(step);
    database.exec(`PRAGMA application_id = ${applicationId}`);
    database.exec(`PRAGMA user_version = ${migrations.length}`);
    database.exec('COMMIT');
  } catch (error) {
    database.rollback();
    throw error;
  }
}
