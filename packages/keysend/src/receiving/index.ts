export {
  type PaymentAccount,
  type PaymentProblem,
  type PaymentText,
  readPayment,
} from '../boostagram/readPayment.js';
export type { BoostListener } from './boostFeed.js';
export { type BoostFilter, matchesFilter } from './boostFilter.js';
export { type BoostFilterJson, filterFromJson, filterToJson } from './boostFilterJson.js';
export { type BoostJson, boostToJson, type SumJson, type TotalsJson, totalsToJson } from './boostJson.js';
export type * from './boostStore.js';
export { type CollectOptions, type CollectState, collect, sourceOf } from './collect.js';
export { type ExportFormat, exportBoosts } from './exportBoosts.js';
export { keyedBoosts } from './keyedBoosts.js';
export { type ProveSender, type ReadBoostOptions, readBoost, senderProver } from './readBoost.js';
export type * from './receivedBoost.js';
export type { ReceivingLogger } from './receivingLogger.js';
export { type ReceivingOptions, ReceivingService, type Retention } from './receivingService.js';
export {
  fetchPoster,
  type WebhookAnswer,
  type WebhookPoster,
  type WebhookRequest,
} from './webhooks/webhookPoster.js';
export { verifyWebhook, webhookHeaders } from './webhooks/webhookSignature.js';
export {
  type FailedDelivery,
  type Webhook,
  type WebhookStatus,
  WebhookStore,
} from './webhooks/webhookStore.js';
export {
  type DeliveryOutcome,
  WebhookWorker,
  type WebhookWorkerOptions,
} from './webhooks/webhookWorker.js';
