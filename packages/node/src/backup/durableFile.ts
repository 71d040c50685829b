import { closeSync, fsyncSync, linkSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** The steps of replacing a file, each durable when it returns; given, so that tests can end between two of them. */
export interface FileSteps {
  /** Writes a file that only its owner can read. */
  write(path: string, bytes: Uint8Array): void;
  rename(from: string, to: string): void;
  /** Which files there are survives a crash of the machine from here on. */
  syncFolder(path: string): void;
}

export const nodeFileSteps: FileSteps = {
  write: (path, bytes) => writeFileSync(path, bytes, { mode: 0o600, flush: true }),
  rename: (from, to) => renameSync(from, to),
  syncFolder(path) {
    // Windows has no folders that can be synced, and does that by itself.
    if (process.platform === 'win32') return;
    const folder = openSync(path, 'r');
    try {
      fsyncSync(folder);
    } catch (error) {
      // Not all file systems (those of networks above all) can.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EINVAL' && code !== 'ENOTSUP') throw error;
    } finally {
      closeSync(folder);
    }
  },
};

/** Replaces a file: at every moment, through crashes too, it has all of its old content or all of the new one. */
export function replaceFile(path: string, bytes: Uint8Array, steps: FileSteps = nodeFileSteps): void {
  const unfinished = `${path}.new`;
  steps.write(unfinished, bytes);
  steps.rename(unfinished, path);
  steps.syncFolder(dirname(path));
}

/** Makes a file that must not be there yet, with all of its content or not at all. @throws `EEXIST` */
export function createFile(path: string, bytes: Uint8Array): void {
  const unfinished = `${path}.new`;
  try {
    nodeFileSteps.write(unfinished, bytes);
    linkSync(unfinished, path);
  } finally {
    rmSync(unfinished, { force: true });
  }
  nodeFileSteps.syncFolder(dirname(path));
}
