import { expect, test } from 'vitest';
import { memoryStore } from '../store/memoryStore.js';
import type { ToolkitStore } from '../store/toolkitStore.js';
import { GroupCommit } from './groupCommit.js';

const schedule = (_: number, run: () => void) => {
  queueMicrotask(run);
  return () => {};
};

test('a change that cannot be made keeps none of the others from being made', async () => {
  const store = memoryStore();
  const commit = new GroupCommit({ store, schedule });
  const changes = [1, 2, 3].map((n) =>
    commit.run((tx) => {
      tx.put(`key/${n}`, '');
      if (n === 2) throw new Error('no');
      return n;
    }),
  );
  const made = await Promise.allSettled(changes);
  expect(made.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(store.list({ prefix: 'key/' }).map(({ key }) => key)).toEqual(['key/1', 'key/3']);
});

test('a store that is busy is waited for once for all changes', async () => {
  for (const when of ['begins', 'commits'] as const) {
    let waits = 0;
    const store: ToolkitStore = {
      ...memoryStore(),
      transaction: (body) =>
        memoryStore().transaction((tx) => {
          if (when === 'commits') body(tx);
          waits++;
          throw new Error('busy');
        }),
    };
    const commit = new GroupCommit({ store, schedule });
    const made = await Promise.allSettled([1, 2, 3].map((n) => commit.run((tx) => tx.put(`${n}`, ''))));
    expect(made.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(waits).toBe(1);
  }
});
