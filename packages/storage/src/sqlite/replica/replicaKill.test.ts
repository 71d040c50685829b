import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStorage } from '../sqliteStorage.js';
import { contentAt, makePlaces, statusOf } from './liveCopy.test.support.js';
import { nodeFiles } from './replicaFiles.js';
import { restoreCopy, verifyCopy } from './verifyCopy.js';

const places = makePlaces();
afterAll(places.remove);

describe('live copy of a process that is killed', () => {
  beforeAll(() => {
    // The child is a plain Node process: it uses the built files.
    const compiler = fileURLToPath(
      new URL('../../../../../node_modules/typescript/bin/tsc', import.meta.url),
    );
    const project = fileURLToPath(new URL('../../..', import.meta.url));
    const { stdout } = spawnSync(process.execPath, [compiler, '-b', project], { encoding: 'utf8' });
    expect(existsSync(join(project, 'dist/index.js')), stdout).toBe(true);
  }, 120_000);

  const fixture = fileURLToPath(new URL('../../../fixtures/writer.mjs', import.meta.url));

  /** Has the child commit until it has reported this many, and kills it; the last number that it reported. */
  async function writeAndKill(args: readonly string[], lines: number): Promise<number> {
    const child = spawn(process.execPath, [fixture, ...args]);
    let errors = '';
    child.stderr.on('data', (data) => {
      errors += data;
    });
    const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
    let reported: string | undefined;
    let left = lines;
    for await (const line of createInterface({ input: child.stdout })) {
      reported = line;
      if (--left === 0) child.kill('SIGKILL');
    }
    await ended;
    expect(left, errors).toBeLessThanOrEqual(0);
    return Number(reported);
  }

  test('threat 26: after kill -9 the copy has every commit that was reported, and goes on from there', async () => {
    const { path, folder } = places.place();
    for (const lines of [1, 3, 20, 57, 90]) {
      const reported = await writeAndKill([path, folder, '50'], lines);
      // The child counts from 0.
      const copy = verifyCopy({ path: folder });
      expect(copy.problems).toEqual([]);
      expect(copy.commits).toBeGreaterThan(reported);
      const restored = join(places.newFolder(), 'restored.sqlite');
      nodeFiles.makeFolder(join(restored, '..'));
      restoreCopy({ from: folder, to: restored });
      const inCopy = contentAt(restored);
      // At most one commit was under way.
      const storage = openStorage({ path });
      const last = storage.getValue('last') ?? new Uint8Array(4);
      storage.close();
      const commits = new DataView(last.buffer, last.byteOffset).getUint32(0) + 1;
      expect(commits - copy.commits).toBeLessThanOrEqual(1);
      if (commits === copy.commits) expect(inCopy).toBe(contentAt(path));
    }
  });

  test('a start after kill -9 copies nothing anew as long as both logs are the same', async () => {
    const { path, folder } = places.place();
    await writeAndKill([path, folder], 2);
    const storage = openStorage({ path, replica: { folder } });
    expect(statusOf(storage)).toMatchObject({ state: 'in_step', snapshots: 0 });
    storage.close();
  });
});
