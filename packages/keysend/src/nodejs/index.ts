export {
  type GuardedFetchOptions,
  guardedFetch,
  guardedFetcher,
  type ResolvedAddress,
} from './guardedFetch.js';
export {
  createLndV1Handler,
  type LndV1Handler,
  type LndV1Options,
  type LndV1Server,
  startLndV1Server,
} from './lndV1Server/index.js';
export { type OpenWalletOptions, openWallet } from './openWallet.js';
export { Paywall, type PaywallGrant, type PaywallOptions, paywallRecord } from './paywall.js';
export { type PinnedFetchOptions, pinnedFetch } from './pinnedFetch.js';
export { loadToolkitSecret } from './toolkitSecret.js';
export {
  createWebhookHandler,
  type HttpHandler,
  startWebhookServer,
  type WebhookHandlerOptions,
  type WebhookServer,
} from './webhookServer.js';
