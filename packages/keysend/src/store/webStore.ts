import { KeysendError } from '../keysendError.js';
import { mapStore } from './memoryStore.js';
import type { ToolkitStore } from './toolkitStore.js';

/** The part of the Web Storage API that is needed: `localStorage`. */
export interface WebStorage {
  readonly length: number;
  key(index: number): string | null;
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/**
 * A store in a page's `localStorage`, for one page at a time. A transaction is one item that is written first, so
 * that it is in the storage as a whole or not at all.
 * @param prefix begins the names of its items.
 * @throws KeysendError `store_invalid` where the browser has no room or no permission.
 */
export function webStore(storage: WebStorage, prefix = 'rivulet/'): ToolkitStore {
  const pendingName = `${prefix}!`;
  const itemPrefix = `${prefix}=`;
  /** What is in the pending item and perhaps not in items of its own yet. */
  let pending = JSON.parse(storage.getItem(pendingName) ?? '[]') as Change[];
  const map = new Map<string, string>();
  for (let i = 0; i < storage.length; i++) {
    const name = storage.key(i);
    if (name === null || !name.startsWith(itemPrefix)) continue;
    map.set(name.slice(itemPrefix.length), storage.getItem(name) ?? '');
  }
  for (const [key, value] of pending) {
    if (value === null) map.delete(key);
    else map.set(key, value);
  }
  const apply = (): void => {
    try {
      for (const [key, value] of pending) {
        if (value === null) storage.removeItem(itemPrefix + key);
        else storage.setItem(itemPrefix + key, value);
      }
      storage.removeItem(pendingName);
      pending = [];
    } catch {
      // No room for the items themselves: they stay in the pending one, where they are found as well.
    }
  };
  if (pending.length > 0) apply();
  return mapStore(map, (changes) => {
    const next = [...pending, ...Array.from(changes, ([key, value]): Change => [key, value ?? null])];
    try {
      storage.setItem(pendingName, JSON.stringify(next));
    } catch (cause) {
      throw new KeysendError(
        'store_invalid',
        'the browser did not take what has to be stored: make room for this site, or allow it to store',
        { cause },
      );
    }
    pending = next;
    apply();
  });
}

/** A key and its new value; `null` where it is deleted. */
type Change = readonly [string, string | null];
