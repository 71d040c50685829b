export type { BudgetRenewal, NwcGrant } from './nwcGrants.js';
export { type NewNwcConnection, type NwcService, type NwcServiceOptions, nwcService } from './nwcService.js';
export { formatNwcUri, type NwcConnection, parseNwcUri } from './nwcUri.js';
export { type NwcWalletOptions, nwcWallet } from './nwcWallet.js';
export type { WebSocketConstructor, WebSocketLike } from './relayConnection.js';
