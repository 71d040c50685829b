export {
  type GuardedFetchOptions,
  guardedFetch,
  guardedFetcher,
  type ResolvedAddress,
} from './guardedFetch.js';
export { Paywall, type PaywallGrant, type PaywallOptions, paywallRecord } from './paywall.js';
export { loadToolkitSecret } from './toolkitSecret.js';
export {
  createWebhookHandler,
  type HttpHandler,
  startWebhookServer,
  type WebhookHandlerOptions,
  type WebhookServer,
} from './webhookServer.js';
