import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { StorageError } from '../../storageError.js';
import type { Database } from '../database.js';
import { databasePages } from './databasePages.js';
import { type CopyState, ReplicaCopy } from './replicaCopy.js';
import { nodeFiles, type ReplicaFiles } from './replicaFiles.js';
import { hasMark, markOf, type ReplicaRecord, writeRecord } from './replicaRecord.js';
import type { ReplicaOptions, ReplicaState, ReplicaStatus } from './replicaStatus.js';
import {
  isSameLog,
  isSamePosition,
  type ReadAt,
  readWalHeader,
  scanCommits,
  startOfWal,
  type WalPosition,
} from './walFormat.js';

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 60_000;
/** Transactions are refused meanwhile, so that waiting costs more than trying. */
const LAST_RETRY_REQUIRED_MS = 5_000;
/** Room in the copy's log that a transaction finds before it begins, where the copy is required. */
const ROOM_BYTES = 1 << 20;

/** Whether `a` comes after `b`, for counters that go round at 2^32. */
function isAfter(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}

/**
 * Keeps a copy of an open database in step: after each commit it appends what SQLite appended to its log.
 *
 * The copy goes on from where it is only when that is proven: its log begins with the very header of the source's
 * log and has the same checksum at its end, or both files are as the last close left them, with the same content.
 * Else the whole database is copied. A copy is never replaced that is not this database's (the header's
 * application id, drawn once) or that is newer (the user version, which counts transactions): who starts with an
 * old or an empty database beside its copy is told so (`copy_conflict`) before any peer is.
 */
export class Replica {
  readonly #options: ReplicaOptions;
  readonly #folder: string;
  readonly #files: ReplicaFiles;
  readonly #now: () => number;
  readonly #database: Database;
  readonly #record: ReplicaRecord | undefined;
  #copy: ReplicaCopy;
  #sourceLog: number | undefined;
  /** What of the source's log the copy has; `undefined` while the log has had no life since both were equal. */
  #position: WalPosition | undefined;
  #dataVersion: unknown;
  #lineage: number;
  #commits: number;
  #copiedCommits: number | undefined;
  #state: ReplicaState = 'failed';
  #told = false;
  #since: number;
  #lastError: string | undefined;
  #retries = 0;
  #retryAt = 0;
  #snapshots = 0;
  #bytesOfFormerCopies = 0;
  #sameDisk = false;
  /** A transaction was committed here that the copy, which is required, does not have. */
  #lost: StorageError | undefined;

  /**
   * @param given.record what takeRecord() gave before the database was opened
   * @throws StorageError `copy_conflict`; `copy_behind` where the copy is required and cannot be made.
   */
  constructor(
    database: Database,
    { options, record }: { options: ReplicaOptions; record: ReplicaRecord | undefined },
  ) {
    this.#database = database;
    this.#options = options;
    this.#folder = resolve(options.folder);
    this.#files = options.files ?? nodeFiles;
    this.#now = options.now ?? Date.now;
    this.#since = this.#now();
    this.#record = record;
    this.#copy = new ReplicaCopy(this.#files, this.#folder);
    this.#lineage = Number(database.pragma('application_id')) >>> 0;
    this.#commits = Number(database.pragma('user_version')) >>> 0;
    try {
      this.#attach({ closed: record?.folder === this.#folder ? record.closed : undefined });
      this.#inStep();
    } catch (error) {
      if (error instanceof StorageError && error.code === 'copy_conflict') {
        this.#release();
        throw error;
      }
      this.#failed(error);
      if (options.required === true) {
        this.#release();
        throw this.#refusal();
      }
    }
  }

  status(): ReplicaStatus {
    return {
      path: this.#folder,
      state: this.#state,
      required: this.#options.required === true,
      since: this.#since,
      lastError: this.#lastError,
      copiedBytes: this.#bytesOfFormerCopies + this.#copy.writtenBytes,
      commits: this.#commits,
      copiedCommits: this.#copiedCommits,
      snapshots: this.#snapshots,
      sameDisk: this.#sameDisk,
    };
  }

  /** Before a transaction. @throws StorageError `copy_behind` or `copy_lost`; nothing has begun. */
  beforeBegin(): void {
    if (this.#options.required !== true) return;
    if (this.#lost !== undefined) throw this.#lost;
    if (this.#state === 'in_step') {
      try {
        this.#copy.check();
        if (this.#position !== undefined) this.#copy.makeRoom(this.#position, ROOM_BYTES);
      } catch (error) {
        this.#failed(error);
        this.#retryAt = this.#now();
      }
    }
    this.tend();
    if (this.#state !== 'in_step') throw this.#refusal();
  }

  /** Numbers the transaction that is about to be committed, inside of it; call `committed` when it is. */
  stamp(): void {
    this.#database.exec(`PRAGMA user_version = ${(this.#commits + 1) | 0}`);
  }

  /**
   * The numbered transaction has committed; brings it to the copy. Does not throw, but for
   * @throws StorageError `copy_lost` where the copy is required.
   */
  committed(): void {
    this.#commits = (this.#commits + 1) >>> 0;
    if (this.#state !== 'in_step') {
      this.tend();
      return;
    }
    try {
      this.#advance();
      this.#copiedCommits = this.#commits;
    } catch (error) {
      this.#failed(error);
      if (this.#options.required !== true) return;
      if (this.tend({ now: true }).state === 'in_step') return;
      this.#lost = new StorageError(
        'copy_lost',
        `${this.#database.path}: a transaction was stored here but not in its copy, which is required ` +
          `(${this.#lastError}); nothing more is stored until the node is started again with the copy in reach`,
      );
      throw this.#lost;
    }
  }

  /** Tries to bring a copy that is not in step up to date, once the time has come for that. Does not throw. */
  tend({ now = false } = {}): ReplicaStatus {
    if (this.#state !== 'in_step' && (now || this.#isTime)) {
      try {
        this.#attach({});
        this.#inStep();
      } catch (error) {
        this.#failed(error);
      }
    }
    return this.status();
  }

  /** A clock that was set back must not make a day of a minute. */
  get #isTime(): boolean {
    const waitMs = this.#retryAt - this.#now();
    return waitMs <= 0 || waitMs > LAST_RETRY_MS;
  }

  /** After the source's log was written into its file and the connection closed. Does not throw. */
  close(): void {
    try {
      if (
        this.#state === 'in_step' &&
        (this.#sourceLog === undefined || fstatSync(this.#sourceLog).size === 0)
      ) {
        this.#leaveEqual();
      }
    } catch (error) {
      // The next start finds no proof that both are equal and copies anew.
      this.#failed(error);
    } finally {
      this.#release();
    }
  }

  #leaveEqual(): void {
    this.#copy.check();
    if (this.#position !== undefined) this.#copy.fold(this.#position);
    this.#copy.emptyWal();
    const source = nodeFiles.stat(this.#database.path);
    const copy = this.#copy.stat();
    if (source === undefined || copy === undefined) return;
    this.#remember({ closed: { source: markOf(source), copy: markOf(copy) } });
  }

  #remember(more: Pick<ReplicaRecord, 'closed'>): void {
    writeRecord(nodeFiles, {
      databasePath: this.#database.path,
      record: { folder: this.#folder, otherDisk: !this.#sameDisk, ...more },
    });
  }

  #release(): void {
    this.#copy.close();
    if (this.#sourceLog !== undefined) closeSync(this.#sourceLog);
    this.#sourceLog = undefined;
  }

  /** Reads the source's log. SQLite locks no bytes of this file, so that closing it lets go of no lock. */
  readonly #readSource: ReadAt = (buffer, position) => {
    const path = `${this.#database.path}-wal`;
    if (this.#sourceLog === undefined) {
      if (!existsSync(path)) return 0;
      this.#sourceLog = openSync(path, 'r');
    }
    return readSync(this.#sourceLog, buffer, 0, buffer.length, position);
  };

  /** Brings the copy up to date from whatever state it is in. */
  #attach({ closed }: Pick<ReplicaRecord, 'closed'>): void {
    this.#bytesOfFormerCopies += this.#copy.writtenBytes;
    this.#copy.close();
    this.#copy = new ReplicaCopy(this.#files, this.#folder);
    this.#checkDisk();
    this.#files.makeFolder(this.#folder);
    const found = this.#copy.read();
    if (found !== 'none' && found !== 'damaged') this.#checkLineage(found);
    if (this.#lineage === 0) this.#drawLineage();
    this.#dataVersion = this.#database.pragma('data_version');
    const position = typeof found === 'string' ? undefined : this.#proven(found, closed);
    if (position === undefined) this.#snapshot();
    else {
      this.#position = position === 'equal' ? undefined : position;
      this.#advance();
    }
    this.#copiedCommits = this.#commits;
    if (this.#record?.folder !== this.#folder || this.#record.otherDisk === this.#sameDisk) {
      try {
        this.#remember({ closed: undefined });
      } catch {
        // The database's own disk is full: the copy is good all the same.
      }
    }
  }

  /** @throws StorageError `io` when the folder's disk is not there, so that its mount point would be filled. */
  #checkDisk(): void {
    let existing = this.#folder;
    while (this.#files.stat(existing) === undefined && dirname(existing) !== existing)
      existing = dirname(existing);
    const device = nodeFiles.stat(dirname(this.#database.path))?.device;
    this.#sameDisk = this.#files.stat(existing)?.device === device;
    if (this.#sameDisk && this.#record?.folder === this.#folder && this.#record.otherDisk) {
      throw new StorageError(
        'io',
        `${this.#folder} was on another disk and now is on the database's own: mount that disk ` +
          `(or remove ${this.#database.path}.replica if this is meant)`,
      );
    }
  }

  #checkLineage({ lineage, commits }: CopyState): void {
    const ways = `Restore the database from it, or, if you know that it is not needed, move it away. Nothing was changed`;
    if (lineage === 0 || lineage !== this.#lineage) {
      throw new StorageError(
        'copy_conflict',
        `${this.#folder} holds a database that is not a copy of ${this.#database.path}: of another node, or of ` +
          `this one before its database was lost. ${ways}`,
      );
    }
    if (isAfter(commits, this.#commits)) {
      throw new StorageError(
        'copy_conflict',
        `${this.#database.path} is older than its copy in ${this.#folder} (${(commits - this.#commits) >>> 0} ` +
          `transactions): going on with it would lose the money in its channels. ${ways}`,
      );
    }
  }

  #drawLineage(): void {
    while (this.#lineage === 0) this.#lineage = randomBytes(4).readUInt32BE();
    this.#database.exec(`PRAGMA application_id = ${this.#lineage | 0}`);
  }

  /** From where the copy may go on, when that is certain: a place in the log, or the files as such. */
  #proven(found: CopyState, closed: ReplicaRecord['closed']): WalPosition | 'equal' | undefined {
    const header = readWalHeader(this.#readSource);
    if (found.wal !== undefined && header !== undefined && isSameLog(header, found.wal.header)) {
      const { frames } = found.wal;
      const here = scanCommits(this.#readSource, { from: startOfWal(header), maxFrames: frames });
      return isSamePosition(here, found.wal) ? here : undefined;
    }
    if (closed === undefined || (found.wal?.frames ?? 0) > 0) return undefined;
    const isEqual =
      hasMark(nodeFiles.stat(this.#database.path), closed.source) && hasMark(this.#copy.stat(), closed.copy);
    return isEqual ? 'equal' : undefined;
  }

  /** Appends what the source's log has and the copy has not. */
  #advance(): void {
    const header = readWalHeader(this.#readSource);
    if (header === undefined) return;
    let from = this.#position;
    if (from === undefined || !isSameLog(from.header, header)) {
      // The log began anew. Had anyone else written before that, we would not have seen all of its last life.
      if (this.#database.pragma('data_version') !== this.#dataVersion) {
        this.#snapshot();
        return;
      }
      this.#copy.check();
      if (from !== undefined) this.#copy.fold(from);
      this.#copy.restart(header);
      from = startOfWal(header);
      this.#position = from;
    }
    const to = scanCommits(this.#readSource, { from });
    if (to.frames > from.frames) this.#copy.append(this.#readSource, { from, to });
    this.#position = to;
  }

  /** Copies the whole database, inside a transaction that reads: the log cannot begin anew meanwhile. */
  #snapshot(): void {
    this.#database.exec('BEGIN');
    try {
      this.#copy.replaceBy(databasePages(this.#database));
      this.#snapshots++;
      this.#position = undefined;
      this.#dataVersion = this.#database.pragma('data_version');
      this.#advance();
    } finally {
      this.#database.rollback();
    }
  }

  #inStep(): void {
    this.#retries = 0;
    this.#lastError = undefined;
    this.#enter('in_step');
  }

  #failed(error: unknown): void {
    this.#lastError = error instanceof Error ? error.message : String(error);
    const last = this.#options.required === true ? LAST_RETRY_REQUIRED_MS : LAST_RETRY_MS;
    this.#retryAt = this.#now() + Math.min(last, FIRST_RETRY_MS * 2 ** this.#retries++);
    this.#enter(this.#holdsOurs() ? 'behind' : 'failed');
  }

  /** Whether the folder holds an earlier state of this database. */
  #holdsOurs(): boolean {
    const copy = new ReplicaCopy(this.#files, this.#folder);
    this.#copiedCommits = undefined;
    try {
      const found = copy.read();
      if (typeof found === 'string') return false;
      this.#checkLineage(found);
      this.#copiedCommits = found.commits;
      return true;
    } catch {
      return false;
    } finally {
      copy.close();
    }
  }

  #enter(state: ReplicaState): void {
    if (this.#told && state === this.#state) return;
    this.#told = true;
    this.#since = this.#now();
    this.#state = state;
    try {
      this.#options.onChange?.(this.status());
    } catch {
      // Whoever listens cannot undo what was committed.
    }
  }

  #refusal(): StorageError {
    return new StorageError(
      'copy_behind',
      `the copy of ${this.#database.path} in ${this.#folder} is required and not in step (${this.#lastError}): ` +
        'bring its disk back or make room on it. Nothing was changed',
    );
  }
}
