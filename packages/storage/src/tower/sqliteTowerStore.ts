import type { Database, Row } from '../sqlite/database.js';
import { asBigint, asBytes, asNumber, asText, bytesOf, count, integer, optional } from '../sqlite/values.js';
import { StorageError } from '../storageError.js';
import {
  type AppointmentKey,
  type StoredAppointment,
  type StoredTowerUser,
  type StoredTracker,
  TOWER_BLOCKS_KEPT,
  type TowerBlock,
  type TowerReader,
  type TowerStore,
  type TowerTransaction,
} from './towerStore.js';

const userColumns = 'user_id, available_slots, subscription_start, subscription_expiry';
const appointmentColumns = 'locator, user_id, encrypted_blob, to_self_delay, user_signature, start_block';

function toUser(row: Row): StoredTowerUser {
  return {
    userId: asBytes(row[0]),
    availableSlots: asNumber(row[1]),
    subscriptionStart: asNumber(row[2]),
    subscriptionExpiry: asNumber(row[3]),
  };
}

function toAppointment(row: Row): StoredAppointment {
  return {
    locator: asBytes(row[0]),
    userId: asBytes(row[1]),
    encryptedBlob: asBytes(row[2]),
    toSelfDelay: asNumber(row[3]),
    userSignature: asText(row[4]),
    startBlock: asNumber(row[5]),
  };
}

function toTracker(row: Row): StoredTracker {
  return {
    locator: asBytes(row[0]),
    userId: asBytes(row[1]),
    disputeTxid: asBytes(row[2]),
    disputeHeight: asNumber(row[3]),
    penaltyTx: asBytes(row[4]),
    feeSat: optional(row[5], asBigint),
    resolvedHeight: optional(row[6], asNumber),
  };
}

function toBlock(row: Row): TowerBlock {
  return { height: asNumber(row[0]), hash: asBytes(row[1]) };
}

function prepareStatements(database: Database) {
  const appointments = `SELECT ${appointmentColumns} FROM appointments JOIN users ON key = user`;
  return {
    user: database.prepare(`SELECT ${userColumns} FROM users WHERE user_id = ?`),
    userKey: database.prepare('SELECT key FROM users WHERE user_id = ?'),
    putUser: database.prepare(
      `INSERT INTO users (${userColumns}) VALUES (?, ?, ?, ?) ON CONFLICT (user_id) DO UPDATE SET
         available_slots = excluded.available_slots, subscription_start = excluded.subscription_start,
         subscription_expiry = excluded.subscription_expiry`,
    ),
    expired: database.prepare(
      `SELECT ${userColumns} FROM users WHERE subscription_expiry <= ? ORDER BY key LIMIT 1000`,
    ),
    removeUser: database.prepare('DELETE FROM users WHERE key = ?'),
    one: database.prepare(`${appointments} WHERE locator = ? AND user_id = ?`),
    blobLength: database.prepare(
      'SELECT length(encrypted_blob) FROM appointments WHERE locator = ? AND user = ?',
    ),
    hasLocator: database.prepare('SELECT 1 FROM appointments WHERE locator = ? LIMIT 1'),
    at: database.prepare(`${appointments} WHERE locator = ? ORDER BY user`),
    locators: database.prepare('SELECT locator FROM appointments WHERE user = ? LIMIT ?'),
    putAppointment: database.prepare(
      `INSERT INTO appointments (locator, user, encrypted_blob, to_self_delay, user_signature, start_block)
       VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (locator, user) DO UPDATE SET
         encrypted_blob = excluded.encrypted_blob, to_self_delay = excluded.to_self_delay,
         user_signature = excluded.user_signature, start_block = excluded.start_block`,
    ),
    removeAppointment: database.prepare('DELETE FROM appointments WHERE locator = ? AND user = ?'),
    idle: database.prepare(
      `SELECT locator, length(encrypted_blob) FROM appointments a WHERE user = ?
       AND NOT EXISTS (SELECT 1 FROM trackers t WHERE t.user = a.user AND t.locator = a.locator) LIMIT ?`,
    ),
    hasAppointment: database.prepare('SELECT 1 FROM appointments WHERE user = ? LIMIT 1'),
    putTracker: database.prepare(
      `INSERT INTO trackers (locator, user, dispute_txid, dispute_height, penalty_tx, fee_sat, resolved_height)
       VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (locator, user) DO UPDATE SET
         dispute_txid = excluded.dispute_txid, dispute_height = excluded.dispute_height,
         penalty_tx = excluded.penalty_tx, fee_sat = excluded.fee_sat, resolved_height = excluded.resolved_height`,
    ),
    removeTracker: database.prepare('DELETE FROM trackers WHERE locator = ? AND user = ?'),
    trackers: database.prepare(
      `SELECT locator, user_id, dispute_txid, dispute_height, penalty_tx, fee_sat, resolved_height
       FROM trackers JOIN users ON key = user`,
    ),
    use: database.prepare('UPDATE usage SET appointments = appointments + ?, blob_bytes = blob_bytes + ?'),
    usage: database.prepare(
      'SELECT appointments, blob_bytes, (SELECT count(*) FROM users), (SELECT count(*) FROM trackers) FROM usage',
    ),
    blocks: database.prepare('SELECT height, hash FROM blocks ORDER BY height DESC'),
    tip: database.prepare('SELECT height, hash FROM blocks ORDER BY height DESC LIMIT 1'),
    putBlock: database.prepare('INSERT OR REPLACE INTO blocks (height, hash) VALUES (?, ?)'),
    forgetBlocks: database.prepare('DELETE FROM blocks WHERE height <= ?'),
    removeBlocks: database.prepare('DELETE FROM blocks WHERE height >= ?'),
  };
}

type Statements = ReturnType<typeof prepareStatements>;

function readerOf(statements: Statements, keyOf: (userId: Uint8Array) => number | undefined): TowerReader {
  return {
    getUser: (userId) => {
      const row = statements.user.get(bytesOf('userId', userId, 33));
      return row && toUser(row);
    },
    listExpiredUsers: (height) => statements.expired.all(height).map(toUser),
    getAppointment: ({ locator, userId }) => {
      const row = statements.one.get(bytesOf('locator', locator, 16), bytesOf('userId', userId, 33));
      return row && toAppointment(row);
    },
    hasLocator: (locator) => statements.hasLocator.get(bytesOf('locator', locator, 16)) !== undefined,
    appointmentsAt: (locator) => statements.at.all(bytesOf('locator', locator, 16)).map(toAppointment),
    locatorsOf: (userId, limit) => {
      const user = keyOf(userId);
      if (user === undefined) return [];
      return statements.locators.all(user, count('limit', limit)).map((row) => asBytes(row[0]));
    },
    loadTrackers: () => statements.trackers.all().map(toTracker),
    totals: () => {
      const [appointments = 0, blobBytes = 0, users = 0, trackers = 0] =
        statements.usage.get()?.map(asNumber) ?? [];
      return { appointments, blobBytes, users, trackers };
    },
    getTip: () => {
      const row = statements.tip.get();
      return row && toBlock(row);
    },
    loadBlocks: () => statements.blocks.all().map(toBlock),
  };
}

/** The tables of a tower's file behind their interface. @param unlock called once, when it is closed. */
export function sqliteTowerStore(database: Database, unlock: () => void): TowerStore {
  database.exec('PRAGMA synchronous = FULL');
  database.exec('PRAGMA foreign_keys = ON');
  const statements = prepareStatements(database);
  const keyOf = (userId: Uint8Array): number | undefined => {
    const row = statements.userKey.get(bytesOf('userId', userId, 33));
    return row && asNumber(row[0]);
  };
  const reader = readerOf(statements, keyOf);

  const knownKey = (userId: Uint8Array): number => {
    const user = keyOf(userId);
    if (user === undefined) throw new StorageError('not_found', 'the user of a tower is not stored');
    return user;
  };

  const removeAppointment = ({ locator, userId }: AppointmentKey): void => {
    const user = keyOf(userId);
    if (user === undefined) return;
    const row = statements.blobLength.get(bytesOf('locator', locator, 16), user);
    if (row === undefined) return;
    statements.removeAppointment.run(locator, user);
    statements.use.run(-1, -asNumber(row[0]));
  };

  const writer: Omit<TowerTransaction, keyof TowerReader> = {
    putUser: (user) => {
      statements.putUser.run(
        bytesOf('userId', user.userId, 33),
        count('availableSlots', user.availableSlots),
        count('subscriptionStart', user.subscriptionStart),
        count('subscriptionExpiry', user.subscriptionExpiry),
      );
    },
    deleteUser: (userId, limit) => {
      const user = keyOf(userId);
      if (user === undefined) return 0;
      const idle = statements.idle.all(user, count('limit', limit));
      let bytes = 0;
      for (const [locator = null, length = 0] of idle) {
        statements.removeAppointment.run(locator, user);
        bytes += asNumber(length);
      }
      statements.use.run(-idle.length, -bytes);
      if (statements.hasAppointment.get(user) === undefined) statements.removeUser.run(user);
      return idle.length;
    },
    putAppointment: (appointment) => {
      const { locator, encryptedBlob, toSelfDelay, userSignature, startBlock } = appointment;
      const user = knownKey(appointment.userId);
      const before = statements.blobLength.get(bytesOf('locator', locator, 16), user);
      statements.putAppointment.run(
        locator,
        user,
        encryptedBlob,
        count('toSelfDelay', toSelfDelay),
        userSignature,
        count('startBlock', startBlock),
      );
      const grown = encryptedBlob.length - (before === undefined ? 0 : asNumber(before[0]));
      statements.use.run(before === undefined ? 1 : 0, grown);
    },
    deleteAppointment: removeAppointment,
    putTracker: (tracker) => {
      statements.putTracker.run(
        bytesOf('locator', tracker.locator, 16),
        knownKey(tracker.userId),
        bytesOf('disputeTxid', tracker.disputeTxid, 32),
        count('disputeHeight', tracker.disputeHeight),
        tracker.penaltyTx,
        tracker.feeSat === undefined ? null : integer('feeSat', tracker.feeSat),
        tracker.resolvedHeight === undefined ? null : count('resolvedHeight', tracker.resolvedHeight),
      );
    },
    deleteTracker: ({ locator, userId }) => {
      const user = keyOf(userId);
      if (user !== undefined) statements.removeTracker.run(bytesOf('locator', locator, 16), user);
    },
    putBlock: ({ height, hash }) => {
      statements.putBlock.run(count('height', height), bytesOf('hash', hash, 32));
      statements.forgetBlocks.run(height - TOWER_BLOCKS_KEPT);
    },
    removeBlocksFrom: (height) => {
      statements.removeBlocks.run(count('height', height));
    },
  };

  let open = true;
  return {
    ...reader,
    transaction: (body) => {
      database.exec('BEGIN IMMEDIATE');
      try {
        const result = body({ ...reader, ...writer });
        // SQLite ends a transaction by itself when the disk is full.
        if (!database.inTransaction) {
          throw new StorageError('disk_full', `${database.path}: the disk is full; make room on it`);
        }
        database.exec('COMMIT');
        return result;
      } catch (error) {
        database.rollback();
        throw error;
      }
    },
    integrityCheck: () => {
      const found = database
        .prepare('PRAGMA integrity_check')
        .all()
        .map((row) => asText(row[0]));
      return found.length === 1 && found[0] === 'ok' ? [] : found;
    },
    close: () => {
      if (!open) return;
      open = false;
      database.close();
      unlock();
    },
  };
}
