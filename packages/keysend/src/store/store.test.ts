import { describe, expect, test } from 'vitest';
import { memoryStore } from './memoryStore.js';
import { storeSuite } from './storeSuite.test.support.js';
import { type WebStorage, webStore } from './webStore.js';

/** A browser's storage, which may refuse the n-th write. */
class Items implements WebStorage {
  readonly items = new Map<string, string>();
  writesLeft = Number.POSITIVE_INFINITY;
  get length(): number {
    return this.items.size;
  }
  key(index: number): string | null {
    return [...this.items.keys()][index] ?? null;
  }
  getItem(key: string): string | null {
    return this.items.get(key) ?? null;
  }
  setItem(key: string, value: string): void {
    if (this.writesLeft-- <= 0) throw new Error('QuotaExceededError');
    this.items.set(key, value);
  }
  removeItem(key: string): void {
    this.items.delete(key);
  }
}

storeSuite('in memory', () => memoryStore());
storeSuite('localStorage', () => webStore(new Items()));

describe('a store in localStorage', () => {
  test('is there again for the next page, and leaves the items of others alone', () => {
    const items = new Items();
    items.setItem('theme', 'dark');
    webStore(items).transaction((tx) => tx.put('a', '1'));
    expect(webStore(items).list({ prefix: '' })).toEqual([{ key: 'a', value: '1' }]);
    expect(items.getItem('theme')).toBe('dark');
  });

  test('finishes a transaction that was cut off between its items', () => {
    const items = new Items();
    webStore(items).transaction((tx) => tx.put('a', '1'));
    items.setItem(
      'rivulet/!',
      JSON.stringify([
        ['a', null],
        ['b', '2'],
      ]),
    );
    expect(webStore(items).list({ prefix: '' })).toEqual([{ key: 'b', value: '2' }]);
  });

  test('keeps nothing of a transaction for which there is no room', () => {
    const items = new Items();
    const store = webStore(items);
    store.transaction((tx) => tx.put('a', 'before'));
    items.writesLeft = 0;
    expect(() => store.transaction((tx) => tx.put('a', 'after'))).toThrow(/make room/);
    expect(store.list({ prefix: '' })).toEqual([{ key: 'a', value: 'before' }]);
    expect(webStore(items).list({ prefix: '' })).toEqual([{ key: 'a', value: 'before' }]);
  });

  test('keeps all of a transaction when the room runs out between its items', () => {
    for (const writes of [1, 2]) {
      const items = new Items();
      const store = webStore(items);
      store.transaction((tx) => tx.put('a', 'before'));
      items.writesLeft = writes;
      store.transaction((tx) => {
        tx.put('a', 'after');
        tx.put('b', '2');
      });
      items.writesLeft = 1;
      store.transaction((tx) => tx.put('c', '3'));
      const all = [
        { key: 'a', value: 'after' },
        { key: 'b', value: '2' },
        { key: 'c', value: '3' },
      ];
      expect(store.list({ prefix: '' })).toEqual(all);
      items.writesLeft = Number.POSITIVE_INFINITY;
      expect(webStore(items).list({ prefix: '' })).toEqual(all);
      expect(items.getItem('rivulet/!')).toBeNull();
    }
  });
});
