export * from './keysendError.js';
export type * from './ledger/auditSink.js';
export * from './proof/index.js';
export { memoryStore } from './store/memoryStore.js';
export type * from './store/toolkitStore.js';
export { type WebStorage, webStore } from './store/webStore.js';
export type * from './value/fetcher.js';
export type * from './value/recipient.js';
export type * from './wallets/wallet.js';
