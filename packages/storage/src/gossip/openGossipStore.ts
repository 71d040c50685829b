import { closeSync, existsSync, openSync, readSync, renameSync, rmSync } from 'node:fs';
import { RivuletError } from '@rivulet/core/bytes';
import { Database } from '../sqlite/database.js';
import { makePrivateFile } from '../sqlite/privateFile.js';
import { StorageError } from '../storageError.js';
import type { GossipStore } from './gossipStore.js';
import { SqliteGossipStore } from './sqliteGossipStore.js';

export interface OpenGossipStoreOptions {
  /** A file of its own, apart from the node's database, whose lock keeps other processes away from both. */
  readonly path: string;
  /** Takes sentences for the log: a damaged file, a full disk. */
  readonly warn: (message: string) => void;
  /** All that was stored is gone, while in use: fetch it anew. May be called inside any call. */
  readonly onLost?: () => void;
  /** The most pages of 4 KiB that the file may grow to; without it the disk is the limit. */
  readonly maxPages?: number;
}

const SQLITE_MAGIC = 'SQLite format 3\0';

/**
 * Opens what was learned of the network. Never throws for a file that cannot be used. One that is no database is put
 * aside as `<path>.damaged` (replacing the one before) and begun anew. One whose damage shows only later is put
 * aside as well, but then gossip is kept in memory until the next start; so it is where the disk fails.
 */
export function openGossipStore(options: OpenGossipStoreOptions): GossipStore {
  const { path, warn, onLost } = options;
  const setAside = () => putAside(path, warn);
  let database: Database | undefined;
  try {
    if (!looksSound(path)) {
      setAside();
      warn(`${path} was no database: it is kept as ${path}.damaged, and the network is learned anew`);
    }
    makePrivateFile(path);
    database = new Database(path);
    if (options.maxPages !== undefined) database.pragma(`max_page_count = ${Math.trunc(options.maxPages)}`);
    database.pragma('journal_mode = WAL');
    // What a crash of the machine takes is fetched again.
    database.exec('PRAGMA synchronous = NORMAL');
  } catch (error) {
    database?.close();
    if (!(error instanceof RivuletError)) throw error;
    const isDamaged = error instanceof StorageError && error.code === 'corrupt';
    // What is said of a damaged database of money, not to delete it, is not meant for this one.
    const why = isDamaged ? `${path} was damaged: it is kept as ${path}.damaged` : error.message;
    warn(`gossip is kept in memory until the next start, and learned anew: ${why}`);
    if (isDamaged) setAside();
    database = new Database(':memory:');
  }
  return new SqliteGossipStore({ database, warn, setAside, onLost });
}

/** A store that forgets everything when it is closed. */
export function openMemoryGossipStore(): GossipStore {
  return new SqliteGossipStore({ database: new Database(':memory:'), warn: () => {}, setAside: () => {} });
}

/** Whether the file is absent, empty or begins as a database does; looked at before any connection exists. */
function looksSound(path: string): boolean {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    // Opening it as a database says what is wrong with it.
    return true;
  }
  try {
    const magic = new Uint8Array(SQLITE_MAGIC.length);
    const length = readSync(file, magic);
    return length === 0 || new TextDecoder().decode(magic) === SQLITE_MAGIC;
  } catch {
    return false;
  } finally {
    closeSync(file);
  }
}

function putAside(path: string, warn: (message: string) => void): void {
  try {
    for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
    if (existsSync(path)) renameSync(path, `${path}.damaged`);
  } catch (error) {
    warn(`${path} could not be put aside: ${error instanceof Error ? error.message : String(error)}`);
  }
}
