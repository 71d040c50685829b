export { formatNwcUri, type NwcConnection, parseNwcUri } from './nwcUri.js';
export { type NwcWalletOptions, nwcWallet } from './nwcWallet.js';
export type { WebSocketConstructor, WebSocketLike } from './relayConnection.js';
