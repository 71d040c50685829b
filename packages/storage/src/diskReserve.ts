import { randomFillSync } from 'node:crypto';
import { existsSync, statfsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { makePrivateFile } from './sqlite/privateFile.js';
import { nodeFiles } from './sqlite/replica/replicaFiles.js';

const CHUNK_BYTES = 1 << 20;

/**
 * Bytes on the disk of the database that are given up when it is full, so that settlements, closes and claims can
 * still be stored.
 */
export interface DiskReserve {
  readonly path: string;
  /** How many bytes it holds when it is there. */
  readonly bytes: number;
  /** Whether the bytes are held back now. */
  readonly held: boolean;
  /** Gives the bytes free. Needs no room itself. Twice is no error. */
  release(): void;
  /**
   * Takes the bytes again if the disk has twice as many free, so that it is not this that fills it.
   * @returns whether they are held
   * @throws what the file system throws, but for a disk that is full.
   */
  restore(): boolean;
}

/**
 * Opens the reserve and takes its bytes, as restore() does, when they are not held yet: written for real, and with
 * what no file system can compress.
 */
export function openDiskReserve(options: { readonly path: string; readonly bytes: number }): DiskReserve {
  const path = resolve(options.path);
  const { bytes } = options;
  const isHeld = (): boolean => statSync(path, { throwIfNoEntry: false })?.size === bytes;

  function restore(): boolean {
    if (isHeld()) return true;
    nodeFiles.remove(path);
    if ((freeBytes(path) ?? Number.POSITIVE_INFINITY) < 2 * bytes) return false;
    const fresh = `${path}.new`;
    nodeFiles.remove(fresh);
    try {
      makePrivateFile(fresh);
      fill(fresh, bytes);
    } catch (error) {
      nodeFiles.remove(fresh);
      const { code } = error as { code?: unknown };
      if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'disk_full') return false;
      throw error;
    }
    nodeFiles.rename(fresh, path);
    return true;
  }

  restore();
  return {
    path,
    bytes,
    get held() {
      return isHeld();
    },
    release: () => nodeFiles.remove(path),
    restore,
  };
}

function fill(path: string, bytes: number): void {
  const file = nodeFiles.open(path);
  try {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, bytes));
    for (let at = 0; at < bytes; at += chunk.length) {
      randomFillSync(chunk);
      file.write(chunk.subarray(0, Math.min(chunk.length, bytes - at)), at);
    }
    file.sync();
  } finally {
    file.close();
  }
}

/** Bytes that this user may still write on the disk of `path`, which need not exist; `undefined` if nobody says. */
export function freeBytes(path: string): number | undefined {
  let existing = resolve(path);
  while (!existsSync(existing) && dirname(existing) !== existing) existing = dirname(existing);
  try {
    const { bavail, bsize } = statfsSync(existing);
    return bavail * bsize;
  } catch {
    // A disk that was taken away, a file system that does not tell: whoever writes finds out.
    return undefined;
  }
}
