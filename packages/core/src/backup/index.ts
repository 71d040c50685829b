export { encodeBackedUpChannel } from './backupCodec.js';
export * from './backupError.js';
export * from './channelBackup.js';
export * from './restoredChannels.js';
export * from './sealedBackup.js';
