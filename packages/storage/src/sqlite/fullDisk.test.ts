import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StorageError } from '../storageError.js';
import { openStorage } from './sqliteStorage.js';

const root = mkdtempSync(join(tmpdir(), 'rivulet-full-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const bytes = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

describe('a database that may not grow', () => {
  test('keeps all and only what was committed, and works again when room is made', () => {
    const path = join(root, 'limited.sqlite');
    const storage = openStorage({ path, maxPages: 100 });
    const channelId = bytes(32, 1);
    storage.transaction((tx) =>
      tx.putChannel({ channelId, remoteNodeId: bytes(33, 2), state: bytes(50, 1) }),
    );
    let stored = 0;
    let failure: unknown;
    try {
      for (; ; stored++) {
        storage.transaction((tx) => {
          tx.putChannel({ channelId, remoteNodeId: bytes(33, 2), state: bytes(50, stored) });
          tx.putHtlc({ channelId, direction: 'offered', id: BigInt(stored), data: bytes(3_000, 1) });
          tx.putValue(`value ${stored}`, bytes(3_000, 1));
        });
      }
    } catch (error) {
      failure = error;
    }
    expect(failure).toBeInstanceOf(StorageError);
    expect((failure as StorageError).code).toBe('disk_full');
    expect(stored).toBeGreaterThan(5);
    const look = () => ({
      state: storage.loadChannels()[0]?.state[0],
      htlcs: storage.loadHtlcs(channelId).length,
      values: storage.listValues('value').length,
      problems: storage.integrityCheck(),
    });
    expect(look()).toEqual({ state: stored - 1, htlcs: stored, values: stored, problems: [] });
    // What needs no room is stored still.
    storage.transaction((tx) =>
      tx.putChannel({ channelId, remoteNodeId: bytes(33, 2), state: bytes(50, 99) }),
    );
    storage.transaction((tx) => tx.deleteValue('value 0'));
    storage.transaction((tx) => tx.putValue('value new', bytes(3_000, 2)));
    expect(look()).toEqual({ state: 99, htlcs: stored, values: stored, problems: [] });
    storage.close();
    // A larger disk.
    const again = openStorage({ path, maxPages: 200 });
    again.transaction((tx) => tx.putValue('more', bytes(100_000, 1)));
    expect(again.getValue('more')).toEqual(bytes(100_000, 1));
    expect(again.listValues('value').length).toBe(stored);
    again.close();
  });
});

/** Runs a command with small disks of its own at two folders, where this system lets a user have such. */
function withSmallDisks(folders: readonly [string, string], command: readonly string[]) {
  const script =
    'mount -t tmpfs -o size=6m none "$1" && mount -t tmpfs -o size=8m none "$2" && shift 2 && exec "$@"';
  return spawnSync('unshare', ['-rm', 'sh', '-c', script, 'sh', ...folders, ...command], {
    encoding: 'utf8',
  });
}
const disks: [string, string] = [join(root, 'disk'), join(root, 'copy')];
for (const disk of disks) mkdirSync(disk);

describe.skipIf(withSmallDisks(disks, ['true']).status !== 0)('a disk that is full', () => {
  beforeAll(() => {
    // The child is a plain Node process: it uses the built files.
    const compiler = fileURLToPath(new URL('../../../../node_modules/typescript/bin/tsc', import.meta.url));
    const project = fileURLToPath(new URL('../..', import.meta.url));
    const { stdout } = spawnSync(process.execPath, [compiler, '-b', project], { encoding: 'utf8' });
    expect(existsSync(join(project, 'dist/index.js')), stdout).toBe(true);
  }, 120_000);

  test('loses nothing; the reserve lets closes be stored; the copy catches up when its own disk has room', () => {
    const fixture = fileURLToPath(new URL('../../fixtures/fullDisk.mjs', import.meta.url));
    const { stdout, stderr } = withSmallDisks(disks, [process.execPath, fixture, ...disks]);
    expect(stderr).toBe('');
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({
      held: true,
      first: 'disk_full',
      second: 'disk_full',
      third: 'disk_full',
      wholeWhenFull: true,
      copy: 'behind',
      copySound: [],
      storedFromReserve: 20,
      wholeAfterRelease: true,
      copyWithRoom: 'in_step',
      wholeAfterRestart: true,
      restored: false,
    });
    expect(result.copyCommits).toBe(result.commits);
  });
});
