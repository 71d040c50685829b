export { type LndWalletOptions, lndWallet } from './lndWallet.js';
