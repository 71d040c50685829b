export {
  type DeliveryInput,
  formatTriggerSecret,
  parseTriggerSecret,
  type SignedHeaders,
  signDelivery,
  triggerSecret,
  verifyDelivery,
} from './delivery.js';
export type { UnitReport } from './meterRule.js';
export {
  type CreatePayout,
  createPayout,
  listPayouts,
  type Payout,
  type PayoutPreview,
  type PayoutProgress,
  payoutGroup,
  payoutLegKey,
  previewPayout,
  readPayout,
  runPayout,
} from './payout.js';
export {
  type PayoutFile,
  PayoutFileError,
  type PayoutFileOptions,
  type PayoutFormat,
  type PayoutProblem,
  readPayoutFile,
} from './payoutFile.js';
export type { PayoutLine } from './payoutLine.js';
export { formatPayoutCsv, formatPayoutJson, type PayoutReportRow, payoutRows } from './payoutReport.js';
export { parseRule, type Rule, type RuleDefinition, type RuleKind, type RuleOf } from './rule.js';
export { RuleBook, type RuleState, type StoredRule } from './ruleBook.js';
export { type RulePayment, ruleGroup } from './rulePlan.js';
export {
  type DeliveryAnswer,
  type DueRule,
  type RuleEvent,
  RuleRunner,
  type RuleRunnerOptions,
} from './ruleRunner.js';
