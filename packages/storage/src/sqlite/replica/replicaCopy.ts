import { join } from 'node:path';
import { StorageError } from '../../storageError.js';
import type { FileStat, ReplicaFile, ReplicaFiles } from './replicaFiles.js';
import {
  FRAME_HEADER_BYTES,
  frameOffset,
  isSamePosition,
  type ReadAt,
  readWalHeader,
  scanCommits,
  startOfWal,
  type WalHeader,
  type WalPosition,
} from './walFormat.js';

/** What the copy is called in its folder; SQLite finds the log of a database by its name. */
export const COPY_NAME = 'rivulet.sqlite';
const COPY_WAL_NAME = `${COPY_NAME}-wal`;

const HEADER_BYTES = 100;
const HEADER_TEXT = 'SQLite format 3\0';
/** The log of the copy grows in steps, so that an append need not wait for the file system to find room. */
const GROWTH_BYTES = 1 << 20;
const CHUNK_BYTES = 1 << 20;

/** Whose copy it is and how far it is, as of the last transaction in it. */
export interface CopyState {
  /** The header's application id: drawn once for each node's database. */
  readonly lineage: number;
  /** The header's user version: the number of the last transaction, modulo 2^32. */
  readonly commits: number;
  /** The place in the log up to which it counts; `undefined` without a log. */
  readonly wal: WalPosition | undefined;
}

/** Reads lineage and number of commits out of the first bytes of page 1; `undefined` when it is no such page. */
function decodeFirstPage(bytes: Uint8Array): Pick<CopyState, 'lineage' | 'commits'> | undefined {
  for (let i = 0; i < HEADER_TEXT.length; i++) {
    if (bytes[i] !== HEADER_TEXT.charCodeAt(i)) return undefined;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return { lineage: view.getUint32(68), commits: view.getUint32(60) };
}

/**
 * The copy of a database in its folder: one database file and its log, which SQLite can open at any moment,
 * also when whoever writes them died half-way. Nothing here knows the source.
 *
 * The order of writes makes it so, and every step is synced before the next:
 * - appending to the log: what is torn has no valid checksum and does not count;
 * - when the source's log begins anew, the copy's log is written into the copy's file (whoever dies half-way
 *   leaves the log, which counts for all pages that it has), and only then is the log's header replaced, which
 *   makes the frames behind it void;
 * - a new snapshot is made beside the copy, which stays as it is until the snapshot is whole. The old log is
 *   folded and emptied before the snapshot takes the file's place: it must never be read with another file.
 */
export class ReplicaCopy {
  readonly folder: string;
  readonly #files: ReplicaFiles;
  #wal: ReplicaFile | undefined;
  /** Of the log's file, as we left it: another inode or size means that someone else was at it. */
  #walStat: Pick<FileStat, 'inode' | 'size'> = { inode: 0n, size: 0 };
  #written = 0;

  constructor(files: ReplicaFiles, folder: string) {
    this.#files = files;
    this.folder = folder;
  }

  /** Bytes that were written so far. */
  get writtenBytes(): number {
    return this.#written;
  }

  get #path(): string {
    return join(this.folder, COPY_NAME);
  }

  get #walPath(): string {
    return join(this.folder, COPY_WAL_NAME);
  }

  /** What the file itself is, to recognise it later. */
  stat(): FileStat | undefined {
    return this.#files.stat(this.#path);
  }

  /** What is in the folder: nothing, something that cannot be read as a database, or a copy. */
  read(): CopyState | 'none' | 'damaged' {
    if ((this.#files.stat(this.#path)?.size ?? 0) === 0) return 'none';
    const file = this.#files.open(this.#path);
    try {
      const first = new Uint8Array(HEADER_BYTES);
      if (file.read(first, 0) < HEADER_BYTES || decodeFirstPage(first) === undefined) return 'damaged';
      let wal: WalPosition | undefined;
      const log = this.#openWal();
      const header = readWalHeader(log.read);
      if (header !== undefined) {
        let inFrame: number | undefined;
        wal = scanCommits(log.read, {
          from: startOfWal(header),
          onCommit: ({ frames }) => {
            inFrame = frames.findLast(({ page }) => page === 1)?.index ?? inFrame;
          },
        });
        if (inFrame !== undefined) log.read(first, frameOffset(header, inFrame) + FRAME_HEADER_BYTES);
      }
      const decoded = decodeFirstPage(first);
      return decoded === undefined ? 'damaged' : { ...decoded, wal };
    } finally {
      file.close();
    }
  }

  /** Opens the log, which is made when it is not there. */
  #openWal(): ReplicaFile {
    if (this.#wal === undefined) {
      this.#wal = this.#files.open(this.#walPath);
      this.#walStat = this.#wal.stat();
    }
    return this.#wal;
  }

  /**
   * Refuses to go on with a log that is not the one in the folder any more: a disk that was taken away, a tool
   * that opened the copy and tidied up after itself.
   */
  check(): void {
    const found = this.#files.stat(this.#walPath);
    if (found?.inode === this.#walStat.inode && found.size === this.#walStat.size) return;
    throw new StorageError(
      'io',
      `${this.#walPath} was changed or removed by something else: open a copy of it, never the copy itself`,
    );
  }

  /** Lets the log's file grow so that `bytes` more fit behind `position`. */
  makeRoom(position: WalPosition, bytes: number): void {
    const wal = this.#openWal();
    const end = frameOffset(position.header, position.frames) + bytes;
    if (end <= this.#walStat.size) return;
    const size = Math.ceil(end / GROWTH_BYTES) * GROWTH_BYTES;
    const zeros = new Uint8Array(Math.min(CHUNK_BYTES, size - this.#walStat.size));
    for (let at = this.#walStat.size; at < size; at += zeros.length) {
      this.#write(wal, { bytes: zeros.subarray(0, Math.min(zeros.length, size - at)), position: at });
    }
    wal.sync();
    this.#walStat = { ...this.#walStat, size };
  }

  #write(file: ReplicaFile, { bytes, position }: { bytes: Uint8Array; position: number }): void {
    file.write(bytes, position);
    this.#written += bytes.length;
  }

  /** Appends what a log has between two places of it. It is durable when this returns. */
  append(read: ReadAt, { from, to }: { from: WalPosition; to: WalPosition }): void {
    this.check();
    const start = frameOffset(from.header, from.frames);
    const end = frameOffset(to.header, to.frames);
    this.makeRoom(from, end - start);
    const wal = this.#openWal();
    const buffer = new Uint8Array(Math.min(CHUNK_BYTES, end - start));
    for (let at = start; at < end; at += buffer.length) {
      const chunk = buffer.subarray(0, Math.min(buffer.length, end - at));
      if (read(chunk, at) < chunk.length) {
        throw new StorageError('io', 'the log of the database became shorter while it was copied');
      }
      this.#write(wal, { bytes: chunk, position: at });
    }
    wal.sync();
  }

  /** Begins a new life of the log, which makes all its frames void. Fold first. */
  restart(header: WalHeader): void {
    const wal = this.#openWal();
    this.#write(wal, { bytes: header.bytes, position: 0 });
    if (this.#walStat.size < header.bytes.length) {
      this.#walStat = { ...this.#walStat, size: header.bytes.length };
    }
    // Before any frame: a header that came later could make frames of the life before count again.
    wal.sync();
  }

  /**
   * Writes what is committed in the log into the file, and leaves the log as it is.
   * @throws StorageError `corrupt` when the log does not reach to `expected`, or is not that log at all.
   */
  fold(expected?: WalPosition): void {
    const log = this.#openWal();
    const header = readWalHeader(log.read);
    const pages = new Map<number, number>();
    let pageCount = 0;
    const end =
      header &&
      scanCommits(log.read, {
        from: startOfWal(header),
        onCommit: (commit) => {
          for (const { index, page } of commit.frames) pages.set(page, index);
          pageCount = commit.pageCount;
        },
      });
    if (expected !== undefined && (end === undefined || !isSamePosition(end, expected))) {
      throw new StorageError('corrupt', `${this.#walPath} does not hold what was written to it`);
    }
    if (header === undefined || pages.size === 0) return;
    const file = this.#files.open(this.#path);
    try {
      const content = new Uint8Array(header.pageSize);
      const inOrder = [...pages].filter(([page]) => page <= pageCount).sort(([a], [b]) => a - b);
      for (const [page, index] of inOrder) {
        log.read(content, frameOffset(header, index) + FRAME_HEADER_BYTES);
        this.#write(file, { bytes: content, position: (page - 1) * header.pageSize });
      }
      file.truncate(pageCount * header.pageSize);
      file.sync();
    } finally {
      file.close();
    }
  }

  /** Leaves an empty log. Fold first. */
  emptyWal(): void {
    const wal = this.#openWal();
    wal.truncate(0);
    wal.sync();
    this.#walStat = { ...this.#walStat, size: 0 };
  }

  /** Puts a whole new database in the place of what is there, with an empty log. */
  replaceBy(pages: Iterable<Uint8Array>): void {
    const fresh = `${this.#path}.new`;
    this.#files.remove(fresh);
    try {
      const file = this.#files.open(fresh);
      try {
        let position = 0;
        for (const page of pages) {
          this.#write(file, { bytes: page, position });
          position += page.length;
        }
        file.sync();
      } finally {
        file.close();
      }
      const old = this.read();
      if (old === 'damaged') this.#files.rename(this.#path, `${this.#path}.damaged`);
      else if (old !== 'none') this.fold();
      this.emptyWal();
      // Of a tool that once looked into the copy; it describes a log that is gone.
      this.#files.remove(`${this.#path}-shm`);
      this.#files.rename(fresh, this.#path);
      this.#files.syncFolder(this.folder);
    } catch (error) {
      try {
        // On a disk that is full this is what keeps the copy that is there from catching up.
        this.#files.remove(fresh);
      } catch {
        // The first error says why.
      }
      throw error;
    }
  }

  close(): void {
    const wal = this.#wal;
    this.#wal = undefined;
    try {
      wal?.close();
    } catch {
      // What had to be durable was synced.
    }
  }
}
