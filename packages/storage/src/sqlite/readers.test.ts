import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StorageError } from '../storageError.js';
import { Database } from './database.js';
import { makePlaces } from './replica/liveCopy.test.support.js';
import { type VerifiedCopy, verifyCopy } from './replica/verifyCopy.js';

const places = makePlaces();
afterAll(places.remove);

/** A copy that changes faster than it can be read is refused: then its writer holds still, wherever it is. */
function verifyBeside(writer: ChildProcess, folder: string): VerifiedCopy {
  try {
    return verifyCopy({ path: folder });
  } catch (error) {
    if (!(error instanceof StorageError) || !error.message.includes('changes too fast')) throw error;
    writer.kill('SIGSTOP');
    try {
      return verifyCopy({ path: folder });
    } finally {
      writer.kill('SIGCONT');
    }
  }
}

describe('a second program that reads while the node writes', () => {
  beforeAll(() => {
    // The child is a plain Node process: it uses the built files.
    const compiler = fileURLToPath(new URL('../../../../node_modules/typescript/bin/tsc', import.meta.url));
    const project = fileURLToPath(new URL('../..', import.meta.url));
    const { stdout } = spawnSync(process.execPath, [compiler, '-b', project], { encoding: 'utf8' });
    expect(existsSync(`${project}/dist/index.js`), stdout).toBe(true);
  }, 120_000);

  test('sees whole transactions only, each later than the one before, and the live copy likewise', async () => {
    const { path, folder } = places.place();
    const fixture = fileURLToPath(new URL('../../fixtures/writer.mjs', import.meta.url));
    // A short log, so that it begins anew again and again under the reader's eyes.
    const child = spawn(process.execPath, [fixture, path, folder, '30']);
    const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
    const seen: number[] = [];
    const copied: number[] = [];
    let reader: Database | undefined;
    try {
      for await (const line of createInterface({ input: child.stdout })) {
        const reported = Number(line);
        if (reported % 5 !== 0) continue;
        reader ??= new Database(path);
        reader.exec('BEGIN');
        const [first, last] = ['first', 'last'].map((key) => {
          const value = reader?.prepare('SELECT value FROM settings WHERE key = ?').get(key)?.[0];
          return value instanceof Uint8Array ? new DataView(value.buffer, value.byteOffset).getUint32(0) : -1;
        });
        const htlcs = reader.prepare('SELECT id FROM htlcs').all();
        reader.exec('COMMIT');
        expect(last).toBe(first);
        expect(htlcs).toEqual([[BigInt(first ?? -1)]]);
        expect(first).toBeGreaterThanOrEqual(reported);
        seen.push(first ?? -1);
        const copy = verifyBeside(child, folder);
        expect(copy).toMatchObject({ problems: [], pendingHtlcs: 1, payments: copy.commits });
        expect(copy.commits).toBeGreaterThan(reported);
        copied.push(copy.commits);
        if (seen.length === 25) break;
      }
    } finally {
      child.kill('SIGKILL');
      await ended;
      reader?.close();
    }
    expect(seen.length).toBe(25);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(copied).toEqual([...copied].sort((a, b) => a - b));
    expect(new Set(copied).size).toBeGreaterThan(1);
  });
});
