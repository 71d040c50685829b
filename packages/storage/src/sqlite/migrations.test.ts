import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StorageError } from '../storageError.js';
import { Database } from './database.js';
import { SCHEMA_VERSION } from './migrations.js';
import { openStorage } from './sqliteStorage.js';

const bytes = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

describe('migrations', () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'rivulet-migrations-'));
    path = join(folder, 'node.sqlite');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function write(sql: string): void {
    const database = new Database(path);
    database.exec(sql);
    database.close();
  }

  function failureOf(action: () => unknown): StorageError {
    try {
      action();
    } catch (error) {
      if (error instanceof StorageError) return error;
      throw error;
    }
    throw new Error('nothing was thrown');
  }

  test('a database that version 1 wrote loads with everything in it', () => {
    write(readFileSync(new URL('../../fixtures/version1.sql', import.meta.url), 'utf8'));
    const storage = openStorage({ path });
    const channelId = bytes(32, 1);
    expect(storage.loadChannels()).toEqual([{ channelId, remoteNodeId: bytes(33, 2), state: bytes(20, 3) }]);
    expect(storage.loadHtlcs(channelId)).toEqual([
      { channelId, direction: 'offered', id: 7n, data: bytes(5, 4) },
      { channelId, direction: 'received', id: 0n, data: bytes(5, 5) },
    ]);
    expect(storage.loadArchivedHtlcs(channelId)).toEqual([
      { channelId, direction: 'offered', id: 6n, data: bytes(2, 6) },
    ]);
    const { payments } = storage.listPayments();
    expect(payments.map(({ direction, status }) => [direction, status])).toEqual([
      ['incoming', 'settled'],
      ['outgoing', 'failed'],
      ['outgoing', 'succeeded'],
    ]);
    expect(storage.getOutgoingPaymentByKey('key 1')).toEqual({
      direction: 'outgoing',
      sequence: 1,
      paymentHash: bytes(32, 7),
      preimage: bytes(32, 8),
      destination: bytes(33, 9),
      amountMsat: 9007199254740993n,
      feeMsat: 3n,
      status: 'succeeded',
      failureCode: undefined,
      failureText: undefined,
      records: bytes(6, 1),
      createdAtMs: 1_700_000_000_000,
      settledAtMs: 1_700_000_000_500,
      channelId,
      htlcId: 7n,
      label: 'a label',
      idempotencyKey: 'key 1',
    });
    expect(storage.getIncomingPayment(bytes(32, 11))).toEqual({
      direction: 'incoming',
      sequence: 3,
      paymentHash: bytes(32, 11),
      preimage: bytes(32, 12),
      amountMsat: 21_000n,
      status: 'settled',
      records: bytes(4, 1),
      sender: bytes(33, 13),
      channelId: bytes(32, 14),
      htlcId: 2n,
      receivedAtMs: 1_700_000_000_002,
    });
    expect([11, 15, 16].map((value) => storage.hasSeenHash(bytes(32, value)))).toEqual([true, true, false]);
    expect(storage.loadBlocks().map(({ height }) => height)).toEqual([840_001, 840_000]);
    expect(storage.getValue('wallet/next')).toEqual(bytes(4, 22));
    expect(storage.loadPeers()).toEqual([
      { nodeId: bytes(33, 23), host: '127.0.0.1', port: 9735, lastSeenMs: 1_700_000_000_003 },
    ]);
    expect(storage.integrityCheck()).toEqual([]);
    storage.close();
  });

  test('a database that version 2 wrote loads with everything in it', () => {
    write(readFileSync(new URL('../../fixtures/version2.sql', import.meta.url), 'utf8'));
    const storage = openStorage({ path });
    expect(storage.loadSendings()).toEqual([{ paymentHash: bytes(32, 1), state: bytes(4, 2) }]);
    expect(storage.loadForwards()).toEqual([
      { incomingChannelId: bytes(32, 3), incomingHtlcId: 5n, data: bytes(6, 4) },
    ]);
    expect(storage.listForwardTotals({ fromHour: 0, toHour: 1_000_000 })).toEqual([
      {
        hour: 472_222,
        incomingChannelId: bytes(32, 3),
        outgoingChannelId: bytes(32, 5),
        settledCount: 2,
        failedCount: 1,
        amountMsat: 9007199254740993n,
        feeMsat: 11n,
      },
    ]);
    expect(storage.listInvoices().invoices).toEqual([
      {
        sequence: 1,
        paymentHash: bytes(32, 6),
        preimage: bytes(32, 7),
        paymentSecret: bytes(32, 8),
        amountMsat: 5_000n,
        bolt11: 'lnbcrt50n1',
        description: 'coffee',
        createdAtMs: 1_700_000_000_000,
        expiresAtMs: 1_700_003_600_000,
        minFinalCltvDelta: 18,
        hold: true,
        state: 'settled',
        receivedMsat: 5_001n,
        settledAtMs: 1_700_000_000_900,
      },
    ]);
    expect(storage.integrityCheck()).toEqual([]);
    storage.close();
  });

  test('a new database has the same schema as the frozen one, once both are up to date', () => {
    const schemaOf = (open: () => void): unknown => {
      open();
      openStorage({ path }).close();
      const database = new Database(path);
      const rows = database.prepare('SELECT type, name, tbl_name FROM sqlite_schema ORDER BY name').all();
      database.close();
      rmSync(path);
      return rows;
    };
    const frozen = schemaOf(() =>
      write(readFileSync(new URL('../../fixtures/version1.sql', import.meta.url), 'utf8')),
    );
    expect(schemaOf(() => {})).toEqual(frozen);
  });

  test('a database of a newer version is refused and not changed', () => {
    openStorage({ path }).close();
    write(`INSERT INTO schema_versions VALUES (${SCHEMA_VERSION + 1})`);
    const before = readFileSync(path);
    const failure = failureOf(() => openStorage({ path }));
    expect(failure.code).toBe('newer_version');
    expect(failure.message).toContain(path);
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test('a database of something else is refused and not changed', () => {
    write('CREATE TABLE photos (id INTEGER PRIMARY KEY)');
    const before = readFileSync(path);
    expect(failureOf(() => openStorage({ path })).code).toBe('corrupt');
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test('a migration that fails half way leaves nothing behind and can be done again', () => {
    const failure = failureOf(() => openStorage({ path, maxPages: 8 }));
    expect(failure.code).toBe('disk_full');
    const storage = openStorage({ path });
    storage.transaction((tx) => tx.putValue('a', bytes(1, 1)));
    expect(storage.getValue('a')).toEqual(bytes(1, 1));
    storage.close();
  });
});
