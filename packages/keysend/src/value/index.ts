export { type ActiveValue, activeBlock } from './activeValue.js';
export type * from './fetcher.js';
export type * from './recipient.js';
export { recipientKey } from './recipientKey.js';
export {
  type ExtraFee,
  type FeeMode,
  type SplitPayment,
  type SplitRequest,
  type SplitResult,
  type SplitWarning,
  splitAmount,
} from './splitAmount.js';
export { type CarriedDue, carriedMsat, type SplitCarry } from './splitCarry.js';
export {
  MAX_SPLIT,
  MAX_VALUE_RECIPIENTS,
  type RecipientsBlock,
  type RemoteItem,
  type TimeSplitTarget,
  type ValueBlock,
  type ValueRecipient,
  type ValueTimeSplit,
} from './valueBlock.js';
export {
  type PlannedFeed,
  type PlannedItem,
  type PlannedRemote,
  planAt,
  planBoundaries,
  type ValuePlan,
} from './valuePlan.js';
export { readValuePlan, writeValuePlan } from './valuePlanJson.js';
