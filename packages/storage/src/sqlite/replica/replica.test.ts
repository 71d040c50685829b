import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { storageSuite } from '../../storageSuite.js';
import { Database } from '../database.js';
import { openStorage } from '../sqliteStorage.js';
import {
  bytes,
  contentAt,
  failureOf,
  faultyFiles,
  makePlaces,
  put,
  statusOf,
} from './liveCopy.test.support.js';
import { readContent } from './replica.test.support.js';
import { COPY_NAME } from './replicaCopy.js';
import { nodeFiles } from './replicaFiles.js';
import { restoreCopy, verifyCopy } from './verifyCopy.js';

const places = makePlaces();
afterAll(places.remove);

storageSuite('SQLite file with a live copy', () => {
  const folder = places.newFolder();
  return {
    open: () =>
      openStorage({
        path: join(folder, 'node.sqlite'),
        replica: { folder: join(folder, 'copy'), required: true },
      }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
    durable: true,
  };
});

describe('live copy', () => {
  let { path, folder, open, contentOfCopy } = places.place();
  beforeEach(() => {
    ({ path, folder, open, contentOfCopy } = places.place());
  });

  test('has every transaction when it returns, also while logs end and begin anew', () => {
    const storage = open();
    let lives = new Set<string>();
    for (let i = 0; i < 60; i++) {
      put(storage, `key ${i % 7}`, 1_000 * (i % 9));
      lives = lives.add(readFileSync(`${path}-wal`).subarray(0, 32).toString('hex'));
      expect(verifyCopy({ path: folder })).toMatchObject({ commits: i + 1, problems: [] });
      if (i % 10 === 0) expect(contentOfCopy()).toBe(contentAt(path));
    }
    expect(lives.size).toBeGreaterThan(3);
    expect(statusOf(storage)).toMatchObject({
      state: 'in_step',
      snapshots: 1,
      commits: 60,
      copiedCommits: 60,
      sameDisk: true,
      lastError: undefined,
    });
    expect(contentOfCopy()).toBe(contentAt(path));
    storage.close();
    expect(contentOfCopy()).toBe(contentAt(path));
  });

  test('only this user may read it', () => {
    const storage = open();
    put(storage, 'a');
    for (const name of [
      folder,
      join(folder, COPY_NAME),
      join(folder, `${COPY_NAME}-wal`),
      `${path}.replica`,
    ]) {
      expect(statSync(name).mode & 0o077, name).toBe(0);
    }
    storage.close();
  });

  test('goes on after a restart without being copied again', () => {
    const first = open();
    put(first, 'a');
    first.close();
    const second = open();
    expect(statusOf(second)).toMatchObject({ state: 'in_step', snapshots: 0, commits: 1 });
    put(second, 'b');
    expect(verifyCopy({ path: folder }).commits).toBe(2);
    expect(contentOfCopy()).toBe(contentAt(path));
    second.close();
  });

  test('is copied again after the database was used without it', () => {
    const first = open();
    put(first, 'a');
    first.close();
    const alone = openStorage({ path });
    expect(alone.replicaStatus()).toBeUndefined();
    expect(alone.tendReplica()).toBeUndefined();
    put(alone, 'b');
    alone.close();
    const second = open();
    expect(statusOf(second)).toMatchObject({ state: 'in_step', snapshots: 1 });
    expect(contentOfCopy()).toBe(contentAt(path));
    second.close();
  });

  test('costs a database that has none nothing: no number, no file', () => {
    const alone = openStorage({ path });
    put(alone, 'a');
    alone.close();
    const database = new Database(path);
    expect([database.pragma('user_version'), database.pragma('application_id')]).toEqual([0n, 0n]);
    database.close();
    expect(existsSync(`${path}.replica`)).toBe(false);
  });

  test('a transaction that writes nothing is not counted, and one that fails is not copied', () => {
    const storage = open();
    put(storage, 'a');
    storage.transaction((tx) => tx.getValue('a'));
    expect(() =>
      storage.transaction((tx) => {
        tx.putValue('b', bytes(100_000, 1));
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(statusOf(storage)).toMatchObject({ state: 'in_step', commits: 1 });
    put(storage, 'c');
    expect(contentOfCopy()).toBe(contentAt(path));
    expect(contentOfCopy()).not.toContain('"b"');
    storage.close();
  });

  test('an empty database does not replace the copy of the one that was lost; the copy can be restored', () => {
    const storage = open();
    put(storage, 'a');
    const before = contentAt(path);
    storage.close();
    rmSync(join(path, '..', 'node.sqlite'));
    const failure = failureOf(open);
    expect(failure.code).toBe('copy_conflict');
    expect(failure.message).toContain(folder);
    // Nor does one that has a copy somewhere else.
    expect(verifyCopy({ path: folder }).commits).toBe(1);
    // What the attempt left is empty, and must go first.
    expect(failureOf(() => restoreCopy({ from: folder, to: path })).code).toBe('duplicate');
    expect(existsSync(`${path}-wal`) ? statSync(`${path}-wal`).size : 0).toBe(0);
    for (const end of ['', '-wal', '-shm']) rmSync(`${path}${end}`, { force: true });
    expect(restoreCopy({ from: folder, to: path })).toMatchObject({ commits: 1, problems: [] });
    expect(contentAt(path)).toBe(before);
    const restored = open();
    expect(statusOf(restored).state).toBe('in_step');
    expect(restored.getValue('a')).toEqual(bytes(3_000, 1));
    restored.close();
  });

  test('threat 26: a database that is older than its copy is not started with', () => {
    const storage = open();
    put(storage, 'a');
    const backup = join(places.newFolder(), 'yesterday.sqlite');
    storage.copyTo(backup);
    put(storage, 'b');
    storage.close();
    for (const end of ['', '-wal', '-shm']) rmSync(`${path}${end}`, { force: true });
    restoreCopy({ from: backup, to: path });
    const failure = failureOf(open);
    expect(failure.code).toBe('copy_conflict');
    expect(failure.message).toContain('1 transactions');
    expect(verifyCopy({ path: folder }).commits).toBe(2);
    // Nor later, when the copy's disk comes only after the start.
    let present = false;
    const late = open({
      files: faultyFiles(() => {
        if (!present) throw new Error('not mounted');
      }),
    });
    expect(statusOf(late).state).toBe('failed');
    present = true;
    expect(late.tendReplica()).toMatchObject({ state: 'failed' });
    late.close();
    expect(verifyCopy({ path: folder }).commits).toBe(2);
  });

  test('of another node is never replaced', () => {
    const other = openStorage({ path: join(places.newFolder(), 'other.sqlite'), replica: { folder } });
    put(other, 'other');
    other.close();
    const mine = openStorage({ path });
    put(mine, 'mine');
    mine.close();
    expect(failureOf(open).code).toBe('copy_conflict');
    const withCopyElsewhere = openStorage({ path, replica: { folder: places.newFolder() } });
    withCopyElsewhere.close();
    expect(failureOf(open).code).toBe('copy_conflict');
    expect(verifyCopy({ path: folder }).commits).toBe(1);
  });

  test('a database that has no number, of another program for instance, is never replaced', () => {
    nodeFiles.makeFolder(folder);
    const foreign = new Database(join(folder, COPY_NAME));
    foreign.exec('CREATE TABLE precious (value TEXT)');
    foreign.close();
    expect(failureOf(open).code).toBe('copy_conflict');
    expect(contentAt(join(folder, COPY_NAME))).toContain('precious');
  });

  test('that is no database any more is put aside, and made anew', () => {
    const storage = open();
    put(storage, 'a');
    storage.close();
    writeFileSync(join(folder, COPY_NAME), 'overwritten\n'.repeat(1_000));
    const again = open();
    expect(statusOf(again)).toMatchObject({ state: 'in_step', snapshots: 1 });
    expect(readFileSync(join(folder, `${COPY_NAME}.damaged`), 'utf8')).toContain('overwritten');
    expect(contentOfCopy()).toBe(contentAt(path));
    again.close();
  });

  test('a tool that opens it in place and tidies up after itself is noticed, and the copy made whole again', () => {
    let now = 0;
    const storage = open({ now: () => now });
    put(storage, 'a');
    // What SQLite does when the last connection is closed.
    const tool = new Database(join(folder, COPY_NAME));
    tool.pragma('wal_checkpoint(TRUNCATE)');
    tool.close();
    rmSync(join(folder, `${COPY_NAME}-wal`), { force: true });
    put(storage, 'b');
    expect(statusOf(storage).state).toBe('behind');
    expect(statusOf(storage).lastError).toContain('something else');
    now += 1_000;
    put(storage, 'c');
    expect(statusOf(storage)).toMatchObject({ state: 'in_step', snapshots: 2, copiedCommits: 3 });
    expect(contentOfCopy()).toBe(contentAt(path));
    storage.close();
  });

  test('another connection that writes is noticed as soon as the log begins anew', () => {
    const storage = open();
    put(storage, 'a');
    const other = new Database(path);
    other.pragma('wal_autocheckpoint = 0');
    other.exec(`INSERT INTO settings (key, value) VALUES ('from outside', x'01')`);
    other.pragma('wal_checkpoint(RESTART)');
    other.exec(`INSERT INTO settings (key, value) VALUES ('more', x'01')`);
    put(storage, 'b');
    expect(statusOf(storage)).toMatchObject({ state: 'in_step', snapshots: 2 });
    expect(contentOfCopy()).toBe(contentAt(path));
    expect(contentOfCopy()).toContain('from outside');
    other.close();
    storage.close();
  });

  test('a reader that keeps an old state open does not disturb it', () => {
    const storage = open();
    put(storage, 'a');
    const reader = new Database(path);
    reader.exec('BEGIN');
    const before = readContent(reader).content;
    for (let i = 0; i < 40; i++) put(storage, `key ${i}`);
    expect(readContent(reader).content).toBe(before);
    expect(verifyCopy({ path: folder }).commits).toBe(41);
    reader.exec('COMMIT');
    for (let i = 0; i < 40; i++) put(storage, `key ${i}`);
    expect(readContent(reader).content).toBe(contentOfCopy());
    expect(statusOf(storage)).toMatchObject({ state: 'in_step', snapshots: 1, commits: 81 });
    reader.close();
    storage.close();
  });

  test('a database that outgrows one log is copied whole, and grows and shrinks with it', () => {
    const storage = open();
    storage.transaction((tx) => {
      for (let i = 0; i < 300; i++) tx.putValue(`large ${i}`, bytes(9_000, i));
    });
    expect(contentOfCopy()).toBe(contentAt(path));
    storage.transaction((tx) => {
      for (let i = 0; i < 300; i++) tx.deleteValue(`large ${i}`);
    });
    for (let i = 0; i < 30; i++) put(storage, `key ${i}`);
    expect(contentOfCopy()).toBe(contentAt(path));
    storage.close();
    expect(statSync(join(folder, COPY_NAME)).size).toBe(statSync(path).size);
  });
});
