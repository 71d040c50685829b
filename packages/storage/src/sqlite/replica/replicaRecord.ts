import { readFileSync } from 'node:fs';
import type { FileStat, ReplicaFiles } from './replicaFiles.js';

/** Which content a file has, as far as its outside tells. */
export interface FileMark {
  readonly inode: string;
  readonly size: number;
  readonly mtimeNs: string;
}

/** What is remembered of a copy beside the database, from one run of the node to the next. */
export interface ReplicaRecord {
  readonly folder: string;
  /** The copy was on another disk: on ours it can only be because that disk is not mounted. */
  readonly otherDisk: boolean;
  /** Both files had the same content when the storage was last closed, and no log. */
  readonly closed?: { readonly source: FileMark; readonly copy: FileMark } | undefined;
}

export function markOf(stat: FileStat): FileMark {
  return { inode: String(stat.inode), size: stat.size, mtimeNs: String(stat.mtimeNs) };
}

export function hasMark(stat: FileStat | undefined, mark: FileMark): boolean {
  if (stat === undefined) return false;
  const found = markOf(stat);
  return found.inode === mark.inode && found.size === mark.size && found.mtimeNs === mark.mtimeNs;
}

function recordPath(databasePath: string): string {
  return `${databasePath}.replica`;
}

/** What it costs to lose this is one more snapshot, so that an unreadable one is none. */
function readRecord(databasePath: string): ReplicaRecord | undefined {
  try {
    const { folder, otherDisk, closed } = JSON.parse(readFileSync(recordPath(databasePath), 'utf8'));
    if (typeof folder !== 'string' || typeof otherDisk !== 'boolean') return undefined;
    return { folder, otherDisk, closed: isClosed(closed) ? closed : undefined };
  } catch {
    return undefined;
  }
}

function isClosed(value: unknown): value is NonNullable<ReplicaRecord['closed']> {
  const { source, copy } = (value ?? {}) as { source?: unknown; copy?: unknown };
  return [source, copy].every((mark) => {
    const { inode, size, mtimeNs } = (mark ?? {}) as Partial<FileMark>;
    return typeof inode === 'string' && typeof size === 'number' && typeof mtimeNs === 'string';
  });
}

/** @throws what the file system throws */
export function writeRecord(
  files: ReplicaFiles,
  { databasePath, record }: { databasePath: string; record: ReplicaRecord },
): void {
  const path = recordPath(databasePath);
  const fresh = `${path}.new`;
  files.remove(fresh);
  try {
    const file = files.open(fresh);
    try {
      file.write(new TextEncoder().encode(`${JSON.stringify(record)}\n`), 0);
      file.sync();
    } finally {
      file.close();
    }
    files.rename(fresh, path);
  } catch (error) {
    files.remove(fresh);
    throw error;
  }
}

/**
 * Takes what is remembered, before the database is opened, with or without a copy: what is said of the last close
 * holds once, because from now on the file changes.
 * @throws what the file system throws
 */
export function takeRecord(files: ReplicaFiles, databasePath: string): ReplicaRecord | undefined {
  const record = readRecord(databasePath);
  if (record?.closed !== undefined) {
    try {
      writeRecord(files, { databasePath, record: { ...record, closed: undefined } });
    } catch {
      // A full disk must not keep the node from starting; to remove needs no room.
      files.remove(recordPath(databasePath));
    }
  }
  return record;
}
