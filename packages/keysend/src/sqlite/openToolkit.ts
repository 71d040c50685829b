import { Database, makePrivateFile } from '@rivulet/storage/database';
import { KeysendError } from '../keysendError.js';
import type { BoostStore } from '../receiving/boostStore.js';
import type { StoreEntry, StoreRange, StoreTransaction, ToolkitStore } from '../store/toolkitStore.js';
import { boostTables } from './boostTables.js';
import { migrate } from './toolkitMigrations.js';

/** A SQLite file of the toolkit. */
export interface Toolkit {
  readonly store: ToolkitStore;
  /** Received payments, in tables of their own; transactions are the store's. */
  readonly boosts: BoostStore;
  /** The same file, for tables of their own (receiving). */
  readonly database: Database;
  close(): void;
}

/** How long a transaction waits for that of another process. */
const busyTimeoutMs = 10_000;

/**
 * Opens the toolkit's memory: one SQLite file, readable by this user alone, every commit synced to the disk. Several
 * processes may have it open at once (a daemon and the command line); their transactions come one after the other.
 * @throws StorageError `io`, `corrupt`, `newer_version`
 */
export function openToolkit({ path }: { readonly path: string }): Toolkit {
  if (path !== ':memory:') makePrivateFile(path);
  const database = new Database(path);
  try {
    database.pragma(`busy_timeout = ${busyTimeoutMs}`);
    database.pragma('journal_mode = WAL');
    database.exec('PRAGMA synchronous = FULL');
    database.exec('PRAGMA foreign_keys = ON');
    migrate(database);
    return {
      store: sqliteStore(database),
      boosts: boostTables(database),
      database,
      close: () => database.close(),
    };
  } catch (error) {
    database.close();
    throw error;
  }
}

function sqliteStore(database: Database): ToolkitStore {
  const getRow = database.prepare('SELECT value FROM entries WHERE key = ?');
  const putRow = database.prepare(
    'INSERT INTO entries (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
  );
  const deleteRow = database.prepare('DELETE FROM entries WHERE key = ?');
  // One lower bound each: of two, SQLite takes the first one to look up, which may be far below the other.
  const rowsFrom = (lower: '>' | '>=', order: 'ASC' | 'DESC') =>
    database.prepare(
      `SELECT key, value FROM entries WHERE key ${lower} ?1 AND key < ?2 ORDER BY key ${order} LIMIT ?3`,
    );
  const ascending = { '>': rowsFrom('>', 'ASC'), '>=': rowsFrom('>=', 'ASC') };
  const descending = { '>': rowsFrom('>', 'DESC'), '>=': rowsFrom('>=', 'DESC') };

  const get = (key: string): string | undefined => {
    const value = getRow.get(key)?.[0];
    return value === undefined ? undefined : String(value);
  };
  const list = ({ prefix, after, before, limit, reverse = false }: StoreRange): StoreEntry[] => {
    const end = afterPrefix(prefix);
    const upper = before === undefined || compare(end, before) < 0 ? end : before;
    const isWithin = after !== undefined && compare(after, prefix) >= 0;
    const statements = reverse ? descending : ascending;
    const rows = statements[isWithin ? '>' : '>='].all(isWithin ? after : prefix, upper, limit ?? -1);
    return rows.map(([key, value]) => ({ key: String(key), value: String(value) }));
  };

  return {
    get,
    list,
    transaction(body) {
      if (database.inTransaction) throw new KeysendError('store_invalid', 'a transaction is open already');
      let dead = false;
      const alive = (): void => {
        if (dead) throw new KeysendError('store_invalid', 'this transaction is over');
      };
      const tx: StoreTransaction = {
        get,
        list,
        put(key, value) {
          alive();
          putRow.run(key, value);
        },
        delete(key) {
          alive();
          deleteRow.run(key);
        },
      };
      database.exec('BEGIN IMMEDIATE');
      try {
        const result = body(tx);
        database.exec('COMMIT');
        return result;
      } catch (error) {
        database.rollback();
        throw error;
      } finally {
        dead = true;
      }
    },
    close: () => database.close(),
  };
}

/** The last code point sorts behind every key that begins with the prefix; none has it. */
const lastCodePoint = '\u{10ffff}';

function afterPrefix(prefix: string): string {
  return prefix + lastCodePoint;
}

function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
