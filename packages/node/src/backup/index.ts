export { wordsToSeed } from '../wallet/index.js';
export type { BackupFileStatus } from './backupFile.js';
export { BackupFolderError, type BackupFolderErrorCode } from './backupFolderError.js';
export { type BackupKeys, backupKeysOf } from './backupKeys.js';
export {
  backupFileName,
  ChannelBackups,
  type ChannelBackupsOptions,
} from './channelBackups.js';
export { type ImportedBackup, importBackup } from './importBackup.js';
export { NodeBackups, type NodeBackupsOptions } from './nodeBackups.js';
export { fromPeerFileName, PeerStorageClient, type PeerStorageStatus } from './peerStorageClient.js';
export { PeerStorageServer } from './peerStorageServer.js';
export {
  copyBackup,
  type RestoredFolder,
  readGiven,
  restoredBirthHeight,
  restoreFromBackup,
  restoreFromCopy,
  verifyBackup,
} from './restoreFolder.js';
export { clearUnproven, isUnproven, markUnproven, UnprovenChannels } from './unproven.js';
