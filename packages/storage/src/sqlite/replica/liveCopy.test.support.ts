import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StorageError } from '../../storageError.js';
import { Database } from '../database.js';
import { type FileStorage, openStorage } from '../sqliteStorage.js';
import { readContent } from './replica.test.support.js';
import { nodeFiles, type ReplicaFiles } from './replicaFiles.js';
import type { ReplicaOptions, ReplicaStatus } from './replicaStatus.js';
import { restoreCopy } from './verifyCopy.js';

export const bytes = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

export function failureOf(action: () => unknown): StorageError {
  try {
    action();
  } catch (error) {
    if (error instanceof StorageError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** The real files, which fail as `fault` says. */
export function faultyFiles(fault: (operation: string) => void): ReplicaFiles {
  return {
    ...nodeFiles,
    open(path) {
      fault('open');
      const file = nodeFiles.open(path);
      return {
        ...file,
        write(chunk, position) {
          fault('write');
          file.write(chunk, position);
        },
        sync() {
          fault('sync');
          file.sync();
        },
      };
    },
    stat(path) {
      fault('stat');
      return nodeFiles.stat(path);
    },
  };
}

/** Writes one value, whose length and content follow from the key. */
export function put(storage: FileStorage, key: string, length = 3_000): void {
  storage.transaction((tx) => tx.putValue(key, bytes(length, key.length)));
}

export function statusOf(storage: FileStorage): ReplicaStatus {
  const status = storage.replicaStatus();
  if (status === undefined) throw new Error('there is no copy');
  return status;
}

/** What a database holds, read by a connection of its own beside the one that writes. */
export function contentAt(file: string): string {
  const database = new Database(file);
  try {
    return readContent(database).content;
  } finally {
    database.close();
  }
}

/** Folders of one test file, and in them places for a database and its copy. */
export function makePlaces() {
  const root = mkdtempSync(join(tmpdir(), 'rivulet-replica-'));
  let folders = 0;
  const newFolder = (): string => join(root, String(folders++));
  return {
    root,
    newFolder,
    remove: () => rmSync(root, { recursive: true, force: true }),
    place: () => {
      const base = newFolder();
      const path = join(base, 'node.sqlite');
      const folder = join(base, 'copy');
      return {
        path,
        folder,
        /** Its log begins anew every few transactions. */
        open: (replica: Partial<ReplicaOptions> = {}): FileStorage =>
          openStorage({ path, checkpointPages: 20, replica: { folder, ...replica } }),
        /** What the copy holds, read from a copy of it. */
        contentOfCopy: (): string => {
          const target = join(newFolder(), 'restored.sqlite');
          nodeFiles.makeFolder(join(target, '..'));
          restoreCopy({ from: folder, to: target });
          return contentAt(target);
        },
      };
    },
  };
}
