export { type EclairWalletOptions, eclairWallet } from './eclairWallet.js';
