export { createWords, deriveNodeSecrets, wordsToSeed } from './seed.js';
export { openWallet, Wallet } from './wallet.js';
export { WalletError } from './walletError.js';
export type * from './walletTypes.js';
