import type { AuditSink } from '../ledger/auditSink.js';
import type { ToolkitStore } from '../store/toolkitStore.js';

/** Where a book is kept, and where its changes are told. */
export interface BookOptions {
  readonly store: ToolkitStore;
  readonly audit: AuditSink;
  readonly now: () => number;
}
