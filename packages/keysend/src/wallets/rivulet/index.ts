export { type RivuletWalletClient, type RivuletWalletOptions, rivuletWallet } from './rivuletWallet.js';
