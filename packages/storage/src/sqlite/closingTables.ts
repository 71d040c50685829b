import type { StoredClaimFee, StoredClosingSpend, StoredPeerBlob } from '../closing.js';
import { StorageError } from '../storageError.js';
import type { Database } from './database.js';
import { asBytes, asNumber, bytesOf, count } from './values.js';

/** What is kept so that closed channels are settled after a restart without reading old blocks, and for peers. */
export function closingTables(database: Database, keyFor: (channelId: Uint8Array) => number) {
  const statements = {
    hasChannel: database.prepare('SELECT 1 FROM channels WHERE channel = ?'),
    hasSpend: database.prepare('SELECT 1 FROM closing_spends WHERE channel = ? AND height = ? AND tx = ?'),
    putSpend: database.prepare('INSERT INTO closing_spends (channel, height, tx) VALUES (?, ?, ?)'),
    removeSpendsFrom: database.prepare('DELETE FROM closing_spends WHERE height >= ?'),
    removeSpends: database.prepare('DELETE FROM closing_spends WHERE channel = ?'),
    spends: database.prepare(
      `SELECT height, tx FROM closing_spends JOIN channel_keys ON key = channel
       WHERE channel_id = ? ORDER BY height, sequence`,
    ),
    putFee: database.prepare(
      `INSERT INTO claim_fees (txid, output_index, feerate) VALUES (?, ?, ?)
       ON CONFLICT (txid, output_index) DO UPDATE SET feerate = max(feerate, excluded.feerate)`,
    ),
    removeFee: database.prepare('DELETE FROM claim_fees WHERE txid = ? AND output_index = ?'),
    fees: database.prepare('SELECT txid, output_index, feerate FROM claim_fees'),
    putBlob: database.prepare(
      `INSERT INTO peer_blobs (node_id, data, stored_at_ms) VALUES (?, ?, ?)
       ON CONFLICT (node_id) DO UPDATE SET data = excluded.data, stored_at_ms = excluded.stored_at_ms`,
    ),
    removeBlob: database.prepare('DELETE FROM peer_blobs WHERE node_id = ?'),
    blob: database.prepare('SELECT data, stored_at_ms FROM peer_blobs WHERE node_id = ?'),
  };

  return {
    reader: {
      loadClosingSpends: (channelId: Uint8Array): StoredClosingSpend[] =>
        statements.spends
          .all(bytesOf('channelId', channelId, 32))
          .map((row) => ({ channelId, height: asNumber(row[0]), tx: asBytes(row[1]) })),
      loadClaimFees: (): StoredClaimFee[] =>
        statements.fees.all().map((row) => ({
          txid: asBytes(row[0]),
          index: asNumber(row[1]),
          feeratePerKw: asNumber(row[2]),
        })),
      getPeerBlob: (nodeId: Uint8Array): StoredPeerBlob | undefined => {
        const row = statements.blob.get(bytesOf('nodeId', nodeId, 33));
        return row && { nodeId, data: asBytes(row[0]), storedAtMs: asNumber(row[1]) };
      },
    },

    writer: {
      putClosingSpend: ({ channelId, height, tx }: StoredClosingSpend): void => {
        const channel = keyFor(channelId);
        if (statements.hasChannel.get(channel) === undefined) {
          throw new StorageError('not_found', 'a closing spend belongs to no channel that is stored');
        }
        if (statements.hasSpend.get(channel, count('height', height), tx) !== undefined) return;
        statements.putSpend.run(channel, height, tx);
      },
      deleteClosingSpendsFrom: (height: number): void => {
        statements.removeSpendsFrom.run(count('height', height));
      },
      deleteClosingSpends: (channelId: Uint8Array): void => {
        statements.removeSpends.run(keyFor(channelId));
      },
      putClaimFee: ({ txid, index, feeratePerKw }: StoredClaimFee): void => {
        statements.putFee.run(
          bytesOf('txid', txid, 32),
          count('index', index),
          count('feeratePerKw', feeratePerKw),
        );
      },
      deleteClaimFee: ({ txid, index }: { readonly txid: Uint8Array; readonly index: number }): void => {
        statements.removeFee.run(bytesOf('txid', txid, 32), count('index', index));
      },
      putPeerBlob: ({ nodeId, data, storedAtMs }: StoredPeerBlob): void => {
        statements.putBlob.run(bytesOf('nodeId', nodeId, 33), data, count('storedAtMs', storedAtMs));
      },
      deletePeerBlob: (nodeId: Uint8Array): void => {
        statements.removeBlob.run(bytesOf('nodeId', nodeId, 33));
      },
    },
  };
}
