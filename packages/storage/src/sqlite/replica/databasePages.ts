import { StorageError } from '../../storageError.js';
import type { Database } from '../database.js';

const PAGES_PER_CHUNK = 64;

/**
 * The whole database as the last transaction left it, many pages at a time; each chunk is dead once the next is
 * asked for. It is read through SQLite: to open the file itself, and to close it, would cost all locks on it. Call
 * it inside a transaction, so that all pages are of one state.
 */
export function* databasePages(database: Database): Generator<Uint8Array> {
  const pageCount = Number(database.pragma('page_count'));
  const pageSize = Number(database.pragma('page_size'));
  const select = database.prepare('SELECT data FROM sqlite_dbpage WHERE pgno = ?');
  const buffer = new Uint8Array(PAGES_PER_CHUNK * pageSize);
  let filled = 0;
  for (let page = 1; page <= pageCount; page++) {
    const data = select.get(page)?.[0];
    if (!(data instanceof Uint8Array) || data.length !== pageSize) {
      throw new StorageError('corrupt', `${database.path}: page ${page} cannot be read`);
    }
    buffer.set(data, filled);
    filled += pageSize;
    if (filled < buffer.length && page < pageCount) continue;
    yield buffer.subarray(0, filled);
    filled = 0;
  }
}
