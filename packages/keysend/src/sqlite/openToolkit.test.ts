import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Database } from '@rivulet/storage/database';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { storeSuite } from '../store/storeSuite.test.support.js';
import { openToolkit } from './openToolkit.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rivulet-toolkit-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

storeSuite('SQLite', () => openToolkit({ path: join(folder, 'toolkit.sqlite') }).store);

describe("the toolkit's file", () => {
  test('is there again after a restart, and shared with a second connection', () => {
    const path = join(folder, 'toolkit.sqlite');
    const first = openToolkit({ path });
    const second = openToolkit({ path });
    first.store.transaction((tx) => tx.put('a', '1'));
    expect(second.store.get('a')).toBe('1');
    second.store.transaction((tx) => tx.put('a', `${tx.get('a')}2`));
    expect(first.store.get('a')).toBe('12');
    first.close();
    second.close();
    const third = openToolkit({ path });
    expect(third.store.get('a')).toBe('12');
    third.close();
  });

  test('of something else is refused and left as it is', () => {
    const path = join(folder, 'other.sqlite');
    const other = new Database(path);
    other.exec('CREATE TABLE birds (name TEXT)');
    other.close();
    expect(() => openToolkit({ path })).toThrow(/not one of Rivulet's toolkit/);
    const again = new Database(path);
    expect(again.prepare('SELECT name FROM sqlite_schema').all()).toEqual([['birds']]);
    again.close();
  });

  test('of a newer version is refused', () => {
    const path = join(folder, 'toolkit.sqlite');
    openToolkit({ path }).close();
    const newer = new Database(path);
    newer.exec('PRAGMA user_version = 999');
    newer.close();
    expect(() => openToolkit({ path })).toThrow(/newer Rivulet/);
  });
});
