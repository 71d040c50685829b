export { DiskGuard } from './diskGuard.js';
export { type HealthSources, healthReport } from './healthReport.js';
export { InvariantChecker } from './invariantChecker.js';
