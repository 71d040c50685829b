import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { StorageError } from '../../storageError.js';
import { Database } from '../database.js';
import { SCHEMA_VERSION } from '../migrations.js';
import { fileError } from './fileError.js';
import { COPY_NAME } from './replicaCopy.js';
import { nodeFiles } from './replicaFiles.js';
import { WAL_HEADER_BYTES } from './walFormat.js';

/** A copy that is being written to is read again when it changed under our hands; this often. */
const TRIES = 10;

/** What is in a copy of the database. */
export interface VerifiedCopy {
  /** The file that was looked at. */
  readonly path: string;
  /** What is wrong with it; empty when it is sound. */
  readonly problems: readonly string[];
  readonly schemaVersion: number;
  /** The number of its last transaction, as in the status of the node that writes it (0 without a live copy). */
  readonly commits: number;
  readonly channels: number;
  readonly pendingHtlcs: number;
  readonly payments: number;
  readonly tipHeight: number | undefined;
}

export interface VerifyCopyOptions {
  /** The folder of a live copy, or a database file. */
  readonly path: string;
  /** Where there is room for it once more; the system's folder for temporary files without it. */
  readonly workFolder?: string | undefined;
}

/**
 * Looks whether a copy of the database can be restored: opens a copy of it, so that itself is never touched, and
 * has SQLite check everything. It may be in use by a node meanwhile.
 * @throws StorageError `not_found` when there is none; `corrupt` when it cannot even be opened; `newer_version`;
 * `io`.
 */
export function verifyCopy({ path: given, workFolder = tmpdir() }: VerifyCopyOptions): VerifiedCopy {
  const path = databaseIn(given);
  let folder: string | undefined;
  try {
    folder = mkdtempSync(join(workFolder, 'rivulet-verify-'));
    const work = join(folder, COPY_NAME);
    copyBoth(path, work);
    const database = new Database(work);
    try {
      return { path, ...examine(database) };
    } finally {
      database.close();
    }
  } catch (error) {
    // It is not the copy of the copy that the user has to look at.
    if (error instanceof StorageError && folder !== undefined) {
      throw new StorageError(error.code, error.message.replaceAll(join(folder, COPY_NAME), path), {
        cause: error,
      });
    }
    throw fileError(error, path);
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Puts a copy of the database where a node will open it, after having verified it.
 * @throws StorageError `duplicate` when something is there; `corrupt` when the copy is not sound; as verifyCopy.
 */
export function restoreCopy({ from, to }: { readonly from: string; readonly to: string }): VerifiedCopy {
  const target = resolve(to);
  for (const name of [target, `${target}-wal`, `${target}-shm`]) {
    // A log that is left of another database would be read as if it were this one's.
    if (existsSync(name)) {
      throw new StorageError('duplicate', `${name} is there already: move it away, and keep it`);
    }
  }
  const verified = verifyCopy({ path: from });
  if (verified.problems.length > 0) {
    throw new StorageError('corrupt', `${verified.path} is damaged: ${verified.problems.join('; ')}`);
  }
  try {
    install(verified.path, target);
  } catch (error) {
    throw fileError(error, target);
  }
  return verified;
}

/** The file comes last and with one step: without it there is nothing that a node would open. */
function install(from: string, target: string): void {
  const fresh = `${target}.new`;
  copyBoth(from, fresh);
  const names = ['-wal', ''].filter((end) => existsSync(`${fresh}${end}`));
  for (const end of names) {
    const file = nodeFiles.open(`${fresh}${end}`);
    try {
      file.sync();
    } finally {
      file.close();
    }
  }
  for (const end of names) nodeFiles.rename(`${fresh}${end}`, `${target}${end}`);
  nodeFiles.syncFolder(dirname(target));
}

function databaseIn(given: string): string {
  const folder = resolve(given);
  const inFolder = join(folder, COPY_NAME);
  if (existsSync(inFolder)) return inFolder;
  if (statSync(folder, { throwIfNoEntry: false })?.isFile()) return folder;
  throw new StorageError('not_found', `there is no copy of a database in ${folder} (${COPY_NAME})`);
}

/**
 * Copies file and log as they belong together. The log is written into the file only before it begins anew, so
 * that the log that was the same before and after has every page that may have changed in the file meanwhile.
 */
function copyBoth(from: string, to: string): void {
  for (let tries = 1; tries <= TRIES; tries++) {
    const before = marksOf(from);
    copyFileSync(from, to);
    rmSync(`${to}-wal`, { force: true });
    if (existsSync(`${from}-wal`)) copyFileSync(`${from}-wal`, `${to}-wal`);
    if (marksOf(from) === before) return;
  }
  throw new StorageError('io', `${from} changes too fast to be copied: try again`);
}

/** Which file it is, and which life of its log. */
function marksOf(path: string): string {
  const log = `${path}-wal`;
  const header = new Uint8Array(WAL_HEADER_BYTES);
  if (existsSync(log)) {
    const fd = openSync(log, 'r');
    try {
      readSync(fd, header, 0, header.length, 0);
    } finally {
      closeSync(fd);
    }
  }
  return `${nodeFiles.stat(path)?.inode} ${header.join()}`;
}

/** Damage that is met goes into `problems`, and what could not be read for it is 0. */
function examine(database: Database): Omit<VerifiedCopy, 'path'> {
  const number = (sql: string): number => Number(database.prepare(sql).get()?.[0] ?? 0);
  const schemaVersion = number('SELECT max(version) FROM schema_versions');
  if (schemaVersion > SCHEMA_VERSION) {
    throw new StorageError(
      'newer_version',
      `the copy was written by a newer Rivulet (schema ${schemaVersion}; this one knows up to ${SCHEMA_VERSION})`,
    );
  }
  const problems: string[] = [];
  const found = {
    commits: 0,
    channels: 0,
    pendingHtlcs: 0,
    payments: 0,
    tipHeight: undefined as number | undefined,
  };
  try {
    found.commits = Number(database.pragma('user_version')) >>> 0;
    found.channels = number('SELECT count(*) FROM channels');
    found.pendingHtlcs = number('SELECT count(*) FROM htlcs');
    found.payments = number('SELECT count(*) FROM payments');
    const tip = database.prepare('SELECT max(height) FROM blocks').get()?.[0];
    found.tipHeight = typeof tip === 'bigint' ? Number(tip) : undefined;
    for (const [line] of database.prepare('PRAGMA integrity_check').all()) {
      if (line !== 'ok') problems.push(String(line));
    }
    for (const row of database.prepare('PRAGMA foreign_key_check').all()) {
      problems.push(`${row[0]} row ${row[1]} refers to a missing ${row[2]}`);
    }
  } catch (error) {
    if (!(error instanceof StorageError) || error.code !== 'corrupt') throw error;
    problems.push('pages of it are damaged, so that not all of it can be read');
  }
  return { problems, schemaVersion, ...found };
}
