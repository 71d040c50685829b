import type { Database, Row } from '../sqlite/database.js';
import { asBigint, asBytes, asNumber, optional } from '../sqlite/values.js';
import { StorageError } from '../storageError.js';
import {
  GOSSIP_BLOCKS_KEPT,
  type GossipBlock,
  type GossipChannel,
  type GossipNode,
  type GossipUpdate,
  type NewGossipChannel,
} from './gossipStore.js';

/** A file of another version is emptied: what it holds can be fetched anew. */
const SCHEMA_VERSION = 1n;

/**
 * One row a channel, with both updates in it: loading the graph is then one pass over one tree, and the price of
 * a row (most of the time that loading takes) is paid 50,000 times and not 150,000 times.
 */
const SCHEMA = `
  DROP TABLE IF EXISTS channels;
  DROP TABLE IF EXISTS nodes;
  DROP TABLE IF EXISTS blocks;
  CREATE TABLE channels (
    scid INTEGER PRIMARY KEY,
    capacity_sat INTEGER,
    funding_txid BLOB,
    known_since INTEGER NOT NULL,
    spent_height INTEGER,
    announcement BLOB NOT NULL,
    update_1 BLOB,
    update_2 BLOB,
    checksum_1 INTEGER NOT NULL DEFAULT 0,
    checksum_2 INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE TABLE nodes (node_id BLOB PRIMARY KEY, announcement BLOB NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE blocks (height INTEGER PRIMARY KEY, hash BLOB NOT NULL) STRICT;
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** Rows that are read at once while loading. */
const CHUNK = 1_000;

export type GossipTables = ReturnType<typeof gossipTables>;

/** The tables of a gossip file; they are made, or emptied, where they are of another version. */
export function gossipTables(database: Database) {
  if (database.pragma('user_version') !== SCHEMA_VERSION) {
    database.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT`);
  }
  const columns =
    'scid, capacity_sat, funding_txid, known_since, spent_height, announcement, update_1, update_2';
  // Each blob that crosses into JavaScript costs more than its bytes: all of a row come as one, and their lengths.
  const chunk = database.prepare(`
    SELECT scid, capacity_sat, known_since, spent_height, checksum_1, checksum_2,
      (length(announcement) << 32) | (ifnull(length(update_1), 0) << 16) | ifnull(length(update_2), 0),
      CAST(announcement || ifnull(update_1, x'') || ifnull(update_2, x'') || ifnull(funding_txid, x'') AS BLOB)
    FROM channels WHERE scid > ? ORDER BY scid LIMIT ${CHUNK}`);
  const one = database.prepare(`SELECT ${columns} FROM channels WHERE scid = ?`);
  const put = database.prepare(
    'REPLACE INTO channels (scid, capacity_sat, funding_txid, known_since, announcement) VALUES (?, ?, ?, ?, ?)',
  );
  const putUpdates = [
    database.prepare('UPDATE channels SET update_1 = ?, checksum_1 = ? WHERE scid = ?'),
    database.prepare('UPDATE channels SET update_2 = ?, checksum_2 = ? WHERE scid = ?'),
  ] as const;
  const setSpent = database.prepare('UPDATE channels SET spent_height = ? WHERE scid = ?');
  const removeChannel = database.prepare('DELETE FROM channels WHERE scid = ?');
  const nodeChunk = database.prepare(
    `SELECT node_id, announcement FROM nodes WHERE node_id > ? ORDER BY node_id LIMIT ${CHUNK}`,
  );
  const nodeIds = database.prepare('SELECT node_id FROM nodes WHERE node_id > ? ORDER BY node_id LIMIT ?');
  const oneNode = database.prepare('SELECT announcement FROM nodes WHERE node_id = ?');
  const putNode = database.prepare('REPLACE INTO nodes (node_id, announcement) VALUES (?, ?)');
  const removeNode = database.prepare('DELETE FROM nodes WHERE node_id = ?');
  const blocks = database.prepare('SELECT height, hash FROM blocks ORDER BY height');
  const putBlock = database.prepare('REPLACE INTO blocks (height, hash) VALUES (?, ?)');
  const forgetBlocks = database.prepare('DELETE FROM blocks WHERE height <= ?');
  const removeBlocks = database.prepare('DELETE FROM blocks WHERE height >= ?');

  return {
    loadChannels(visit: (channel: GossipChannel, checksums: readonly [number, number]) => void): void {
      let last: bigint | undefined = -1n;
      while (last !== undefined) {
        const rows: Row[] = chunk.all(last);
        for (const row of rows) visit(joinedChannelOf(row), [asNumber(row[4]), asNumber(row[5])]);
        last = rows.length < CHUNK ? undefined : asBigint(rows.at(-1)?.[0]);
      }
    },
    loadNodes(visit: (nodeId: Uint8Array, message: Uint8Array) => void): void {
      let last: Uint8Array | undefined = new Uint8Array(0);
      while (last !== undefined) {
        const rows: Row[] = nodeChunk.all(last);
        for (const row of rows) visit(asBytes(row[0]), asBytes(row[1]));
        last = rows.length < CHUNK ? undefined : asBytes(rows.at(-1)?.[0]);
      }
    },
    getChannel(shortChannelId: bigint): GossipChannel | undefined {
      const row = one.get(shortChannelId);
      return row === undefined ? undefined : channelOf(row);
    },
    getNode(nodeId: Uint8Array): Uint8Array | undefined {
      const row = oneNode.get(nodeId);
      return row === undefined ? undefined : asBytes(row[0]);
    },
    nodeIdsAfter(nodeId: Uint8Array, limit: number): Uint8Array[] {
      return nodeIds.all(nodeId, limit).map((row) => asBytes(row[0]));
    },
    putChannel(channel: NewGossipChannel): void {
      put.run(
        channel.shortChannelId,
        channel.capacitySat ?? null,
        channel.fundingTxid ?? null,
        channel.knownSince,
        channel.announcement,
      );
    },
    putUpdate(update: GossipUpdate): void {
      putUpdates[update.direction].run(update.message, update.checksum, update.shortChannelId);
    },
    setSpent(shortChannelId: bigint, height: number | undefined): void {
      setSpent.run(height ?? null, shortChannelId);
    },
    removeChannel(shortChannelId: bigint): void {
      removeChannel.run(shortChannelId);
    },
    putNode(nodeId: Uint8Array, node: GossipNode): void {
      putNode.run(nodeId, node.message);
    },
    removeNode(nodeId: Uint8Array): void {
      removeNode.run(nodeId);
    },
    loadBlocks(): GossipBlock[] {
      return blocks.all().map((row) => ({ height: asNumber(row[0]), hash: asBytes(row[1]) }));
    },
    putBlock(block: GossipBlock): void {
      putBlock.run(block.height, block.hash);
      forgetBlocks.run(block.height - GOSSIP_BLOCKS_KEPT);
    },
    removeBlocksFrom(height: number): void {
      removeBlocks.run(height);
    },
    transaction(body: () => void): void {
      database.exec('BEGIN IMMEDIATE');
      try {
        body();
        if (!database.inTransaction)
          throw new StorageError('disk_full', `${database.path}: the disk is full`);
        database.exec('COMMIT');
      } catch (error) {
        database.rollback();
        throw error;
      }
    },
  };
}

function channelOf(row: Row): GossipChannel {
  return {
    shortChannelId: asBigint(row[0]),
    capacitySat: optional(row[1], asBigint),
    fundingTxid: optional(row[2], asBytes),
    knownSince: asNumber(row[3]),
    spentHeight: optional(row[4], asNumber),
    announcement: asBytes(row[5]),
    updates: [optional(row[6], asBytes), optional(row[7], asBytes)],
  };
}

function joinedChannelOf(row: Row): GossipChannel {
  const lengths = asBigint(row[6]);
  const joined = asBytes(row[7]);
  let at = 0;
  const part = (length: number): Uint8Array | undefined => {
    at += length;
    return length === 0 ? undefined : joined.subarray(at - length, at);
  };
  return {
    shortChannelId: asBigint(row[0]),
    capacitySat: optional(row[1], asBigint),
    knownSince: asNumber(row[2]),
    spentHeight: optional(row[3], asNumber),
    announcement: part(Number(lengths >> 32n)) ?? joined.subarray(0, 0),
    updates: [part(Number((lengths >> 16n) & 0xffffn)), part(Number(lengths & 0xffffn))],
    fundingTxid: part(joined.length - at),
  };
}
