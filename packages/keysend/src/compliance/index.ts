export { type AuditAnchor, makeAuditAnchor, parseAuditAnchor } from './auditAnchor.js';
export { type AuditType, auditTypes, unknownCounterparty } from './auditEntry.js';
export type { AuditRecord } from './auditLine.js';
export { type AuditHead, AuditLog } from './auditLog.js';
export {
  type Counterparty,
  CounterpartyBook,
  type CounterpartyChange,
  type CounterpartyLimits,
  type CounterpartySettings,
} from './counterparties.js';
export { type Flag, FlagBook } from './flags.js';
export { createGuard, type GuardOptions, type ToolkitGuard } from './guard.js';
export { type Monitor, MonitorBook } from './monitors.js';
export {
  type AuditReport,
  auditReport,
  type ReportRow,
  type ReportSums,
  reportToCsv,
  reportToJson,
  storeReport,
} from './report.js';
export {
  type AuditFault,
  type AuditVerdict,
  AuditVerifier,
  verifyAudit,
  verifyAuditLines,
} from './verifyAudit.js';
