import { StorageError } from '../storageError.js';
import type { Database } from './database.js';

/**
 * The schema, as the steps that lead to it. A step that was ever released is never edited: a change is a new
 * step, and a frozen database of every released version must still load (migrations.test.ts).
 *
 * - `channel_keys` gives every channel a small number, once and for good, so that rows which outlive the
 *   channel (payments) or come in millions (archived HTLCs) do not repeat 32 bytes.
 * - Live and archived HTLCs are two tables, so that a restart reads only what is pending.
 * - `payment_hashes` is the index of payments and the set of hashes seen, in one tree: one random page a
 *   payment. `payment` is NULL for a hash that was only marked as seen.
 * - `sendings` and `forwards` hold what is under way; a row goes when its payment is over. `forward_totals` is all
 *   that stays of what was forwarded for others: sums of an hour and a pair of channels.
 * - `closing_spends` has the confirmed transactions that spend outputs of closed channels: what is left to claim
 *   follows from them and the channel, also where the backend has no old blocks any more. `claim_fees` remembers
 *   the highest feerate that was broadcast for an output: no later claim of it pays less.
 * - Enumerations are small integers: direction of an HTLC 0 offered, 1 received; of a payment 0 outgoing,
 *   1 incoming; status 0 pending, 1 succeeded, 2 failed, 3 settled;
 *   state of an invoice 0 open, 1 held, 2 settled, 3 cancelled.
 */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE channel_keys (
    key INTEGER PRIMARY KEY,
    channel_id BLOB NOT NULL UNIQUE
  ) STRICT;
  CREATE TABLE channels (
    channel INTEGER PRIMARY KEY REFERENCES channel_keys (key),
    remote_node_id BLOB NOT NULL,
    state BLOB NOT NULL
  ) STRICT;
  CREATE TABLE htlcs (
    channel INTEGER NOT NULL REFERENCES channels (channel) ON DELETE CASCADE,
    direction INTEGER NOT NULL,
    id INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (channel, direction, id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE archived_htlcs (
    channel INTEGER NOT NULL REFERENCES channels (channel) ON DELETE CASCADE,
    direction INTEGER NOT NULL,
    id INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (channel, direction, id)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE payments (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    direction INTEGER NOT NULL,
    status INTEGER NOT NULL,
    payment_hash BLOB NOT NULL,
    preimage BLOB,
    node_id BLOB,
    amount_msat INTEGER NOT NULL,
    fee_msat INTEGER NOT NULL,
    records BLOB NOT NULL,
    created_at_ms INTEGER NOT NULL,
    settled_at_ms INTEGER,
    channel INTEGER REFERENCES channel_keys (key),
    htlc_id INTEGER,
    failure_code TEXT,
    failure_text TEXT,
    label TEXT,
    idempotency_key TEXT
  ) STRICT;
  CREATE INDEX payments_by_direction ON payments (direction);
  CREATE INDEX payments_pending ON payments (sequence) WHERE status = 0;
  CREATE INDEX payments_failed ON payments (sequence) WHERE status = 2;
  CREATE UNIQUE INDEX payments_idempotency ON payments (idempotency_key) WHERE idempotency_key IS NOT NULL;
  CREATE TABLE payment_hashes (
    payment_hash BLOB NOT NULL,
    direction INTEGER NOT NULL,
    payment INTEGER,
    PRIMARY KEY (payment_hash, direction)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE watched_outpoints (
    txid BLOB NOT NULL,
    output_index INTEGER NOT NULL,
    script BLOB NOT NULL,
    channel_id BLOB,
    PRIMARY KEY (txid, output_index)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE claims (
    claim_id BLOB NOT NULL UNIQUE,
    channel_id BLOB,
    data BLOB NOT NULL
  ) STRICT;
  CREATE TABLE blocks (
    height INTEGER PRIMARY KEY,
    hash BLOB NOT NULL
  ) STRICT;
  CREATE TABLE settings (
    key TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE peers (
    node_id BLOB NOT NULL PRIMARY KEY,
    host TEXT NOT NULL,
    port INTEGER NOT NULL,
    last_seen_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE sendings (
    payment_hash BLOB NOT NULL PRIMARY KEY,
    state BLOB NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE forwards (
    channel INTEGER NOT NULL REFERENCES channel_keys (key),
    htlc_id INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (channel, htlc_id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE forward_totals (
    hour INTEGER NOT NULL,
    incoming INTEGER NOT NULL REFERENCES channel_keys (key),
    outgoing INTEGER NOT NULL REFERENCES channel_keys (key),
    settled_count INTEGER NOT NULL,
    failed_count INTEGER NOT NULL,
    amount_msat INTEGER NOT NULL,
    fee_msat INTEGER NOT NULL,
    PRIMARY KEY (hour, incoming, outgoing)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE invoices (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    payment_hash BLOB NOT NULL UNIQUE,
    preimage BLOB,
    payment_secret BLOB NOT NULL,
    amount_msat INTEGER,
    bolt11 TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    min_final_cltv_delta INTEGER NOT NULL,
    hold INTEGER NOT NULL,
    state INTEGER NOT NULL,
    received_msat INTEGER,
    settled_at_ms INTEGER
  ) STRICT;
  `,
  `
  DROP TABLE watched_outpoints;
  DROP TABLE claims;
  CREATE TABLE closing_spends (
    sequence INTEGER PRIMARY KEY,
    channel INTEGER NOT NULL REFERENCES channels (channel) ON DELETE CASCADE,
    height INTEGER NOT NULL,
    tx BLOB NOT NULL
  ) STRICT;
  CREATE INDEX closing_spends_by_channel ON closing_spends (channel, height);
  CREATE TABLE claim_fees (
    txid BLOB NOT NULL,
    output_index INTEGER NOT NULL,
    feerate INTEGER NOT NULL,
    PRIMARY KEY (txid, output_index)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE peer_blobs (
    node_id BLOB NOT NULL PRIMARY KEY,
    data BLOB NOT NULL,
    stored_at_ms INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE tower_states (
    channel INTEGER NOT NULL REFERENCES channels (channel) ON DELETE CASCADE,
    commitment_number INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (channel, commitment_number)
  ) STRICT, WITHOUT ROWID;
  `,
];

/** The version that this code writes. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/**
 * Brings the schema up to SCHEMA_VERSION in one transaction: all steps or none.
 * @throws StorageError `newer_version` when the file is ahead of this code; it is left untouched.
 */
export function migrate(database: Database): void {
  const found = versionOf(database);
  if (found > SCHEMA_VERSION) {
    throw new StorageError(
      'newer_version',
      `${database.path} was written by a newer Rivulet (schema ${found}; this one knows up to ${SCHEMA_VERSION}): ` +
        'run the newer version; going back could lose the channels in it',
    );
  }
  if (found === SCHEMA_VERSION) return;
  database.exec('BEGIN IMMEDIATE');
  try {
    database.exec('CREATE TABLE IF NOT EXISTS schema_versions (version INTEGER PRIMARY KEY) STRICT');
    const record = database.prepare('INSERT INTO schema_versions (version) VALUES (?)');
    for (let version = found + 1; version <= SCHEMA_VERSION; version++) {
      database.exec(MIGRATIONS[version - 1] as string);
      record.run(version);
    }
    database.exec('COMMIT');
  } catch (error) {
    database.rollback();
    throw error;
  }
}

function versionOf(database: Database): number {
  const tables = database.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table'`).all();
  if (tables.length === 0) return 0;
  if (!tables.some(([name]) => name === 'schema_versions')) {
    throw new StorageError(
      'corrupt',
      `${database.path} is a database, but not one of a Rivulet node: check the path`,
    );
  }
  return Number(database.prepare('SELECT max(version) FROM schema_versions').get()?.[0] ?? 0);
}
