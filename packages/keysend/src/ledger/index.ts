export type * from './auditSink.js';
export {
  type Budget,
  type BudgetState,
  budgetState,
  getBudget,
  listBudgets,
  release as releaseBudget,
  removeBudget,
  reserve as reserveBudget,
  setBudget,
  settle as settleBudget,
} from './budgets.js';
export { derivePreimage } from './derivePreimage.js';
export {
  defaultMaxFeeMsat,
  type Leg,
  type LegFailure,
  type LegInvoice,
  type LegPlan,
  type LegState,
  type LegSummary,
} from './leg.js';
export { LegLedger, type LegLedgerOptions } from './legLedger.js';
export type { RunOptions } from './legRun.js';
export type { LegRange } from './legStore.js';
export type { RetryPolicy } from './retryPolicy.js';
