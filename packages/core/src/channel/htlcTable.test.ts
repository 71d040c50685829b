import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Htlc, HtlcDirection } from './htlc.js';
import { HtlcTable } from './htlcTable.js';

function htlc(direction: HtlcDirection, id: bigint, amountMsat = 1n): Htlc {
  const paymentHash = new Uint8Array(32);
  const onion = new Uint8Array(0);
  return { direction, id, amountMsat, paymentHash, onion, cltvExpiry: 1, state: 'sent_add' };
}

const direction = fc.constantFrom<HtlcDirection>('offered', 'received');
const id = fc.oneof(
  fc.bigInt(0n, 100n),
  fc.bigInt(0n, (1n << 64n) - 1n),
  fc.constantFrom(31n, 32n, 33n, 63n, 64n),
);
const change = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), direction, id, amountMsat: fc.bigInt(1n, 9n) }),
  fc.record({ kind: fc.constant('remove' as const), direction, id }),
  fc.record({ kind: fc.constant('removeAmount' as const), amountMsat: fc.bigInt(1n, 9n) }),
  fc.record({ kind: fc.constant('double' as const), amountMsat: fc.bigInt(1n, 9n) }),
);

const keyOf = (entry: Pick<Htlc, 'direction' | 'id'>) => `${entry.direction} ${entry.id}`;

function inOrder(a: Htlc, b: Htlc): number {
  if (a.direction !== b.direction) return a.direction === 'offered' ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}

describe('the table of HTLCs', () => {
  test('is what a map would be, in the order of directions and ids, and old tables stay as they were', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        let table = HtlcTable.empty;
        const map = new Map<string, Htlc>();
        const history: [HtlcTable, readonly Htlc[]][] = [];
        for (const step of changes) {
          switch (step.kind) {
            case 'put': {
              const entry = htlc(step.direction, step.id, step.amountMsat);
              table = table.with(entry);
              map.set(keyOf(entry), entry);
              break;
            }
            case 'remove':
              table = table.without(step.direction, step.id);
              map.delete(keyOf(step));
              break;
            case 'removeAmount':
              table = table.update((entry) => (entry.amountMsat === step.amountMsat ? undefined : entry));
              for (const [key, entry] of map) if (entry.amountMsat === step.amountMsat) map.delete(key);
              break;
            case 'double': {
              const doubled = (entry: Htlc) =>
                entry.amountMsat === step.amountMsat
                  ? { ...entry, amountMsat: entry.amountMsat * 2n }
                  : entry;
              table = table.update(doubled);
              for (const [key, entry] of map) map.set(key, doubled(entry));
            }
          }
          history.push([table, [...map.values()].sort(inOrder)]);
        }
        for (const [then, wanted] of history) {
          expect([...then]).toEqual(wanted);
          const visited: Htlc[] = [];
          then.forEach((entry) => {
            visited.push(entry);
          });
          expect(visited.sort(inOrder)).toEqual(wanted);
          expect(then.size).toBe(wanted.length);
          const offered = wanted.filter((entry) => entry.direction === 'offered');
          expect(then.offeredCount).toBe(offered.length);
          expect(then.receivedCount).toBe(wanted.length - offered.length);
          expect([...then.direction('offered')]).toEqual(offered);
        }
        for (const entry of map.values()) expect(table.get(entry.direction, entry.id)).toEqual(entry);
        expect([...HtlcTable.from([...map.values()].reverse())]).toEqual([...map.values()].sort(inOrder));
      }),
    );
  });

  test('is the same table where nothing changes', () => {
    const table = HtlcTable.from([htlc('offered', 1n), htlc('received', 40n)]);
    expect(table.update((entry) => entry)).toBe(table);
    expect(table.without('offered', 2n)).toBe(table);
    expect(table.get('received', 1n)).toBeUndefined();
  });
});
