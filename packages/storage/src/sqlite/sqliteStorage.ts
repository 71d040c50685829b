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
import { copyInto, type DatabaseCopy } from './replica/copyDatabase.js';
import { Replica } from './replica/replica.js';
import { nodeFiles } from './replica/replicaFiles.js';
import { takeRecord } from './replica/replicaRecord.js';
import type { ReplicaOptions, ReplicaStatus } from './replica/replicaStatus.js';
import { routingTables } from './routingTables.js';
import { towerTables } from './towerTables.js';

export interface OpenStorageOptions {
  /** The database file. It and its folder are made when they are not there, readable by this user alone. */
  readonly path: string;
  /** The most pages of 4 KiB that the file may grow to; without it the disk is the limit. */
  readonly maxPages?: number | undefined;
  /** Pages in the write-ahead log before they are copied into the file; for tests of what happens then. */
  readonly checkpointPages?: number | undefined;
  /** Keeps a live copy in a second place: a transaction returns when the copy has it too. */
  readonly replica?: ReplicaOptions | undefined;
}

/** A storage in a file of its own. */
export interface FileStorage extends NodeStorage {
  /** How the live copy is; `undefined` where none was asked for. */
  replicaStatus(): ReplicaStatus | undefined;
  /**
   * Tries to bring a live copy that is not in step up to date, if it is time to try again: for a node without
   * transactions, which try as well. Copying the whole database may take a while. Does not throw.
   */
  tendReplica(): ReplicaStatus | undefined;
  /**
   * Writes what is stored now into a new file, and goes on; the file is whole and durable when this returns.
   * @throws StorageError `duplicate` when there is a file; `disk_full`; `io`; `wrong_use` inside a transaction.
   */
  copyTo(path: string): DatabaseCopy;
}

/** How long a statement waits for another connection: a tool that reads the file beside the node. */
const BUSY_TIMEOUT_MS = 5_000;
/** Pages in the write-ahead log before they are copied into the file: about 16 MB. */
const CHECKPOINT_PAGES = 4_000;

/**
 * Opens the node's storage: one SQLite file (with `-wal` and `-shm` beside it while open), write-ahead log,
 * every commit synced to the disk.
 * @throws StorageError `locked` when another node has it open; `newer_version`; `corrupt`; `io`; `copy_conflict`
 * when the folder for the copy has another or a newer database; `copy_behind` when a required copy cannot be made.
 */
export function openStorage(options: OpenStorageOptions): FileStorage {
  makePrivateFile(options.path);
  // The lock must not depend on which symbolic link led here.
  const path = realpathSync(options.path);
  const unlock = lockFile(path);
  let database: Database | undefined;
  try {
    const record = takeRecord(nodeFiles, path);
    database = new Database(path);
    if (options.maxPages !== undefined) database.pragma(`max_page_count = ${Math.trunc(options.maxPages)}`);
    // Before anything is changed: a file that is not ours, or not yet known to us, stays as it is.
    migrate(database);
    const mode = database.pragma('journal_mode = WAL');
    if (mode !== 'wal') {
      throw new StorageError('io', `${path}: this file system has no write-ahead log (mode ${mode})`);
    }
    const { replica, checkpointPages } = options;
    return sqliteStorage(database, {
      unlock,
      checkpointPages,
      makeReplica: (opened) => replica && new Replica(opened, { options: replica, record }),
    });
  } catch (error) {
    if (error instanceof StorageError && error.code === 'copy_conflict') foldLog(database);
    database?.close();
    unlock();
    throw error;
  }
}

/** A log that is left behind would be taken for that of the database that is restored to this place. */
function foldLog(database: Database | undefined): void {
  try {
    database?.pragma('wal_checkpoint(TRUNCATE)');
  } catch {
    // The conflict is what is reported.
  }
}

/** Brings the log into the file, as far as there is room, so that the next transactions need no more for it. */
function reuseLog(database: Database): void {
  try {
    database.pragma('wal_checkpoint(PASSIVE)');
  } catch {
    // There is no room for that either.
  }
}

/** A storage that forgets everything when it is closed: for tests only. */
export function openMemoryStorage(): NodeStorage {
  const database = new Database(':memory:');
  migrate(database);
  return sqliteStorage(database, { unlock: () => {}, makeReplica: () => undefined });
}

interface StorageParts {
  readonly unlock: () => void;
  readonly checkpointPages?: number | undefined;
  /** Called when the connection is set up. */
  readonly makeReplica: (database: Database) => Replica | undefined;
}

function sqliteStorage(
  database: Database,
  { unlock, checkpointPages = CHECKPOINT_PAGES, makeReplica }: StorageParts,
): FileStorage {
  database.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
  database.exec('PRAGMA synchronous = FULL');
  database.exec('PRAGMA foreign_keys = ON');
  database.pragma(`wal_autocheckpoint = ${checkpointPages}`);
  const replica = makeReplica(database);

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
  let wrote = false;
  // Why the running transaction can no longer be committed, even if its body swallowed the error: SQLite ends
  // a transaction by itself when the disk is full, and what was written after that would be committed alone.
  let broken: unknown;

  /** A writer that refuses to work once its transaction is over or broken. */
  function guarded<Values extends unknown[]>(name: string, write: (...values: Values) => void) {
    return (...values: Values): void => {
      if (!running) throw new StorageError('wrong_use', `${name} was called outside its transaction`);
      if (broken !== undefined) throw broken;
      wrote = true;
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
    replica?.beforeBegin();
    database.exec('BEGIN IMMEDIATE');
    running = true;
    wrote = false;
    broken = undefined;
    let result: T;
    try {
      result = body(tx);
      if (result instanceof Promise) {
        // Its rejection is not ours to report: the misuse is.
        result.catch(() => {});
        throw new StorageError(
          'wrong_use',
          'the body of a transaction returned a promise: it must be synchronous',
        );
      }
      if (broken !== undefined) throw broken;
      if (wrote) replica?.stamp();
      database.exec('COMMIT');
    } catch (error) {
      database.rollback();
      channels.forgetKeys();
      if (error instanceof StorageError && error.code === 'disk_full') reuseLog(database);
      throw error;
    } finally {
      running = false;
    }
    if (wrote) replica?.committed();
    return result;
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
    replicaStatus: () => replica?.status(),
    tendReplica: () => (running ? replica?.status() : replica?.tend()),
    copyTo: (copyPath) => {
      if (running) throw new StorageError('wrong_use', 'the database was copied inside a transaction');
      return copyInto(database, copyPath);
    },
    close: () => {
      if (!database.isOpen) return;
      if (running) throw new StorageError('wrong_use', 'the storage was closed inside a transaction');
      try {
        replica?.tend({ now: true });
        // libsql keeps the file open until its statements are collected, so nothing may be left to do then.
        database.pragma('wal_checkpoint(TRUNCATE)');
      } finally {
        database.close();
        replica?.close();
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
    case 'copy_behind':
    case 'copy_lost':
    case 'copy_conflict':
    case 'failed':
      return false;
  }
}
