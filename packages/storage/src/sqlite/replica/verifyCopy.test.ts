import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { Database } from '../database.js';
import { SCHEMA_VERSION } from '../migrations.js';
import { openStorage } from '../sqliteStorage.js';
import { bytes, contentAt, failureOf, makePlaces, put } from './liveCopy.test.support.js';
import { COPY_NAME } from './replicaCopy.js';
import { nodeFiles } from './replicaFiles.js';
import { restoreCopy, verifyCopy } from './verifyCopy.js';

const sha256 = (name: string): string => createHash('sha256').update(readFileSync(name)).digest('hex');

const places = makePlaces();
afterAll(places.remove);

let { path, folder, open } = places.place();
beforeEach(() => {
  ({ path, folder, open } = places.place());
});

describe('verifyCopy', () => {
  test('says what a copy holds, while it is written to, and leaves it as it is', () => {
    const storage = open();
    storage.transaction((tx) => {
      const channelId = bytes(32, 1);
      tx.putChannel({ channelId, remoteNodeId: bytes(33, 2), state: bytes(9, 1) });
      tx.putHtlc({ channelId, direction: 'offered', id: 0n, data: bytes(9, 1) });
      tx.putBlock({ height: 800_000, hash: bytes(32, 3) });
      tx.putOutgoingPayment({
        direction: 'outgoing',
        paymentHash: bytes(32, 4),
        destination: bytes(33, 2),
        amountMsat: 1n,
        feeMsat: 0n,
        status: 'pending',
        records: bytes(1, 1),
        createdAtMs: 1,
      });
    });
    const look = () => readdirSync(folder).map((name) => [name, sha256(join(folder, name))]);
    const before = look();
    const expected = {
      problems: [],
      schemaVersion: SCHEMA_VERSION,
      commits: 1,
      channels: 1,
      pendingHtlcs: 1,
      payments: 1,
      tipHeight: 800_000,
    };
    expect(verifyCopy({ path: folder })).toEqual({ path: join(folder, COPY_NAME), ...expected });
    expect(look()).toEqual(before);
    storage.close();
    expect(verifyCopy({ path: folder })).toMatchObject(expected);
  });

  test('leaves nothing behind', () => {
    open().close();
    const workFolder = places.newFolder();
    nodeFiles.makeFolder(workFolder);
    verifyCopy({ path: folder, workFolder });
    expect(readdirSync(workFolder)).toEqual([]);
  });

  test('finds damage inside of the file', () => {
    const storage = open();
    for (let i = 0; i < 50; i++) put(storage, `key ${i}`);
    storage.close();
    const file = readFileSync(join(folder, COPY_NAME));
    file.fill(0xaa, file.length - 12 * 4096, file.length - 4096);
    writeFileSync(join(folder, COPY_NAME), file);
    expect(verifyCopy({ path: folder }).problems).not.toEqual([]);
    expect(failureOf(() => restoreCopy({ from: folder, to: path.replace('node', 'new') })).code).toBe(
      'corrupt',
    );
    expect(existsSync(path.replace('node', 'new'))).toBe(false);
  });

  test('takes a log whose end is torn as far as it is whole', () => {
    const storage = open();
    put(storage, 'a');
    put(storage, 'b');
    const torn = places.newFolder();
    nodeFiles.makeFolder(torn);
    copyFileSync(join(folder, COPY_NAME), join(torn, COPY_NAME));
    const log = readFileSync(join(folder, `${COPY_NAME}-wal`));
    // The last frame that the database has.
    const end = statSync(`${path}-wal`).size;
    log[end - 100] = (log[end - 100] ?? 0) ^ 1;
    writeFileSync(join(torn, `${COPY_NAME}-wal`), log);
    expect(verifyCopy({ path: folder })).toMatchObject({ commits: 2, problems: [] });
    expect(verifyCopy({ path: torn })).toMatchObject({ commits: 1, problems: [] });
    storage.close();
  });

  test('where there is none, that is what it says', () => {
    expect(failureOf(() => verifyCopy({ path: folder })).code).toBe('not_found');
    nodeFiles.makeFolder(folder);
    expect(failureOf(() => verifyCopy({ path: folder })).code).toBe('not_found');
  });

  test('what is no database, or of a newer version, is told apart', () => {
    nodeFiles.makeFolder(folder);
    writeFileSync(join(folder, COPY_NAME), 'no database\n'.repeat(1000));
    const failure = failureOf(() => verifyCopy({ path: folder }));
    expect(failure.code).toBe('corrupt');
    expect(failure.message).toContain(join(folder, COPY_NAME));
    rmSync(join(folder, COPY_NAME));
    const newer = new Database(join(folder, COPY_NAME));
    newer.exec('CREATE TABLE schema_versions (version INTEGER PRIMARY KEY) STRICT');
    newer.exec('INSERT INTO schema_versions VALUES (999)');
    newer.close();
    expect(failureOf(() => verifyCopy({ path: folder })).code).toBe('newer_version');
  });
});

describe('restoreCopy', () => {
  test('refuses to write over anything that is there', () => {
    const storage = open();
    put(storage, 'a');
    const target = join(places.newFolder(), 'node.sqlite');
    nodeFiles.makeFolder(join(target, '..'));
    for (const end of ['', '-wal', '-shm']) {
      writeFileSync(`${target}${end}`, 'precious');
      const failure = failureOf(() => restoreCopy({ from: folder, to: target }));
      expect(failure.code).toBe('duplicate');
      expect(failure.message).toContain(`${target}${end}`);
      expect(readFileSync(`${target}${end}`, 'utf8')).toBe('precious');
      rmSync(`${target}${end}`);
    }
    restoreCopy({ from: folder, to: target });
    expect(contentAt(target)).toBe(contentAt(path));
    storage.close();
  });

  test('names the place when it cannot write there', () => {
    open().close();
    const failure = failureOf(() => restoreCopy({ from: folder, to: '/proc/none/node.sqlite' }));
    expect(failure.code).toBe('io');
    expect(failure.message).toContain('/proc/none');
  });
});

describe('copyTo', () => {
  test('writes what is stored into one file that only this user may read, and the node goes on', () => {
    const storage = openStorage({ path });
    put(storage, 'a');
    const target = join(places.newFolder(), 'backup.sqlite');
    const copied = storage.copyTo(target);
    expect(copied).toEqual({ path: target, bytes: statSync(target).size });
    expect(statSync(target).mode & 0o077).toBe(0);
    const before = contentAt(path);
    put(storage, 'b');
    expect(verifyCopy({ path: target }).problems).toEqual([]);
    expect(contentAt(target)).toBe(before);
    expect(readdirSync(join(target, '..')).filter((name) => name.includes('.new'))).toEqual([]);
    storage.close();
  });

  test('a file that is there stays, and a target that cannot be written harms nothing', () => {
    const storage = openStorage({ path });
    put(storage, 'a');
    nodeFiles.makeFolder(folder);
    const target = join(folder, 'backup.sqlite');
    writeFileSync(target, 'precious');
    expect(failureOf(() => storage.copyTo(target)).code).toBe('duplicate');
    expect(readFileSync(target, 'utf8')).toBe('precious');
    expect(failureOf(() => storage.copyTo(join(target, 'below'))).code).toBe('io');
    expect(failureOf(() => storage.transaction(() => storage.copyTo(join(folder, 'b')))).code).toBe(
      'wrong_use',
    );
    put(storage, 'b');
    expect(storage.getValue('b')).toEqual(bytes(3_000, 1));
    storage.close();
  });
});
