import { expect, test } from 'vitest';
import type { NodeStorage } from './storage.js';
import { StorageError } from './storageError.js';

const fill = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);
const spend = (height: number, value: number) => ({ channelId: fill(32, 1), height, tx: fill(300, value) });

function failureOf(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error instanceof StorageError ? error.code : error;
  }
  return undefined;
}

/** What every storage does with closed channels and with what it keeps for peers. */
export function testClosing(context: { storage(): NodeStorage; reopen(): void }): void {
  test('spends of a closed channel are kept once each, in the order of the chain, and go with their block or channel', () => {
    const { storage, reopen } = context;
    storage().transaction((tx) => {
      tx.putChannel({ channelId: fill(32, 1), remoteNodeId: fill(33, 2), state: fill(4, 3) });
      for (const one of [spend(12, 1), spend(10, 2), spend(12, 3), spend(12, 1)]) tx.putClosingSpend(one);
    });
    reopen();
    const kept = () => storage().loadClosingSpends(fill(32, 1));
    expect(kept()).toEqual([spend(10, 2), spend(12, 1), spend(12, 3)]);
    expect(storage().loadClosingSpends(fill(32, 9))).toEqual([]);
    storage().transaction((tx) => tx.deleteClosingSpendsFrom(12));
    expect(kept()).toEqual([spend(10, 2)]);
    storage().transaction((tx) => tx.deleteClosingSpends(fill(32, 1)));
    expect(kept()).toEqual([]);
    storage().transaction((tx) => {
      tx.putClosingSpend(spend(13, 1));
      tx.deleteChannel(fill(32, 1));
    });
    expect(kept()).toEqual([]);
    expect(storage().integrityCheck()).toEqual([]);
  });

  test('a spend of no stored channel is refused', () => {
    const { storage } = context;
    expect(failureOf(() => storage().transaction((tx) => tx.putClosingSpend(spend(1, 1))))).toBe('not_found');
  });

  test('the fee of a claim never falls', () => {
    const { storage, reopen } = context;
    const outpoint = { txid: fill(32, 7), index: 3 };
    for (const feeratePerKw of [500, 2_000, 700]) {
      storage().transaction((tx) => tx.putClaimFee({ ...outpoint, feeratePerKw }));
    }
    reopen();
    expect(storage().loadClaimFees()).toEqual([{ ...outpoint, feeratePerKw: 2_000 }]);
    storage().transaction((tx) => tx.deleteClaimFee(outpoint));
    expect(storage().loadClaimFees()).toEqual([]);
  });

  test('one blob is kept for each peer', () => {
    const { storage, reopen } = context;
    const blob = { nodeId: fill(33, 2), data: fill(65_531, 1), storedAtMs: 5 };
    storage().transaction((tx) => {
      tx.putPeerBlob({ ...blob, data: fill(3, 3) });
      tx.putPeerBlob(blob);
    });
    reopen();
    expect(storage().getPeerBlob(blob.nodeId)).toEqual(blob);
    storage().transaction((tx) => tx.deletePeerBlob(blob.nodeId));
    expect(storage().getPeerBlob(blob.nodeId)).toBeUndefined();
  });
}
