import { realpathSync } from 'node:fs';
import { Database } from '../sqlite/database.js';
import { lockFile } from '../sqlite/folderLock.js';
import { makePrivateFile } from '../sqlite/privateFile.js';
import { StorageError } from '../storageError.js';
import { sqliteTowerStore } from './sqliteTowerStore.js';
import type { TowerStore } from './towerStore.js';

/** The version that this code writes; a step that was ever released is never edited. */
const SCHEMA_VERSION = 1n;

/**
 * `locator` leads the key, so that each transaction of a block is one look into one tree. `usage` has one row:
 * how much there is must be known before anything more is taken.
 */
const SCHEMA = `
  CREATE TABLE users (
    key INTEGER PRIMARY KEY,
    user_id BLOB NOT NULL UNIQUE,
    available_slots INTEGER NOT NULL,
    subscription_start INTEGER NOT NULL,
    subscription_expiry INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX users_by_expiry ON users (subscription_expiry);
  CREATE TABLE appointments (
    locator BLOB NOT NULL,
    user INTEGER NOT NULL REFERENCES users (key),
    encrypted_blob BLOB NOT NULL,
    to_self_delay INTEGER NOT NULL,
    user_signature TEXT NOT NULL,
    start_block INTEGER NOT NULL,
    PRIMARY KEY (locator, user)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX appointments_by_user ON appointments (user);
  CREATE TABLE trackers (
    locator BLOB NOT NULL,
    user INTEGER NOT NULL,
    dispute_txid BLOB NOT NULL,
    dispute_height INTEGER NOT NULL,
    penalty_tx BLOB NOT NULL,
    fee_sat INTEGER,
    resolved_height INTEGER,
    PRIMARY KEY (locator, user),
    FOREIGN KEY (locator, user) REFERENCES appointments (locator, user) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE blocks (height INTEGER PRIMARY KEY, hash BLOB NOT NULL) STRICT;
  CREATE TABLE usage (appointments INTEGER NOT NULL, blob_bytes INTEGER NOT NULL) STRICT;
  INSERT INTO usage VALUES (0, 0);
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/**
 * Opens the file of a watchtower, made where it is not there, readable by this user alone.
 * @throws StorageError `locked` when another tower has it open; `newer_version`; `corrupt`; `io`.
 */
export function openTowerStore({ path: given }: { path: string }): TowerStore {
  makePrivateFile(given);
  const path = realpathSync(given);
  const unlock = lockFile(path);
  let database: Database | undefined;
  try {
    database = new Database(path);
    prepare(database);
    const mode = database.pragma('journal_mode = WAL');
    if (mode !== 'wal') {
      throw new StorageError('io', `${path}: this file system has no write-ahead log (mode ${mode})`);
    }
    return sqliteTowerStore(database, unlock);
  } catch (error) {
    database?.close();
    unlock();
    throw error;
  }
}

/** A store that forgets everything when it is closed: for tests only. */
export function openMemoryTowerStore(): TowerStore {
  const database = new Database(':memory:');
  prepare(database);
  return sqliteTowerStore(database, () => {});
}

function prepare(database: Database): void {
  const found = database.pragma('user_version') as bigint;
  if (found > SCHEMA_VERSION) {
    throw new StorageError(
      'newer_version',
      `${database.path} was written by a newer Rivulet (version ${found} of a tower's file; this one knows ` +
        `${SCHEMA_VERSION}): run the newer version`,
    );
  }
  if (found === SCHEMA_VERSION) return;
  if (database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() !== undefined) {
    throw new StorageError(
      'corrupt',
      `${database.path} is a database, but not one of a tower: check the path`,
    );
  }
  database.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT`);
}
