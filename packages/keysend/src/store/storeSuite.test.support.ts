import { describe, expect, test } from 'vitest';
import type { ToolkitStore } from './toolkitStore.js';

/** What every ToolkitStore has to do. */
export function storeSuite(name: string, open: () => ToolkitStore): void {
  describe(`a store: ${name}`, () => {
    test('gives back what a transaction has put', () => {
      const store = open();
      const result = store.transaction((tx) => {
        tx.put('a', '1');
        tx.put('b', 'zwei ✓');
        expect(tx.get('a')).toBe('1');
        return 7;
      });
      expect(result).toBe(7);
      expect([store.get('a'), store.get('b'), store.get('c')]).toEqual(['1', 'zwei ✓', undefined]);
      store.transaction((tx) => {
        tx.delete('a');
        tx.delete('never there');
        expect(tx.get('a')).toBeUndefined();
      });
      expect(store.get('a')).toBeUndefined();
      store.close();
    });

    test('keeps nothing of a transaction that throws', () => {
      const store = open();
      store.transaction((tx) => tx.put('a', '1'));
      expect(() =>
        store.transaction((tx) => {
          tx.put('a', '2');
          tx.put('b', '1');
          throw new Error('no');
        }),
      ).toThrow('no');
      expect(store.list({ prefix: '' })).toEqual([{ key: 'a', value: '1' }]);
      store.close();
    });

    test('lists by prefix, in order, within bounds, either way', () => {
      const store = open();
      store.transaction((tx) => {
        for (const key of ['p/3', 'p/1', 'q/1', 'p/2', 'p', 'p0', 'p/é', 'p/😀', 'p/\uffff'])
          tx.put(key, key);
        expect(tx.list({ prefix: 'p/', limit: 2 }).map(({ key }) => key)).toEqual(['p/1', 'p/2']);
      });
      const keys = (range: Parameters<ToolkitStore['list']>[0]) => store.list(range).map(({ key }) => key);
      expect(keys({ prefix: 'p/' })).toEqual(['p/1', 'p/2', 'p/3', 'p/é', 'p/\uffff', 'p/😀']);
      expect(keys({ prefix: 'p/', after: 'p/1', before: 'p/é' })).toEqual(['p/2', 'p/3']);
      expect(keys({ prefix: 'p/', reverse: true, limit: 2 })).toEqual(['p/😀', 'p/\uffff']);
      expect(keys({ prefix: 'p/', reverse: true, before: 'p/3' })).toEqual(['p/2', 'p/1']);
      expect(keys({ prefix: 'x' })).toEqual([]);
      store.close();
    });

    test('refuses a transaction within another, and one that is over', () => {
      const store = open();
      expect(() => store.transaction(() => store.transaction(() => 1))).toThrow(/transaction/);
      const late = store.transaction((tx) => tx);
      expect(() => late.put('a', '1')).toThrow(/over/);
      expect(store.get('a')).toBeUndefined();
      store.close();
    });
  });
}
