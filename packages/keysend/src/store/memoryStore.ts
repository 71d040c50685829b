import { KeysendError } from '../keysendError.js';
import type { StoreEntry, StoreRange, StoreTransaction, ToolkitStore } from './toolkitStore.js';

/** A store that forgets everything when it is closed: for tests, and for what need not outlive a page. */
export function memoryStore(initial: Iterable<readonly [string, string]> = []): ToolkitStore {
  const map = new Map(initial);
  return mapStore(map, () => {});
}

/**
 * A store over a map.
 * @param commit makes the changes durable before they are in the map; `undefined` for what is deleted.
 */
export function mapStore(
  map: Map<string, string>,
  commit: (changes: ReadonlyMap<string, string | undefined>) => void,
): ToolkitStore {
  let open = false;
  return {
    get: (key) => map.get(key),
    list: (range) => listOf(map, range),
    transaction(body) {
      if (open) throw new KeysendError('store_invalid', 'a transaction is open already');
      const changes = new Map<string, string | undefined>();
      let dead = false;
      const change = (key: string, value: string | undefined): void => {
        if (dead) throw new KeysendError('store_invalid', 'this transaction is over');
        changes.set(key, value);
      };
      const tx: StoreTransaction = {
        get: (key) => (changes.has(key) ? changes.get(key) : map.get(key)),
        list: (range) => listOf(overlay(map, changes), range),
        put: change,
        delete: (key) => change(key, undefined),
      };
      open = true;
      try {
        const result = body(tx);
        if (changes.size > 0) commit(changes);
        for (const [key, value] of changes) {
          if (value === undefined) map.delete(key);
          else map.set(key, value);
        }
        return result;
      } finally {
        dead = true;
        open = false;
      }
    },
    close() {},
  };
}

/** The map as it is with the changes. */
function* overlay(
  map: ReadonlyMap<string, string>,
  changes: ReadonlyMap<string, string | undefined>,
): Iterable<readonly [string, string]> {
  for (const [key, value] of map) if (!changes.has(key)) yield [key, value];
  for (const [key, value] of changes) if (value !== undefined) yield [key, value];
}

function listOf(entries: Iterable<readonly [string, string]>, range: StoreRange): StoreEntry[] {
  const { prefix, after, before, limit, reverse = false } = range;
  const found: StoreEntry[] = [];
  for (const [key, value] of entries) {
    if (!key.startsWith(prefix)) continue;
    if (after !== undefined && compareKeys(key, after) <= 0) continue;
    if (before !== undefined && compareKeys(key, before) >= 0) continue;
    found.push({ key, value });
  }
  found.sort((a, b) => (reverse ? compareKeys(b.key, a.key) : compareKeys(a.key, b.key)));
  return limit === undefined ? found : found.slice(0, limit);
}

/** By code points, which is the order of the UTF-8 bytes; JavaScript's own is that of UTF-16. */
function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  const left = [...a];
  const right = [...b];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = (left[i]?.codePointAt(0) ?? 0) - (right[i]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}
