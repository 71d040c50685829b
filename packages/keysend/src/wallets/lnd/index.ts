export type { HeldKeysend } from './lndInvoices.js';
export { type LndWallet, type LndWalletOptions, lndWallet } from './lndWallet.js';
