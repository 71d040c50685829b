import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { memoryStore } from '../store/memoryStore.js';
import { loadToolkitSecret } from './toolkitSecret.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rivulet-secret-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a secret is made once, for this user alone, and is there again', () => {
  const path = join(folder, 'new', 'toolkit-secret');
  const store = memoryStore();
  const secret = loadToolkitSecret({ path, store });
  expect(secret).toHaveLength(32);
  expect(loadToolkitSecret({ path, store })).toEqual(secret);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(folder, 'new'))).toEqual(['toolkit-secret']);
  expect(loadToolkitSecret({ path: join(folder, 'other'), store: memoryStore() })).not.toEqual(secret);
});

test('what payments were made with is not replaced: neither by another secret nor by a new one', () => {
  const path = join(folder, 'toolkit-secret');
  const store = memoryStore();
  loadToolkitSecret({ path, store });
  const first = readFileSync(path, 'utf8');
  writeFileSync(path, `${'ab'.repeat(32)}\n`);
  expect(() => loadToolkitSecret({ path, store })).toThrow(/not the one/);
  rmSync(path);
  expect(() => loadToolkitSecret({ path, store })).toThrow(/missing/);
  expect(readdirSync(folder)).toEqual([]);
  writeFileSync(path, 'half');
  expect(() => loadToolkitSecret({ path, store })).toThrow(/does not hold a secret/);
  writeFileSync(path, first);
  expect(loadToolkitSecret({ path, store })).toHaveLength(32);
});
