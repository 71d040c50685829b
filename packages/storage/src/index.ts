export type * from './closing.js';
export { type DiskReserve, freeBytes, openDiskReserve } from './diskReserve.js';
export type * from './gossip/gossipStore.js';
export { GOSSIP_BLOCKS_KEPT } from './gossip/gossipStore.js';
export {
  type OpenGossipStoreOptions,
  openGossipStore,
  openMemoryGossipStore,
} from './gossip/openGossipStore.js';
export type * from './invoices.js';
export type * from './payments.js';
export type * from './routing.js';
export type { DatabaseCopy } from './sqlite/replica/copyDatabase.js';
export type { ReplicaOptions, ReplicaState, ReplicaStatus } from './sqlite/replica/replicaStatus.js';
export {
  restoreCopy,
  type VerifiedCopy,
  type VerifyCopyOptions,
  verifyCopy,
} from './sqlite/replica/verifyCopy.js';
export {
  type FileStorage,
  type OpenStorageOptions,
  openMemoryStorage,
  openStorage,
} from './sqlite/sqliteStorage.js';
export type * from './storage.js';
export { BLOCKS_KEPT } from './storage.js';
export { StorageError, type StorageErrorCode } from './storageError.js';
export { openMemoryTowerStore, openTowerStore } from './tower/openTowerStore.js';
export type * from './tower/towerStore.js';
export { TOWER_BLOCKS_KEPT } from './tower/towerStore.js';
export type * from './towers.js';
