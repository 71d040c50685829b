import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openStorage } from '../sqlite/sqliteStorage.js';
import { StorageError } from '../storageError.js';
import { openTowerStore } from './openTowerStore.js';
import type { TowerStore } from './towerStore.js';

const fill = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);
const user = (value: number, subscriptionExpiry = 500) => ({
  userId: fill(33, value),
  availableSlots: 10,
  subscriptionStart: 100,
  subscriptionExpiry,
});
const appointment = (locator: number, userValue: number, blobLength = 300) => ({
  locator: fill(16, locator),
  userId: fill(33, userValue),
  encryptedBlob: fill(blobLength, 7),
  toSelfDelay: 144,
  userSignature: 'ry8b',
  startBlock: 101,
});
const tracker = (locator: number, userValue: number) => ({
  locator: fill(16, locator),
  userId: fill(33, userValue),
  disputeTxid: fill(32, locator),
  disputeHeight: 200,
  penaltyTx: fill(200, 8),
  feeSat: 1_000n,
  resolvedHeight: undefined,
});

let folder: string;
let path: string;
let store: TowerStore;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rivulet-tower-'));
  path = join(folder, 'tower.sqlite');
  store = openTowerStore({ path });
});

afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true });
});

function reopen(): void {
  store.close();
  store = openTowerStore({ path });
}

describe("a tower's file", () => {
  test('keeps users, one appointment for each of them and locator, and how much there is', () => {
    store.transaction((tx) => {
      for (const value of [2, 3]) tx.putUser(user(value));
      tx.putAppointment(appointment(1, 2));
      tx.putAppointment(appointment(1, 3));
      tx.putAppointment(appointment(4, 2));
      tx.putAppointment(appointment(1, 2, 500));
      tx.putUser({ ...user(2), availableSlots: 7 });
    });
    reopen();
    expect(store.getUser(fill(33, 2))).toEqual({ ...user(2), availableSlots: 7 });
    expect(store.getUser(fill(33, 9))).toBeUndefined();
    expect(store.appointmentsAt(fill(16, 1))).toEqual([appointment(1, 2, 500), appointment(1, 3)]);
    expect(store.getAppointment({ locator: fill(16, 4), userId: fill(33, 3) })).toBeUndefined();
    expect(store.hasLocator(fill(16, 4))).toBe(true);
    expect(store.hasLocator(fill(16, 5))).toBe(false);
    expect(store.locatorsOf(fill(33, 2), 10)).toHaveLength(2);
    expect(store.totals()).toEqual({ users: 2, appointments: 3, trackers: 0, blobBytes: 1_100 });
    store.transaction((tx) => tx.deleteAppointment(appointment(1, 2)));
    expect(store.totals()).toMatchObject({ appointments: 2, blobBytes: 600 });
    expect(store.integrityCheck()).toEqual([]);
  });

  test('lets go of a user with all that nothing answers yet, and of the user when nothing is left', () => {
    store.transaction((tx) => {
      tx.putUser(user(2, 300));
      tx.putUser(user(3, 301));
      tx.putAppointment(appointment(1, 2));
      tx.putAppointment(appointment(2, 2));
      tx.putTracker(tracker(2, 2));
    });
    expect(store.listExpiredUsers(300)).toEqual([user(2, 300)]);
    store.transaction((tx) => tx.putAppointment(appointment(3, 2)));
    // As many as are wanted at once.
    expect(store.transaction((tx) => tx.deleteUser(fill(33, 2), 1))).toBe(1);
    expect(store.totals()).toMatchObject({ users: 2, appointments: 2 });
    store.transaction((tx) => tx.deleteUser(fill(33, 2), 1_000));
    expect(store.totals()).toEqual({ users: 2, appointments: 1, trackers: 1, blobBytes: 300 });
    reopen();
    expect(store.loadTrackers()).toEqual([tracker(2, 2)]);
    store.transaction((tx) => {
      tx.putTracker({ ...tracker(2, 2), resolvedHeight: 201 });
      tx.deleteAppointment(tracker(2, 2));
      tx.deleteUser(fill(33, 2), 1_000);
    });
    expect(store.totals()).toEqual({ users: 1, appointments: 0, trackers: 0, blobBytes: 0 });
  });

  test('has nothing of a transaction that failed', () => {
    expect(() =>
      store.transaction((tx) => {
        tx.putUser(user(2));
        tx.putAppointment(appointment(1, 5));
      }),
    ).toThrow(StorageError);
    expect(store.totals()).toEqual({ users: 0, appointments: 0, trackers: 0, blobBytes: 0 });
  });

  test('keeps the last blocks', () => {
    store.transaction((tx) => {
      for (let height = 1; height <= 200; height++) tx.putBlock({ height, hash: fill(32, height) });
      tx.removeBlocksFrom(199);
    });
    reopen();
    expect(store.getTip()).toEqual({ height: 198, hash: fill(32, 198) });
    expect(store.loadBlocks()).toHaveLength(142);
  });

  test('is opened by one process, and only where it is a file of a tower', () => {
    const codeOf = (action: () => unknown): unknown => {
      try {
        action();
      } catch (error) {
        return error instanceof StorageError ? error.code : error;
      }
      return undefined;
    };
    expect(codeOf(() => openTowerStore({ path }))).toBe('locked');
    const other = join(folder, 'node.sqlite');
    openStorage({ path: other }).close();
    expect(codeOf(() => openTowerStore({ path: other }))).toBe('corrupt');
    const text = join(folder, 'text.sqlite');
    writeFileSync(text, 'this is no database at all, but long enough to look at');
    expect(codeOf(() => openTowerStore({ path: text }))).toBe('corrupt');
  });
});
