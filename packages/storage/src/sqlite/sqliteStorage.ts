import { realpathSync } from 'node:fs';
import type { NodeStorage, StorageReader, StorageTransaction } from '../storage.js';
import { StorageError } from '../storageError.js';
import { chainTables } from './chainTables.js';
import { channelTables } from './channelTables.js';
import { closingTables } from './closingTables.js';
import { Database } from './database.js';
import { lockFile } from './folderLock.js';
import { invoiceTables } from './invoiceTables.js';
import { migrate } from './migrations.js';
import { paymentTables } from './paymentTables.js';
import { makePrivateFile } from './privateFile.js';
import { routingTables } from './routingTables.js';
import { towerTables } from './towerTables.js';

export interface OpenStorageOptions {
  /** The database file. It and its folder are made when they are not there, readable by this user alone. */
  readonly path: string;
  /** The most pages of 4 KiB that the file may grow to; without it the disk is the limit. */
  readonly maxPages?: number | undefined;
}

/** How long a statement waits for another connection: a tool that reads the file beside the node. */
const BUSY_TIMEOUT_MS = 5_000;
/** Pages in the write-ahead log before they are copied into the file: about 16 MB. */
const CHECKPOINT_PAGES = 4_000;

/**
 * Opens the node's storage: one SQLite file (with `-wal` and `-shm` beside it while open), write-ahead log,
 * every commit synced to the disk.
 * @throws StorageError `locked` when another node has it open; `newer_version`; `corrupt`; `io`.
 */
export function openStorage(options: OpenStorageOptions): NodeStorage {
  makePrivateFile(options.path);
  // The lock must not depend on which symbolic link led here.
  const path = realpathSync(options.path);
  const unlock = lockFile(path);
  let database: Database | undefined;
  try {
    database = new Database(path);
    if (options.maxPages !== undefined) database.pragma(`max_page_count = ${Math.trunc(options.maxPages)}`);
    // Before anything is changed: a file that is not ours, or not yet known to us, stays as it is.
    migrate(database);
    const mode = database.pragma('journal_mode = WAL');
    if (mode !== 'wal') {
      throw new StorageError('io', `${path}: this file system has no write-ahead log (mode ${mode})`);
    }
    return sqliteStorage(database, unlock);
  } catch (error) {
    database?.close();
    unlock();
    throw error;
  }
}

/** A storage that forgets everything when it is closed: for tests only. */
export function openMemoryStorage(): NodeStorage {
  const database = new Database(':memory:');
  migrate(database);
  return sqliteStorage(database, () => {});
}

function sqliteStorage(database: Database, unlock: () => void): NodeStorage {
  database.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
  database.exec('PRAGMA synchronous = FULL');
  database.exec('PRAGMA foreign_keys = ON');
  database.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);

  const channels = channelTables(database);
  const payments = paymentTables(database, channels.keyFor);
  const chain = chainTables(database);
  const routing = routingTables(database, channels.keyFor);
  const invoices = invoiceTables(database);
  const closing = closingTables(database, channels.keyFor);
  const towers = towerTables(database, channels.keyFor);
  const reader: StorageReader = {
    ...channels.reader,
    ...payments.reader,
    ...routing.reader,
    ...invoices.reader,
    ...closing.reader,
    ...towers.reader,
    ...chain.reader,
  };
  const writers: Omit<StorageTransaction, keyof StorageReader> = {
    ...channels.writer,
    ...payments.writer,
    ...routing.writer,
    ...invoices.writer,
    ...closing.writer,
    ...towers.writer,
    ...chain.writer,
  };

  let running = false;
  // Why the running transaction can no longer be committed, even if its body swallowed the error: SQLite ends
  // a transaction by itself when the disk is full, and what was written after that would be committed alone.
  let broken: unknown;

  /** A writer that refuses to work once its transaction is over or broken. */
  function guarded<Values extends unknown[]>(name: string, write: (...values: Values) => void) {
    return (...values: Values): void => {
      if (!running) throw new StorageError('wrong_use', `${name} was called outside its transaction`);
      if (broken !== undefined) throw broken;
      try {
        write(...values);
      } catch (error) {
        if (!isHarmless(error) || !database.inTransaction) broken = error;
        throw error;
      }
    };
  }
  const tx = {
    ...reader,
    ...Object.fromEntries(
      Object.entries(writers).map(([name, write]) => [
        name,
        guarded(name, write as (...values: unknown[]) => void),
      ]),
    ),
  } as unknown as StorageTransaction;

  function transaction<T>(body: (tx: StorageTransaction) => T): T {
    if (running) {
      throw new StorageError(
        'wrong_use',
        'a transaction was started inside another: pass the outer one down',
      );
    }
    database.exec('BEGIN IMMEDIATE');
    running = true;
    broken = undefined;
    try {
      const result = body(tx);
      if (result instanceof Promise) {
        // Its rejection is not ours to report: the misuse is.
        result.catch(() => {});
        throw new StorageError(
          'wrong_use',
          'the body of a transaction returned a promise: it must be synchronous',
        );
      }
      if (broken !== undefined) throw broken;
      database.exec('COMMIT');
      return result;
    } catch (error) {
      database.rollback();
      channels.forgetKeys();
      throw error;
    } finally {
      running = false;
    }
  }

  return {
    ...reader,
    transaction,
    integrityCheck: () => {
      const problems = database
        .prepare('PRAGMA integrity_check')
        .all()
        .map((row) => String(row[0]));
      const orphans = database.prepare('PRAGMA foreign_key_check').all();
      for (const row of orphans) problems.push(`${row[0]} row ${row[1]} refers to a missing ${row[2]}`);
      return problems.filter((problem) => problem !== 'ok');
    },
    close: () => {
      if (!database.isOpen) return;
      if (running) throw new StorageError('wrong_use', 'the storage was closed inside a transaction');
      try {
        // libsql keeps the file open until its statements are collected, so nothing may be left to do then.
        database.pragma('wal_checkpoint(TRUNCATE)');
      } finally {
        database.close();
        unlock();
      }
    },
  };
}

/** Whether a write that failed so has left the transaction as it was, so that the body may go on. */
function isHarmless(error: unknown): boolean {
  if (!(error instanceof StorageError)) return false;
  switch (error.code) {
    case 'duplicate':
    case 'not_found':
    case 'out_of_range':
    case 'wrong_use':
      return true;
    case 'locked':
    case 'newer_version':
    case 'disk_full':
    case 'io':
    case 'corrupt':
    case 'failed':
      return false;
  }
}
