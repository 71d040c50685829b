/** Somebody whom a tower watches for. Numbers are slots and heights of blocks. */
export interface StoredTowerUser {
  /** 33 bytes. */
  readonly userId: Uint8Array;
  readonly availableSlots: number;
  readonly subscriptionStart: number;
  readonly subscriptionExpiry: number;
}

/** Which appointment: a user has one for each locator. */
export interface AppointmentKey {
  /** 16 bytes. */
  readonly locator: Uint8Array;
  readonly userId: Uint8Array;
}

export interface StoredAppointment extends AppointmentKey {
  readonly encryptedBlob: Uint8Array;
  readonly toSelfDelay: number;
  readonly userSignature: string;
  readonly startBlock: number;
}

/** A cheat that was seen in the chain, and what answers it. Its appointment stays as long as it does. */
export interface StoredTracker extends AppointmentKey {
  /** Internal byte order. */
  readonly disputeTxid: Uint8Array;
  readonly disputeHeight: number;
  /** Serialized. */
  readonly penaltyTx: Uint8Array;
  /** What the penalty pays, where the outputs that it spends are known. */
  readonly feeSat?: bigint | undefined;
  /** The block that has the penalty, or another transaction that took what it would have taken. */
  readonly resolvedHeight?: number | undefined;
}

export interface TowerBlock {
  readonly height: number;
  /** Internal byte order. */
  readonly hash: Uint8Array;
}

export interface TowerTotals {
  readonly users: number;
  readonly appointments: number;
  readonly trackers: number;
  /** Of all appointments' blobs. */
  readonly blobBytes: number;
}

/** How many of the last block hashes are kept: no reorganisation deeper than this can be followed. */
export const TOWER_BLOCKS_KEPT = 144;

export interface TowerReader {
  getUser(userId: Uint8Array): StoredTowerUser | undefined;
  /** Users whose subscriptions expired at this height or before. */
  listExpiredUsers(height: number): StoredTowerUser[];
  getAppointment(key: AppointmentKey): StoredAppointment | undefined;
  hasLocator(locator: Uint8Array): boolean;
  appointmentsAt(locator: Uint8Array): StoredAppointment[];
  locatorsOf(userId: Uint8Array, limit: number): Uint8Array[];
  loadTrackers(): StoredTracker[];
  totals(): TowerTotals;
  getTip(): TowerBlock | undefined;
  /** Highest first. */
  loadBlocks(): TowerBlock[];
}

export interface TowerTransaction extends TowerReader {
  /** Inserts or replaces. */
  putUser(user: StoredTowerUser): void;
  /**
   * Forgets a user with its appointments, `limit` of them at most: one that has more, or trackers, stays.
   * @returns how many appointments went
   */
  deleteUser(userId: Uint8Array, limit: number): number;
  /** Inserts or replaces. @throws StorageError `not_found` without its user. */
  putAppointment(appointment: StoredAppointment): void;
  /** With its tracker. */
  deleteAppointment(key: AppointmentKey): void;
  /** Inserts or replaces. @throws StorageError `not_found` without its appointment. */
  putTracker(tracker: StoredTracker): void;
  deleteTracker(key: AppointmentKey): void;
  putBlock(block: TowerBlock): void;
  removeBlocksFrom(height: number): void;
}

/** What a watchtower keeps: a file of its own. A transaction that has returned survives a crash of the machine. */
export interface TowerStore extends TowerReader {
  /** All of it or nothing; synchronous. */
  transaction<T>(body: (tx: TowerTransaction) => T): T;
  integrityCheck(): string[];
  close(): void;
}
