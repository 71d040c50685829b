import Libsql from 'libsql';
import { StorageError, type StorageErrorCode } from '../storageError.js';

/** What a column holds. Integers come back as bigint, whatever went in. */
export type SqliteValue = bigint | number | string | Uint8Array | null;
export type Row = readonly SqliteValue[];

/** SQLite's result codes that have a meaning of their own here; the low byte of an extended code. */
const PRIMARY_CODES: Record<string, { code: StorageErrorCode; advice: string }> = {
  SQLITE_BUSY: { code: 'locked', advice: 'another process is using it; stop that one first' },
  SQLITE_LOCKED: { code: 'locked', advice: 'another connection is using it' },
  SQLITE_FULL: { code: 'disk_full', advice: 'make room on the disk; nothing was lost' },
  SQLITE_IOERR: { code: 'io', advice: 'check the disk and its cable, file system and quota, then restart' },
  SQLITE_CANTOPEN: { code: 'io', advice: 'check that the folder exists and that this user may write to it' },
  SQLITE_READONLY: { code: 'io', advice: 'check that this user may write to the file and its folder' },
  SQLITE_PERM: { code: 'io', advice: 'check that this user may write to the file and its folder' },
  SQLITE_CORRUPT: { code: 'corrupt', advice: 'do not delete it; keep a copy and follow the recovery guide' },
  SQLITE_NOTADB: { code: 'corrupt', advice: 'this is no database of a node; check the path' },
};

/** The typed form of whatever libsql threw. */
function storageErrorOf(error: unknown, path: string): StorageError {
  if (error instanceof StorageError) return error;
  const sqliteCode = codeOf(error);
  const text = error instanceof Error ? error.message : String(error);
  if (/^SQLITE_CONSTRAINT_(UNIQUE|PRIMARYKEY)/.test(sqliteCode)) {
    return new StorageError('duplicate', `${path}: a row with this key exists already (${text})`, {
      cause: error,
    });
  }
  if (sqliteCode === 'SQLITE_CONSTRAINT_FOREIGNKEY') {
    return new StorageError('not_found', `${path}: the row that this one belongs to is not stored`, {
      cause: error,
    });
  }
  const known = PRIMARY_CODES[sqliteCode.split('_').slice(0, 2).join('_')];
  if (known !== undefined) {
    return new StorageError(known.code, `${path}: ${text}; ${known.advice}`, { cause: error });
  }
  return new StorageError('failed', `${path}: ${text}`, { cause: error });
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  const { code } = error as { code?: unknown };
  if (typeof code === 'string' && code !== '') return code;
  // A connection that cannot be opened carries its result code only at the end of the message.
  const opening = /^ConnectionFailed\(.*: (\d+)"\)$/s.exec(error.message)?.[1];
  if (opening === undefined) return '';
  switch (Number(opening) & 0xff) {
    case 5:
      return 'SQLITE_BUSY';
    case 10:
      return 'SQLITE_IOERR';
    case 11:
      return 'SQLITE_CORRUPT';
    case 13:
      return 'SQLITE_FULL';
    case 14:
      return 'SQLITE_CANTOPEN';
    case 26:
      return 'SQLITE_NOTADB';
    default:
      return '';
  }
}

/** libsql aborts the whole process on a boolean, so nothing but these may reach it. */
function checked(values: readonly SqliteValue[]): SqliteValue[] {
  for (const value of values) {
    const kind = typeof value;
    if (kind === 'bigint' || kind === 'string' || value === null || value instanceof Uint8Array) continue;
    if (kind === 'number' && Number.isSafeInteger(value)) continue;
    throw new StorageError('out_of_range', `a value of type ${kind} cannot be stored`);
  }
  return values as SqliteValue[];
}

function plain(row: unknown[]): Row {
  for (let i = 0; i < row.length; i++) {
    const value = row[i];
    if (Buffer.isBuffer(value)) row[i] = new Uint8Array(value.buffer, value.byteOffset, value.length);
  }
  return row as SqliteValue[];
}

/** A statement that was parsed once and is used again and again. */
export interface Statement {
  /** How many rows it changed, and the rowid of the last row that was inserted. */
  run(...values: SqliteValue[]): { changes: number; rowid: number };
  get(...values: SqliteValue[]): Row | undefined;
  all(...values: SqliteValue[]): Row[];
}

/**
 * One connection. Errors are StorageErrors that name the file. After an I/O error or a damaged page the
 * connection is dead for good: `failed` says why, and every call throws it.
 */
export class Database {
  readonly path: string;
  readonly #connection: Libsql.Database;
  #failed: StorageError | undefined;
  #open = true;

  /** @throws StorageError `io` when the file cannot be opened or made. */
  constructor(path: string) {
    this.path = path;
    try {
      this.#connection = new Libsql(path);
      this.#connection.defaultSafeIntegers(true);
    } catch (error) {
      throw storageErrorOf(error, path);
    }
  }

  get inTransaction(): boolean {
    // libsql aborts the whole process when a connection that was closed is asked.
    return this.#open && this.#connection.inTransaction;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Runs what the connection is asked for; translates and remembers its failures. */
  #guard<T>(action: () => T): T {
    if (!this.#open) throw new StorageError('wrong_use', `${this.path}: the storage was closed`);
    if (this.#failed !== undefined) throw this.#failed;
    try {
      return action();
    } catch (error) {
      const typed = storageErrorOf(error, this.path);
      if (typed.code === 'io' || typed.code === 'corrupt') this.#failed = typed;
      throw typed;
    }
  }

  exec(sql: string): void {
    this.#guard(() => this.#connection.exec(sql));
  }

  prepare(sql: string): Statement {
    const statement = this.#guard(() => {
      const prepared = this.#connection.prepare(sql);
      return prepared.reader ? prepared.raw() : prepared;
    });
    return {
      run: (...values) =>
        this.#guard(() => {
          const { changes, lastInsertRowid } = statement.run(checked(values));
          return { changes, rowid: Number(lastInsertRowid) };
        }),
      get: (...values) =>
        this.#guard(() => {
          const row = statement.get(checked(values)) as unknown[] | undefined;
          return row === undefined || row === null ? undefined : plain(row);
        }),
      all: (...values) => this.#guard(() => (statement.all(checked(values)) as unknown[][]).map(plain)),
    };
  }

  /** The first column of a pragma's first row. */
  pragma(source: string): SqliteValue {
    return this.prepare(`PRAGMA ${source}`).get()?.[0] ?? null;
  }

  /** Ends a transaction that SQLite has not already rolled back by itself. Never throws. */
  rollback(): void {
    try {
      if (this.inTransaction) this.#connection.exec('ROLLBACK');
    } catch {
      // The error that made us roll back is the one to report; SQLite rolls back when it next opens the file.
    }
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#connection.close();
  }
}
