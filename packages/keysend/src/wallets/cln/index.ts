export { type ClnWalletOptions, clnWallet } from './clnWallet.js';
