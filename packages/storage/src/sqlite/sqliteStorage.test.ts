import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { NodeStorage } from '../storage.js';
import { StorageError } from '../storageError.js';
import { storageSuite } from '../storageSuite.js';
import { openMemoryStorage, openStorage } from './sqliteStorage.js';

const root = mkdtempSync(join(tmpdir(), 'rivulet-storage-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const newFolder = (): string => join(root, String(folders++));

storageSuite('SQLite file', () => {
  const folder = newFolder();
  return {
    open: () => openStorage({ path: join(folder, 'node.sqlite') }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
    durable: true,
  };
});
storageSuite('SQLite in memory', () => ({ open: openMemoryStorage, remove: () => {}, durable: false }));

function failureOf(action: () => unknown): StorageError {
  try {
    action();
  } catch (error) {
    if (error instanceof StorageError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const bytes = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);
const channelId = bytes(32, 1);

describe('SQLite file', () => {
  let path: string;
  beforeEach(() => {
    path = join(newFolder(), 'node.sqlite');
  });

  test('only this user may read it', () => {
    const storage = openStorage({ path });
    storage.transaction((tx) => tx.putValue('a', bytes(1, 1)));
    for (const name of [path, `${path}-wal`, `${path}.lock`]) {
      expect(statSync(name).mode & 0o077, name).toBe(0);
    }
    storage.close();
  });

  test('close leaves everything in the one file', () => {
    const storage = openStorage({ path });
    storage.transaction((tx) => tx.putValue('a', bytes(1, 1)));
    storage.close();
    expect(existsSync(`${path}-wal`) ? statSync(`${path}-wal`).size : 0).toBe(0);
  });

  test('a second opener in the same process is told which file is locked; after close it may', () => {
    const first = openStorage({ path });
    const failure = failureOf(() => openStorage({ path }));
    expect(failure.code).toBe('locked');
    expect(failure.message).toContain(path);
    first.transaction((tx) => tx.putValue('a', bytes(1, 1)));
    first.close();
    const second = openStorage({ path });
    expect(second.getValue('a')).toEqual(bytes(1, 1));
    second.close();
  });

  test('a full disk keeps what was committed, says so, and the storage works on', () => {
    const storage = openStorage({ path, maxPages: 80 });
    storage.transaction((tx) =>
      tx.putChannel({ channelId, remoteNodeId: bytes(33, 2), state: bytes(100, 1) }),
    );
    const failure = failureOf(() =>
      storage.transaction((tx) => {
        tx.putChannel({ channelId, remoteNodeId: bytes(33, 2), state: bytes(100, 2) });
        for (let id = 0n; id < 1000n; id++) {
          tx.putHtlc({ channelId, direction: 'offered', id, data: bytes(2000, 3) });
        }
      }),
    );
    expect(failure.code).toBe('disk_full');
    expect(failure.message).toContain(path);
    expect(storage.loadChannels()[0]?.state).toEqual(bytes(100, 1));
    expect(storage.loadHtlcs(channelId)).toEqual([]);
    storage.transaction((tx) => tx.putHtlc({ channelId, direction: 'offered', id: 0n, data: bytes(20, 3) }));
    expect(storage.loadHtlcs(channelId).length).toBe(1);
    expect(storage.integrityCheck()).toEqual([]);
    storage.close();
  });

  test('a body that swallows a full disk still commits nothing', () => {
    const storage = openStorage({ path, maxPages: 80 });
    const failure = failureOf(() =>
      storage.transaction((tx) => {
        tx.putValue('a', bytes(1, 1));
        try {
          tx.putValue('b', bytes(1_000_000, 1));
        } catch {
          // A driver would not, but a half transaction must not come of it.
        }
        tx.putValue('c', bytes(1, 1));
      }),
    );
    expect(failure).toBeInstanceOf(StorageError);
    expect(storage.listValues('')).toEqual([]);
    storage.close();
  });

  test('a file that is no database is refused as corrupt and left as it is', () => {
    const storage = openStorage({ path });
    storage.close();
    const text = 'this was overwritten by something else\n'.repeat(300);
    rmSync(`${path}-wal`, { force: true });
    rmSync(`${path}-shm`, { force: true });
    writeFileSync(path, text);
    const failure = failureOf(() => openStorage({ path }));
    expect(failure.code).toBe('corrupt');
    expect(failure.message).toContain(path);
    expect(readFileSync(path, 'utf8')).toBe(text);
    // The lock went with the attempt.
    expect(failureOf(() => openStorage({ path })).code).toBe('corrupt');
  });

  test('damaged pages are reported, and nothing works after one was met', () => {
    const storage = openStorage({ path });
    storage.transaction((tx) => {
      for (let i = 0; i < 200; i++) tx.putValue(`key ${i}`, bytes(900, i));
    });
    storage.close();
    const file = readFileSync(path);
    file.fill(0xaa, file.length - 40 * 4096);
    writeFileSync(path, file);
    const damaged = openStorage({ path });
    expect(failureOf(() => damaged.listValues('')).code).toBe('corrupt');
    expect(failureOf(() => damaged.transaction(() => {})).code).toBe('corrupt');
    expect(failureOf(() => damaged.getValue('key 1')).code).toBe('corrupt');
    expect(failureOf(() => damaged.close()).code).toBe('corrupt');
  });

  test('a folder that cannot be made is an I/O error that names the path', () => {
    writeFileSync(join(root, 'a-file'), '');
    const failure = failureOf(() => openStorage({ path: join(root, 'a-file', 'node.sqlite') }));
    expect(failure.code).toBe('io');
    expect(failure.message).toContain('a-file');
  });
});

describe('SQLite file and processes that are killed', () => {
  const fixture = fileURLToPath(new URL('../../fixtures/writer.mjs', import.meta.url));
  beforeAll(() => {
    // The child is a plain Node process: it uses the built files.
    const compiler = fileURLToPath(new URL('../../../../node_modules/typescript/bin/tsc', import.meta.url));
    const project = fileURLToPath(new URL('../..', import.meta.url));
    const { stdout } = spawnSync(process.execPath, [compiler, '-b', project], { encoding: 'utf8' });
    expect(existsSync(join(project, 'dist/index.js')), stdout).toBe(true);
  }, 120_000);

  /** Starts the child and waits until it has reported `lines` commits; the numbers it reported so far. */
  async function startWriter(
    path: string,
    lines: number,
  ): Promise<{ child: ChildProcessWithoutNullStreams; seen: string[] }> {
    const child = spawn(process.execPath, [fixture, path]);
    const seen: string[] = [];
    let errors = '';
    child.stderr.on('data', (data) => {
      errors += data;
    });
    const reader = createInterface({ input: child.stdout });
    await new Promise<void>((resolve, reject) => {
      reader.on('line', (line) => {
        seen.push(line);
        if (seen.length === lines) resolve();
      });
      child.on('close', () => reject(new Error(`the writer ended early: ${errors}`)));
    });
    return { child, seen };
  }

  const killed = (child: ChildProcessWithoutNullStreams): Promise<void> =>
    new Promise((resolve) => {
      child.removeAllListeners('close');
      child.on('close', () => resolve());
      child.kill('SIGKILL');
    });

  const numberOf = (storage: NodeStorage, key: string): number => {
    const value = storage.getValue(key);
    return value === undefined ? -1 : new DataView(value.buffer, value.byteOffset).getUint32(0);
  };

  test('threat 26: after kill -9 every commit that was reported is there, and no half transaction', async () => {
    const path = join(newFolder(), 'node.sqlite');
    let before = -1;
    for (const lines of [1, 40, 90]) {
      const { child, seen } = await startWriter(path, lines);
      await killed(child);
      const reported = Number(seen.at(-1));
      const storage = openStorage({ path });
      const first = numberOf(storage, 'first');
      expect(first).toBeGreaterThanOrEqual(reported);
      expect(reported).toBeGreaterThan(before);
      before = first;
      // One transaction writes all of these.
      expect(numberOf(storage, 'last')).toBe(first);
      const live = storage.loadHtlcs(channelId);
      const archived = storage.loadArchivedHtlcs(channelId);
      expect(live.map(({ id }) => id)).toEqual([BigInt(first)]);
      expect(archived.length).toBe(first);
      expect(storage.listPayments({ limit: 1 }).payments[0]?.sequence).toBe(first + 1);
      expect(storage.loadChannels()[0]?.state[0]).toBe(first & 0xff);
      expect(storage.integrityCheck()).toEqual([]);
      storage.close();
    }
  });

  test('a refused second opener in this process does not cost the first one its lock', async () => {
    const path = join(newFolder(), 'node.sqlite');
    const storage = openStorage({ path });
    const link = join(newFolder(), 'link.sqlite');
    mkdirSync(dirname(link));
    symlinkSync(path, link);
    for (const other of [path, link])
      expect(failureOf(() => openStorage({ path: other })).code).toBe('locked');
    await expect(startWriter(path, 1)).rejects.toThrow('in use by another Rivulet node');
    storage.close();
    const { child } = await startWriter(path, 1);
    await killed(child);
  });

  test('another process that has the file open locks it, and its kill -9 frees it', async () => {
    const path = join(newFolder(), 'node.sqlite');
    const { child } = await startWriter(path, 1);
    try {
      const failure = failureOf(() => openStorage({ path }));
      expect(failure.code).toBe('locked');
      expect(failure.message).toContain(path);
    } finally {
      await killed(child);
    }
    const storage = openStorage({ path });
    expect(numberOf(storage, 'first')).toBeGreaterThanOrEqual(0);
    storage.close();
  });
});
