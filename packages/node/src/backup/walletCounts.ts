import { ByteReader, ByteWriter } from '@rivulet/core/bytes';
import type { StorageReader, StorageTransaction } from '@rivulet/storage';

/** Of the wallet (walletStore): how many addresses of each keychain were given out. */
const key = 'wallet/next';
const version = 1;

export function readWalletCounts(storage: StorageReader): number[] {
  const value = storage.getValue(key);
  if (value === undefined || value[0] !== version) return [];
  const reader = new ByteReader(value.subarray(1));
  const counts: number[] = [];
  while (reader.left >= 4) counts.push(reader.u32());
  return counts;
}

/** For a wallet that has not been opened: it looks for coins on at least so many addresses, and the gap after. */
export function writeWalletCounts(tx: StorageTransaction, counts: readonly number[]): void {
  if (counts.length === 0) return;
  const writer = new ByteWriter(1 + 4 * counts.length).u8(version);
  for (const count of counts) writer.u32(count);
  tx.putValue(key, writer.finish());
}
