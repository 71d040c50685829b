export type * from './incomingKeysend.js';
export {
  MAX_HOLD_SECONDS,
  type PolicyRate,
  type PolicySettings,
  policySettings,
  readPolicySettings,
} from './policySettings.js';
export { type PolicyState, readPolicyState } from './policyState.js';
export {
  type HoldRule,
  holdRules,
  type PolicyStatistics,
  ReceivePolicy,
  type ReceivePolicyOptions,
  type RefusalRule,
  refusalRules,
  type SenderVerdict,
  type SenderVerifier,
} from './receivePolicy.js';
