import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  firstShachainIndex,
  perCommitmentSecret,
  ShachainError,
  ShachainStore,
  shachainIndex,
} from './shachain.js';

const seed = new Uint8Array(32).fill(0x5a);

function filled(count: number): ShachainStore {
  let store = ShachainStore.empty;
  for (let i = 0; i < count; i++) {
    store = store.insert(store.nextIndex, perCommitmentSecret(seed, store.nextIndex));
  }
  return store;
}

function failure(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof ShachainError) return error.code;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('the store of per-commitment secrets', () => {
  test('gives back every secret that it was given, and no other', () => {
    const store = filled(300);
    expect(store.nextIndex).toBe(firstShachainIndex - 300n);
    for (let i = 0n; i < 300n; i++) {
      const index = shachainIndex(i);
      expect(store.lookup(index)).toEqual(perCommitmentSecret(seed, index));
    }
    expect(store.lookup(shachainIndex(300n))).toBeUndefined();
    expect(store.lookup(firstShachainIndex + 1n)).toBeUndefined();
    expect(ShachainStore.empty.lookup(firstShachainIndex)).toBeUndefined();
  });

  test('survives encoding at every size, and stays small', () => {
    for (const count of [0, 1, 2, 3, 4, 7, 8, 100, 256, 300]) {
      const store = filled(count);
      const bytes = store.encode();
      expect(bytes.length).toBeLessThanOrEqual(8 + 32 * (1 + Math.ceil(Math.log2(count + 1))));
      const decoded = ShachainStore.decode(bytes);
      expect(decoded.encode()).toEqual(bytes);
      const next = store.nextIndex;
      const secret = perCommitmentSecret(seed, next);
      expect(decoded.insert(next, secret).encode()).toEqual(store.insert(next, secret).encode());
    }
  });

  test('refuses a secret of another seed as soon as that shows, and keeps its state', () => {
    const other = new Uint8Array(32).fill(1);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), (count) => {
        const store = filled(count);
        const before = store.encode();
        const index = store.nextIndex;
        // An odd index covers no earlier one: nothing can be told yet.
        const insert = () => store.insert(index, perCommitmentSecret(other, index));
        if (index % 2n === 1n) expect(insert().nextIndex).toBe(index - 1n);
        else expect(failure(insert)).toBe('shachain_inconsistent');
        expect(store.encode()).toEqual(before);
      }),
    );
  });

  test('takes secrets in their order only', () => {
    const store = filled(2);
    const secret = perCommitmentSecret(seed, shachainIndex(2n));
    expect(failure(() => store.insert(shachainIndex(1n), secret))).toBe('shachain_order');
    expect(failure(() => store.insert(shachainIndex(3n), secret))).toBe('shachain_order');
    expect(store.insert(shachainIndex(2n), secret).nextIndex).toBe(shachainIndex(3n));
  });

  test('does not share memory with the caller', () => {
    const secret = Uint8Array.from(perCommitmentSecret(seed, firstShachainIndex));
    const store = ShachainStore.empty.insert(firstShachainIndex, secret);
    secret.fill(0);
    expect(store.lookup(firstShachainIndex)).toEqual(perCommitmentSecret(seed, firstShachainIndex));
  });

  test.each([
    ['nothing', new Uint8Array(0)],
    ['half an index', new Uint8Array(7)],
    ['a lowest index beyond the first', new Uint8Array(8).fill(0xff)],
    ['too few secrets', filled(4).encode().slice(0, -32)],
    ['too many secrets', new Uint8Array([...filled(4).encode(), ...seed])],
  ])('refuses stored bytes with %s', (_, bytes) => {
    expect(failure(() => ShachainStore.decode(bytes))).toBe('shachain_invalid');
  });
});
