export * from './channelKeys.js';
export * from './derivation.js';
export * from './shachain.js';
export * from './signer.js';
