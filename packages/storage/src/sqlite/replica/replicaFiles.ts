import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';

/** What tells one file from another, and one content from another. */
export interface FileStat {
  readonly device: bigint;
  readonly inode: bigint;
  readonly size: number;
  readonly mtimeNs: bigint;
}

export interface ReplicaFile {
  /** Reads into all of `buffer`; how many bytes there were. */
  read(buffer: Uint8Array, position: number): number;
  write(bytes: Uint8Array, position: number): void;
  truncate(size: number): void;
  /** What was written survives a crash of the machine once this returns. */
  sync(): void;
  stat(): FileStat;
  close(): void;
}

/** What a copy needs of the place it is in. Everything is synchronous and throws what `node:fs` throws. */
export interface ReplicaFiles {
  /** Opens for reading and writing; a file that is not there is made, readable by this user alone. */
  open(path: string): ReplicaFile;
  /** `undefined` when there is nothing. */
  stat(path: string): FileStat | undefined;
  rename(from: string, to: string): void;
  /** What is not there is no error. */
  remove(path: string): void;
  makeFolder(path: string): void;
  /** Which files there are, and their names, survives a crash of the machine once this returns. */
  syncFolder(path: string): void;
}

function plainStat(stat: { dev: bigint; ino: bigint; size: bigint; mtimeNs: bigint }): FileStat {
  return { device: stat.dev, inode: stat.ino, size: Number(stat.size), mtimeNs: stat.mtimeNs };
}

/** Not all file systems (those of networks above all) know how to sync a folder. */
function isUnsupported(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EINVAL' || code === 'ENOTSUP' || code === 'EPERM' || code === 'EISDIR';
}

export const nodeFiles: ReplicaFiles = {
  open(path) {
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    return {
      read(buffer, position) {
        let done = 0;
        while (done < buffer.length) {
          const count = readSync(fd, buffer, done, buffer.length - done, position + done);
          if (count === 0) break;
          done += count;
        }
        return done;
      },
      write(bytes, position) {
        // A write may take only a part: a disk that is nearly full, a signal.
        let done = 0;
        while (done < bytes.length) {
          done += writeSync(fd, bytes, done, bytes.length - done, position + done);
        }
      },
      truncate: (size) => ftruncateSync(fd, size),
      sync: () => fdatasyncSync(fd),
      stat: () => plainStat(fstatSync(fd, { bigint: true })),
      close: () => closeSync(fd),
    };
  },
  stat(path) {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    return stat === undefined ? undefined : plainStat(stat);
  },
  rename: renameSync,
  remove: (path) => rmSync(path, { force: true }),
  makeFolder: (path) => mkdirSync(path, { recursive: true, mode: 0o700 }),
  syncFolder(path) {
    const fd = openSync(path, 'r');
    try {
      fsyncSync(fd);
    } catch (error) {
      if (!isUnsupported(error)) throw error;
    } finally {
      closeSync(fd);
    }
  },
};
