import { existsSync, mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { freeBytes, openDiskReserve } from './diskReserve.js';

const root = mkdtempSync(join(tmpdir(), 'rivulet-reserve-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let files = 0;
const newPath = (): string => join(root, `reserve-${files++}`);

describe('openDiskReserve', () => {
  test('takes its bytes for real, gives them free and takes them again', () => {
    const path = newPath();
    const reserve = openDiskReserve({ path, bytes: 3_000_001 });
    expect(reserve).toMatchObject({ path, bytes: 3_000_001, held: true });
    const { size, blocks, mode } = statSync(path);
    expect(size).toBe(3_000_001);
    // Blocks of 512 bytes: a file with holes would have none.
    expect(blocks * 512).toBeGreaterThanOrEqual(3_000_001);
    expect(mode & 0o077).toBe(0);
    reserve.release();
    reserve.release();
    expect(reserve.held).toBe(false);
    expect(existsSync(path)).toBe(false);
    expect(reserve.restore()).toBe(true);
    expect(reserve.held).toBe(true);
  });

  test('what a former run holds is left as it is; what it left half-made is made anew', () => {
    const path = newPath();
    openDiskReserve({ path, bytes: 100_000 });
    const { ino } = statSync(path);
    expect(openDiskReserve({ path, bytes: 100_000 }).held).toBe(true);
    expect(statSync(path).ino).toBe(ino);
    truncateSync(path, 5_000);
    expect(openDiskReserve({ path, bytes: 100_000 }).held).toBe(true);
    expect(statSync(path).size).toBe(100_000);
  });

  test('is not what fills the disk', () => {
    const path = newPath();
    const reserve = openDiskReserve({ path, bytes: freeBytes(root) as number });
    expect(reserve.held).toBe(false);
    expect(reserve.restore()).toBe(false);
    expect(existsSync(path)).toBe(false);
  });
});

describe('freeBytes', () => {
  test('counts what is free on the disk of a path that need not exist', () => {
    const free = freeBytes(join(root, 'not', 'there', 'yet'));
    expect(free).toBeGreaterThan(0);
    expect(Number.isSafeInteger(free)).toBe(true);
  });
});
