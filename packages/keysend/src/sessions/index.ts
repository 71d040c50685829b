export {
  type BoostLeg,
  type BoostRequest,
  type BoostResult,
  boost,
  boostGroup,
  boostResult,
  planBoost,
} from './boost.js';
export type { SenderFields, SplitPaymentOptions } from './splitLegs.js';
export {
  type StreamRecipientTotal,
  type StreamReport,
  StreamSession,
  type StreamSessionOptions,
} from './streamSession.js';
export { listStreams } from './streamState.js';
