import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { Database } from '../database.js';
import { type FileStorage, openStorage } from '../sqliteStorage.js';
import { CrashDisk } from './crashDisk.test.support.js';
import { contentOf, randomFrom, readContent, writeOut } from './replica.test.support.js';

const root = mkdtempSync(join(tmpdir(), 'rivulet-replica-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const newFolder = (): string => join(root, String(folders++));
const FOLDER = '/copy';

/** One transaction that touches a few pages, or many; some are rolled back. */
function randomTransaction(storage: FileStorage, random: () => number): void {
  const writes = random() < 0.1 ? 40 : 1 + Math.floor(random() * 5);
  const fails = random() < 0.1;
  try {
    storage.transaction((tx) => {
      for (let i = 0; i < writes; i++) {
        const key = `key ${Math.floor(random() * 30)}`;
        if (random() < 0.25) tx.deleteValue(key);
        else tx.putValue(key, new Uint8Array(Math.floor(random() ** 3 * 9_000)).fill(random() * 256));
      }
      if (fails) throw new Error('roll back');
    });
  } catch (error) {
    if ((error as Error).message !== 'roll back') throw error;
  }
}

/** A storage with its copy on a disk that can fail, and what it held after each commit. */
function world(disk: CrashDisk) {
  const folder = newFolder();
  const path = join(folder, 'node.sqlite');
  let clock = 0;
  const storage = openStorage({
    path,
    // So that the log begins anew every few transactions.
    checkpointPages: 20,
    replica: { folder: FOLDER, files: disk, now: () => clock },
  });
  const reader = new Database(path);
  const states = new Map<number, string>();
  const note = (): number => {
    const { content, commits } = readContent(reader);
    states.set(commits, content);
    return commits;
  };
  note();
  return {
    storage,
    states,
    note,
    later: () => {
      clock += 100_000;
    },
    end: () => {
      reader.close();
      storage.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Opens what is on the disk as a user would, and looks whether it is what was stored at its commit. */
function checkCopy(
  files: ReadonlyMap<string, Uint8Array>,
  states: ReadonlyMap<number, string>,
): number | undefined {
  const folder = newFolder();
  try {
    const path = writeOut(files, folder);
    if (path === undefined) return undefined;
    const { content, commits, problems } = contentOf(path);
    expect(problems).toEqual([]);
    expect(content).toBe(states.get(commits));
    return commits;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const seeds = fc.integer();

describe('a live copy whose disk fails', () => {
  test('threat 26: after a loss of power at any moment it is whole, and has every commit that returned', () => {
    const seen = { cut: 0, withoutCopy: 0, ahead: 0 };
    fc.assert(
      fc.property(seeds, fc.integer({ min: 0, max: 450 }), (seed, cutAfter) => {
        const random = randomFrom(seed);
        const disk = new CrashDisk();
        let on = true;
        disk.fault = () => {
          if (disk.operations > cutAfter) on = false;
          if (!on) throw new Error('no power');
        };
        const { storage, states, note, later, end } = world(disk);
        try {
          let returned: number | undefined = on ? note() : undefined;
          for (let i = 0; i < 60 && on; i++) {
            randomTransaction(storage, random);
            const commits = note();
            if (on) returned = commits;
          }
          if (!on) seen.cut++;
          const left = disk.crash(random);
          const found = checkCopy(left, states);
          if (found === undefined) {
            expect(returned).toBeUndefined();
            seen.withoutCopy++;
          } else if (returned !== undefined) {
            expect(found).toBeGreaterThanOrEqual(returned);
            if (found > returned) seen.ahead++;
          }
          // The power is back: the node was not stopped, and catches up.
          disk.fault = () => {};
          for (let i = 0; i < 5; i++) {
            randomTransaction(storage, random);
            note();
            later();
          }
          expect(storage.tendReplica()).toMatchObject({ state: 'in_step', lastError: undefined });
          expect(checkCopy(disk.files(), states)).toBe(storage.replicaStatus()?.commits);
        } finally {
          end();
        }
      }),
      { numRuns: 25 },
    );
    // The test means something only if these happened.
    expect(seen.cut).toBeGreaterThan(5);
  });

  test('a loss of power while the whole database is copied anew leaves the copy that was there, or the new one', () => {
    const found: (number | undefined)[] = [];
    for (let cutAfter = 0, whole = false; !whole; cutAfter++) {
      const random = randomFrom(cutAfter);
      const disk = new CrashDisk();
      const { storage, states, note, later, end } = world(disk);
      try {
        for (let i = 0; i < 3; i++) randomTransaction(storage, random);
        storage.transaction((tx) => tx.putValue('old', new Uint8Array(1)));
        const old = note();
        disk.fault = () => {
          throw new Error('gone');
        };
        // The log begins anew while the copy's disk is away: only a snapshot helps.
        for (let i = 0; i < 35; i++) {
          storage.transaction((tx) => tx.putValue(`key ${i}`, new Uint8Array(2_000)));
          note();
        }
        let left = cutAfter;
        disk.fault = () => {
          if (left-- <= 0) throw new Error('no power');
        };
        later();
        whole = storage.tendReplica()?.state === 'in_step';
        const commits = checkCopy(disk.crash(random), states);
        expect(commits).toBeGreaterThanOrEqual(old);
        found.push(commits);
        if (whole) expect(commits).toBe(storage.replicaStatus()?.commits);
      } finally {
        disk.fault = () => {};
        end();
      }
    }
    expect(new Set(found).size).toBeGreaterThan(1);
  });

  test('writes that fail now and then cost time, but never a copy that is unsound or thought to be newer', () => {
    const seen = { behind: 0, snapshots: 0, resumed: 0 };
    fc.assert(
      fc.property(seeds, (seed) => {
        const random = randomFrom(seed);
        const disk = new CrashDisk();
        const { storage, states, note, later, end } = world(disk);
        try {
          disk.fault = (operation) => {
            if (random() < 0.02) throw Object.assign(new Error(`${operation} failed`), { code: 'EIO' });
          };
          for (let i = 0; i < 80; i++) {
            const before = storage.replicaStatus();
            randomTransaction(storage, random);
            const commits = note();
            const status = storage.replicaStatus();
            const look = random() < 0.2;
            if (status?.state === 'in_step') {
              if (look) expect(checkCopy(disk.files(), states)).toBe(commits);
              if (before?.state === 'behind') {
                if (status.snapshots === before.snapshots) seen.resumed++;
                else seen.snapshots++;
              }
            } else {
              seen.behind++;
              if (look) checkCopy(disk.files(), states);
            }
            if (random() < 0.3) later();
          }
        } finally {
          disk.fault = () => {};
          end();
        }
      }),
      { numRuns: 8 },
    );
    for (const [name, count] of Object.entries(seen)) expect(count, name).toBeGreaterThan(0);
  });
});
