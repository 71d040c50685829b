export { createWords, deriveNodeSecrets, wordsToSeed } from './seed.js';
export * from './wallet.js';
export { WalletError } from './walletError.js';
