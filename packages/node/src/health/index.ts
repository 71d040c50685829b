export { DiskGuard, type DiskReserve, type DiskStatus } from './diskGuard.js';
export { type HealthSources, healthReport } from './healthReport.js';
export { type CheckReport, InvariantChecker } from './invariantChecker.js';
export { checkInvariants, type Finding } from './invariants.js';
