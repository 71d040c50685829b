export type { AddressType } from './keyring.js';
export { createWords, deriveNodeSecrets, type NodeSecrets, wordsToSeed } from './seed.js';
export * from './wallet.js';
export { type FundsDetails, WalletError, type WalletErrorCode } from './walletError.js';
