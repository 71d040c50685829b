import { BLOCKS_KEPT, type StoredBlock, type StoredPeer } from '../storage.js';
import { StorageError } from '../storageError.js';
import type { Database, Row } from './database.js';
import { asBytes, asNumber, asText, bytesOf, count, optional } from './values.js';

/** Sorts after every character that a key has, so that a prefix becomes a range of the index. */
const LAST_CHARACTER = '\u{10ffff}';

/** What the node follows on the chain, its settings, and its peers' addresses. */
export function chainTables(database: Database) {
  const statements = {
    putBlock: database.prepare('INSERT INTO blocks (height, hash) VALUES (?, ?)'),
    forgetBlocks: database.prepare('DELETE FROM blocks WHERE height <= ?'),
    removeBlocks: database.prepare('DELETE FROM blocks WHERE height >= ?'),
    tip: database.prepare('SELECT height, hash FROM blocks ORDER BY height DESC LIMIT 1'),
    blocks: database.prepare('SELECT height, hash FROM blocks ORDER BY height DESC'),
    putValue: database.prepare(
      `INSERT INTO settings (key, value) VALUES (?, ?)
       ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
    ),
    removeValue: database.prepare('DELETE FROM settings WHERE key = ?'),
    value: database.prepare('SELECT value FROM settings WHERE key = ?'),
    values: database.prepare('SELECT key, value FROM settings WHERE key >= ? AND key < ? ORDER BY key'),
    putPeer: database.prepare(
      `INSERT INTO peers (node_id, host, port, last_seen_ms) VALUES (?, ?, ?, ?)
       ON CONFLICT (node_id) DO UPDATE SET host = excluded.host, port = excluded.port,
         last_seen_ms = excluded.last_seen_ms`,
    ),
    removePeer: database.prepare('DELETE FROM peers WHERE node_id = ?'),
    peers: database.prepare('SELECT node_id, host, port, last_seen_ms FROM peers ORDER BY last_seen_ms DESC'),
  };

  const toBlock = (row: Row): StoredBlock => ({ height: asNumber(row[0]), hash: asBytes(row[1]) });
  const getTip = (): StoredBlock | undefined => {
    const row = statements.tip.get();
    return row && toBlock(row);
  };

  return {
    reader: {
      getTip,
      loadBlocks: (): StoredBlock[] => statements.blocks.all().map(toBlock),
      getValue: (key: string): Uint8Array | undefined => optional(statements.value.get(key)?.[0], asBytes),
      listValues: (prefix: string): { key: string; value: Uint8Array }[] =>
        statements.values
          .all(prefix, prefix + LAST_CHARACTER)
          .map((row) => ({ key: asText(row[0]), value: asBytes(row[1]) })),
      loadPeers: (): StoredPeer[] =>
        statements.peers.all().map((row) => ({
          nodeId: asBytes(row[0]),
          host: asText(row[1]),
          port: asNumber(row[2]),
          lastSeenMs: asNumber(row[3]),
        })),
    },

    writer: {
      putBlock: ({ height, hash }: StoredBlock): void => {
        const tip = getTip();
        if (tip !== undefined && height !== tip.height + 1) {
          throw new StorageError('wrong_use', `block ${height} does not follow the tip at ${tip.height}`);
        }
        statements.putBlock.run(count('height', height), bytesOf('hash', hash, 32));
        statements.forgetBlocks.run(height - BLOCKS_KEPT);
      },
      removeBlocksFrom: (height: number): void => {
        statements.removeBlocks.run(count('height', height));
      },
      putValue: (key: string, value: Uint8Array): void => {
        statements.putValue.run(key, value);
      },
      deleteValue: (key: string): void => {
        statements.removeValue.run(key);
      },
      putPeer: ({ nodeId, host, port, lastSeenMs }: StoredPeer): void => {
        statements.putPeer.run(
          bytesOf('nodeId', nodeId, 33),
          host,
          count('port', port),
          count('lastSeenMs', lastSeenMs),
        );
      },
      deletePeer: (nodeId: Uint8Array): void => {
        statements.removePeer.run(nodeId);
      },
    },
  };
}
