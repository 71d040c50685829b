/**
 * What an audit log tells of. Whoever appends takes one of these, so that reports and filters know it; `data` has
 * the fields that are named here (amounts and fees as digits, in msat) and may have more. No preimages, no secrets.
 */
export const auditTypes = {
  /** It leaves: leg, counterparty, amountMsat, paymentHash, purpose. */
  payment_started: 'started',
  /** It arrived: leg, counterparty, amountMsat, feeMsat, paymentHash, purpose. */
  payment_succeeded: 'paid',
  /** It certainly did not arrive: leg, counterparty, amountMsat, failure, purpose. */
  payment_failed: 'failed',
  /** It left, and nobody knows: leg, counterparty, amountMsat, purpose. */
  payment_unknown: 'of unknown outcome',
  /** It waits for somebody: leg, counterparty, amountMsat, reason, purpose. */
  leg_held: 'held',
  leg_approved: 'approved',
  leg_denied: 'denied',
  leg_abandoned: 'abandoned',
  /** Settled: paymentHash, counterparty (a sender that proved itself, else `unknown`), amountMsat. */
  payment_received: 'received',
  /** Sent back by the policy: counterparty, amountMsat, rule. */
  payment_refused: 'sent back',
  /** Arrived, not settled yet: paymentHash, amountMsat, rule. */
  payment_held: 'held on arrival',
  payment_released: 'settled after it was held',
  /** A budget, a fee limit, an approval limit: name, before, after. */
  limit_changed: 'limit changed',
  /** A rule, a schedule, a subscription, a policy: name, before, after. */
  rule_changed: 'rule changed',
  /** id, before, after. */
  counterparty_changed: 'counterparty changed',
  /** name, before, after. */
  monitor_changed: 'monitoring changed',
  /** id, monitor, action, direction, counterparty, amountMsat, payment. */
  payment_flagged: 'flagged',
  /** id, note. */
  flag_acknowledged: 'flag acknowledged',
  /** paymentHash, amountMsat, counterparty. */
  receipt_issued: 'receipt issued',
  receipt_returned: 'receipt sent back',
  receipt_accepted: 'receipt accepted',
  /** fromSeq, entries. */
  log_exported: 'log exported',
  /** seq, hash, signed. */
  log_anchored: 'log anchored',
} as const;

export type AuditType = keyof typeof auditTypes;

/** The counterparty where nobody proved who it is. */
export const unknownCounterparty = 'unknown';
