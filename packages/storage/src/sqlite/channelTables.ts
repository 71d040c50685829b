import { bytesToHex } from '@rivulet/core/bytes';
import type { HtlcDirection, HtlcKey, StoredChannel, StoredHtlc } from '../storage.js';
import { StorageError } from '../storageError.js';
import type { Database, Row } from './database.js';
import { asBigint, asBytes, asNumber, bytesOf, integer } from './values.js';

const directionNumber = (direction: HtlcDirection): number => (direction === 'offered' ? 0 : 1);

/** Channels and their HTLCs. */
export function channelTables(database: Database) {
  const statements = {
    findKey: database.prepare('SELECT key FROM channel_keys WHERE channel_id = ?'),
    addKey: database.prepare('INSERT INTO channel_keys (channel_id) VALUES (?)'),
    update: database.prepare('UPDATE channels SET state = ? WHERE channel = ? AND remote_node_id = ?'),
    insert: database.prepare('INSERT INTO channels (channel, remote_node_id, state) VALUES (?, ?, ?)'),
    exists: database.prepare('SELECT 1 FROM channels WHERE channel = ?'),
    remove: database.prepare('DELETE FROM channels WHERE channel = ?'),
    all: database.prepare(
      'SELECT channel_id, remote_node_id, state FROM channels JOIN channel_keys ON key = channel ORDER BY channel',
    ),
    putHtlc: database.prepare(
      `INSERT INTO htlcs (channel, direction, id, data) VALUES (?, ?, ?, ?)
       ON CONFLICT (channel, direction, id) DO UPDATE SET data = excluded.data`,
    ),
    removeHtlc: database.prepare('DELETE FROM htlcs WHERE channel = ? AND direction = ? AND id = ?'),
    archiveHtlc: database.prepare(
      `INSERT INTO archived_htlcs (channel, direction, id, data) VALUES (?, ?, ?, ?)
       ON CONFLICT (channel, direction, id) DO UPDATE SET data = excluded.data`,
    ),
    htlcs: database.prepare('SELECT direction, id, data FROM htlcs WHERE channel = ? ORDER BY direction, id'),
    archived: database.prepare(
      'SELECT direction, id, data FROM archived_htlcs WHERE channel = ? ORDER BY direction, id',
    ),
    archivedOne: database.prepare(
      'SELECT direction, id, data FROM archived_htlcs WHERE channel = ? AND direction = ? AND id = ?',
    ),
  };

  // The numbers of channels, found once. A rollback may take a number back, and so empties it.
  const keys = new Map<string, number>();

  function findKey(channelId: Uint8Array): number | undefined {
    const hex = bytesToHex(channelId);
    const cached = keys.get(hex);
    if (cached !== undefined) return cached;
    const row = statements.findKey.get(channelId);
    if (row === undefined) return undefined;
    const key = asNumber(row[0]);
    keys.set(hex, key);
    return key;
  }

  function keyFor(channelId: Uint8Array): number {
    const found = findKey(bytesOf('channelId', channelId, 32));
    if (found !== undefined) return found;
    const { rowid } = statements.addKey.run(channelId);
    keys.set(bytesToHex(channelId), rowid);
    return rowid;
  }

  function channelOf(channelId: Uint8Array): number {
    const key = findKey(channelId);
    // A channel that was deleted keeps its number; the foreign key of the row refuses it as `not_found`.
    if (key === undefined) {
      throw new StorageError('not_found', `channel ${bytesToHex(channelId)} is not stored: put it first`);
    }
    return key;
  }

  const toHtlc = (channelId: Uint8Array, row: Row): StoredHtlc => ({
    channelId,
    direction: asNumber(row[0]) === 0 ? 'offered' : 'received',
    id: asBigint(row[1]),
    data: asBytes(row[2]),
  });

  return {
    keyFor,
    forgetKeys: () => keys.clear(),

    reader: {
      loadChannels: (): StoredChannel[] =>
        statements.all.all().map((row) => ({
          channelId: asBytes(row[0]),
          remoteNodeId: asBytes(row[1]),
          state: asBytes(row[2]),
        })),
      loadHtlcs: (channelId: Uint8Array): StoredHtlc[] => {
        const key = findKey(channelId);
        return key === undefined ? [] : statements.htlcs.all(key).map((row) => toHtlc(channelId, row));
      },
      loadArchivedHtlcs: (channelId: Uint8Array): StoredHtlc[] => {
        const key = findKey(channelId);
        return key === undefined ? [] : statements.archived.all(key).map((row) => toHtlc(channelId, row));
      },
      getArchivedHtlc: ({ channelId, direction, id }: HtlcKey): StoredHtlc | undefined => {
        const key = findKey(channelId);
        if (key === undefined) return undefined;
        const row = statements.archivedOne.get(key, directionNumber(direction), integer('id', id));
        return row && toHtlc(channelId, row);
      },
    },

    writer: {
      putChannel: ({ channelId, remoteNodeId, state }: StoredChannel): void => {
        const key = keyFor(channelId);
        bytesOf('remoteNodeId', remoteNodeId, 33);
        if (statements.update.run(state, key, remoteNodeId).changes === 1) return;
        if (statements.exists.get(key) !== undefined) {
          throw new StorageError('wrong_use', `channel ${bytesToHex(channelId)} belongs to another node`);
        }
        statements.insert.run(key, remoteNodeId, state);
      },
      deleteChannel: (channelId: Uint8Array): void => {
        const key = findKey(channelId);
        if (key !== undefined) statements.remove.run(key);
      },
      putHtlc: ({ channelId, direction, id, data }: StoredHtlc): void => {
        statements.putHtlc.run(channelOf(channelId), directionNumber(direction), integer('id', id), data);
      },
      archiveHtlc: ({ channelId, direction, id, data }: StoredHtlc): void => {
        const key = channelOf(channelId);
        statements.removeHtlc.run(key, directionNumber(direction), integer('id', id));
        statements.archiveHtlc.run(key, directionNumber(direction), id, data);
      },
      deleteHtlc: ({ channelId, direction, id }: HtlcKey): void => {
        const key = findKey(channelId);
        if (key !== undefined) statements.removeHtlc.run(key, directionNumber(direction), integer('id', id));
      },
    },
  };
}
