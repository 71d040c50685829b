import type { AuditSink } from '../ledger/auditSink.js';
import { knownLeg, updateLeg } from '../ledger/legStore.js';
import type { StoreTransaction } from '../store/toolkitStore.js';

/** Makes a payment that was planned in this very transaction wait for somebody's approval. */
export function holdLeg(
  tx: StoreTransaction,
  given: {
    key: string;
    reason: string;
    actor: string;
    audit: AuditSink | undefined;
    nowMs: number;
  },
): void {
  const { key, reason, actor, audit, nowMs } = given;
  const leg = knownLeg(tx, key);
  updateLeg(tx, leg, { ...leg, state: 'held', heldFor: reason, changedAtMs: nowMs });
  audit?.append(tx, {
    type: 'leg_held',
    atMs: nowMs,
    actor,
    data: {
      leg: key,
      counterparty: leg.recipient.address,
      amountMsat: leg.amountMsat.toString(),
      reason,
      purpose: leg.group,
    },
  });
}
