import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import {
  bytes,
  contentAt,
  failureOf,
  faultyFiles,
  makePlaces,
  put,
  statusOf,
} from './liveCopy.test.support.js';
import { COPY_NAME } from './replicaCopy.js';
import { nodeFiles, type ReplicaFiles } from './replicaFiles.js';
import { verifyCopy } from './verifyCopy.js';

const places = makePlaces();
afterAll(places.remove);

describe('live copy', () => {
  let { path, folder, open, contentOfCopy } = places.place();
  beforeEach(() => {
    ({ path, folder, open, contentOfCopy } = places.place());
  });

  describe('whose place fails', () => {
    test('lets the node go on, says so at once, and catches up from where it was', () => {
      let now = 1_000;
      let full = false;
      const told: string[] = [];
      const storage = open({
        now: () => now,
        onChange: ({ state }) => told.push(state),
        files: faultyFiles((operation) => {
          if (full && operation === 'write') {
            throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
          }
        }),
      });
      put(storage, 'a');
      full = true;
      now = 5_000;
      put(storage, 'b', 10);
      expect(storage.getValue('b')).toEqual(bytes(10, 1));
      expect(statusOf(storage)).toMatchObject({
        state: 'behind',
        since: 5_000,
        commits: 2,
        copiedCommits: 1,
      });
      expect(statusOf(storage).lastError).toContain('ENOSPC');
      expect(verifyCopy({ path: folder })).toMatchObject({ commits: 1, problems: [] });
      full = false;
      // Not yet: a place that is slow to fail must not make every transaction slow.
      put(storage, 'c', 10);
      expect(statusOf(storage).state).toBe('behind');
      now = 6_000;
      put(storage, 'd', 10);
      expect(statusOf(storage)).toMatchObject({
        state: 'in_step',
        since: 6_000,
        snapshots: 1,
        copiedCommits: 4,
      });
      expect(contentOfCopy()).toBe(contentAt(path));
      expect(told).toEqual(['in_step', 'behind', 'in_step']);
      storage.close();
    });

    test('is tried again when the clock was set back, and not a day later', () => {
      let now = 86_400_000;
      let full = true;
      const storage = open({
        now: () => now,
        files: faultyFiles((operation) => {
          if (full && operation === 'write') throw new Error('EIO');
        }),
      });
      put(storage, 'a');
      expect(statusOf(storage).state).not.toBe('in_step');
      full = false;
      now = 0;
      put(storage, 'b');
      expect(statusOf(storage).state).toBe('in_step');
      storage.close();
    });

    test('is tried again after longer and longer times, but for a minute at most', () => {
      let now = 0;
      let tries = 0;
      let away = true;
      const told: string[] = [];
      const storage = open({
        now: () => now,
        onChange: ({ state }) => told.push(state),
        files: faultyFiles((operation) => {
          if (!away) return;
          if (operation === 'stat') tries++;
          throw new Error('away');
        }),
      });
      const times: number[] = [];
      for (; now < 400_000; now += 500) {
        const before = tries;
        storage.tendReplica();
        if (tries > before) times.push(now);
      }
      const waits = times.map((time, index) => time - (times[index - 1] ?? 0));
      expect(waits).toEqual([
        1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000, 60_000, 60_000,
      ]);
      expect(told).toEqual(['failed']);
      away = false;
      // The node is stopped: the last chance.
      put(storage, 'a');
      storage.close();
      expect(contentOfCopy()).toBe(contentAt(path));
    });

    test('a listener that throws harms nothing', () => {
      const storage = open({
        onChange: () => {
          throw new Error('the log is full');
        },
      });
      put(storage, 'a');
      expect(statusOf(storage).state).toBe('in_step');
      storage.close();
    });

    test('a disk that is not mounted is not mistaken for its mount point', () => {
      let mounted = true;
      const files: ReplicaFiles = {
        ...nodeFiles,
        stat(name) {
          const found = nodeFiles.stat(name);
          return found && mounted ? { ...found, device: found.device + 1n } : found;
        },
      };
      const first = open({ files });
      put(first, 'a');
      expect(statusOf(first).sameDisk).toBe(false);
      first.close();
      const copied = readFileSync(join(folder, COPY_NAME));
      rmSync(folder, { recursive: true });
      mounted = false;
      const second = open({ files });
      expect(statusOf(second)).toMatchObject({ state: 'failed', sameDisk: true });
      expect(statusOf(second).lastError).toContain('mount');
      put(second, 'b');
      expect(existsSync(folder)).toBe(false);
      mounted = true;
      nodeFiles.makeFolder(folder);
      writeFileSync(join(folder, COPY_NAME), copied);
      second.close();
      expect(contentOfCopy()).toBe(contentAt(path));
    });
  });

  describe('that is required', () => {
    test('a place that cannot be used is told at the start', () => {
      writeFileSync(join(places.root, 'a-file'), '');
      const failure = failureOf(() => open({ folder: join(places.root, 'a-file', 'copy'), required: true }));
      expect(failure.code).toBe('copy_behind');
      expect(failure.message).toContain('ENOTDIR');
      // The database is free for another try.
      open({ required: true }).close();
    });

    test('a transaction is refused before it begins while the place is away, and accepted when it is back', () => {
      let now = 0;
      let away = false;
      const storage = open({
        required: true,
        now: () => now,
        files: faultyFiles(() => {
          if (away) throw new Error('away');
        }),
      });
      put(storage, 'a');
      away = true;
      let ran = false;
      const failure = failureOf(() =>
        storage.transaction(() => {
          ran = true;
        }),
      );
      expect(failure.code).toBe('copy_behind');
      expect(ran).toBe(false);
      expect(statusOf(storage)).toMatchObject({ state: 'failed', required: true });
      away = false;
      now += 5_000;
      put(storage, 'b');
      expect(statusOf(storage)).toMatchObject({ state: 'in_step', copiedCommits: 2 });
      expect(contentOfCopy()).toBe(contentAt(path));
      storage.close();
    });

    test('when it fails after a commit nothing more is stored, and the next start goes on from that commit', () => {
      let now = 0;
      let left = Number.POSITIVE_INFINITY;
      const storage = open({
        required: true,
        now: () => now,
        files: faultyFiles((operation) => {
          if (operation === 'write' && left-- <= 0) throw new Error('unplugged');
        }),
      });
      put(storage, 'a', 10);
      left = 0;
      expect(failureOf(() => put(storage, 'b', 10)).code).toBe('copy_lost');
      left = Number.POSITIVE_INFINITY;
      now += 100_000;
      expect(failureOf(() => put(storage, 'c', 10)).code).toBe('copy_lost');
      expect(storage.getValue('c')).toBeUndefined();
      storage.close();
      const again = open({ required: true });
      expect(again.getValue('b')).toEqual(bytes(10, 1));
      expect(statusOf(again)).toMatchObject({ state: 'in_step', copiedCommits: 2 });
      expect(contentOfCopy()).toBe(contentAt(path));
      again.close();
    });

    test('one failure that is over at once costs nothing', () => {
      let fails = 0;
      const storage = open({
        required: true,
        files: faultyFiles((operation) => {
          if (operation === 'sync' && fails-- > 0) throw new Error('once');
        }),
      });
      put(storage, 'a', 10);
      fails = 1;
      put(storage, 'b', 10);
      expect(statusOf(storage)).toMatchObject({ state: 'in_step', copiedCommits: 2, lastError: undefined });
      expect(contentOfCopy()).toBe(contentAt(path));
      storage.close();
    });
  });
});
