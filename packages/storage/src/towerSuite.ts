import { expect, test } from 'vitest';
import type { NodeStorage } from './storage.js';

const fill = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);
const state = (channel: number, commitmentNumber: bigint) => ({
  channelId: fill(32, channel),
  commitmentNumber,
  data: fill(40, Number(commitmentNumber & 0xffn)),
});

/** What every storage does with what towers have yet to be told. */
export function testTowers(context: { storage(): NodeStorage; reopen(): void }): void {
  test('revoked states wait in the order of their numbers until they are told, or their channel goes', () => {
    const { storage, reopen } = context;
    storage().transaction((tx) => {
      for (const channel of [1, 2]) {
        tx.putChannel({ channelId: fill(32, channel), remoteNodeId: fill(33, 2), state: fill(4, 3) });
      }
      for (const number of [2n, 0n, 1n, 281_474_976_710_655n]) tx.putTowerState(state(1, number));
      tx.putTowerState(state(2, 7n));
    });
    reopen();
    const waiting = (from: bigint, limit = 10) =>
      storage().loadTowerStates({ channelId: fill(32, 1), from, limit });
    expect(waiting(0n)).toEqual([0n, 1n, 2n, 281_474_976_710_655n].map((number) => state(1, number)));
    expect(waiting(1n, 2)).toEqual([state(1, 1n), state(1, 2n)]);
    expect(storage().listTowerQueues()).toEqual([
      {
        channelId: fill(32, 1),
        count: 4,
        bytes: 4 * state(1, 1n).data.length,
        first: 0n,
        last: 281_474_976_710_655n,
      },
      { channelId: fill(32, 2), count: 1, bytes: state(2, 7n).data.length, first: 7n, last: 7n },
    ]);
    storage().transaction((tx) => tx.deleteTowerStates({ channelId: fill(32, 1), before: 2n }));
    expect(waiting(0n)).toHaveLength(2);
    storage().transaction((tx) => tx.deleteChannel(fill(32, 1)));
    expect(storage().listTowerQueues()).toHaveLength(1);
    expect(storage().integrityCheck()).toEqual([]);
  });

  test('a state of no stored channel is refused', () => {
    const { storage } = context;
    expect(() => storage().transaction((tx) => tx.putTowerState(state(9, 1n)))).toThrow(/not stored/);
  });
}
