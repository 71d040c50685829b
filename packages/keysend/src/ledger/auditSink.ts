import type { StoreTransaction } from '../store/toolkitStore.js';

/** Something that has to be in the audit log: a payment, a decision, a limit that changed, an approval. */
export interface AuditEntry {
  /** `payment_sent`, `leg_held`, `limit_changed`… snake_case, from the list in compliance/auditEntry.ts. */
  readonly type: string;
  readonly atMs: number;
  /** Who did it: `user`, `rule:<name>`, `policy`, `webhook:<name>`, `rivulet`. */
  readonly actor: string;
  /** Plain JSON without secrets; amounts as digits. */
  readonly data: Readonly<Record<string, string | number | boolean | null>>;
}

/** Where such entries go: in the transaction of what they tell of, so that neither is without the other. */
export interface AuditSink {
  append(tx: StoreTransaction, entry: AuditEntry): void;
}

export interface JudgedPayment {
  readonly direction: 'outgoing' | 'incoming';
  /** Node id in hex, or a keysend address. */
  readonly counterparty: string;
  /** Where it goes, where that is known and the counterparty is an address. */
  readonly nodeId?: string;
  readonly amountMsat: bigint;
  readonly atMs: number;
  /** The leg's key, or the payment hash: judged twice, it counts once. */
  readonly id: string;
}

export type GuardVerdict =
  | { readonly action: 'allow'; readonly flags: readonly string[] }
  /** Waits for somebody's approval. */
  | { readonly action: 'hold'; readonly reason: string }
  | { readonly action: 'refuse'; readonly reason: string };

/** Looks at every payment before it leaves: limits of counterparties, velocity, approval above an amount. */
export interface PaymentGuard {
  /** Inside the transaction that makes the leg leave. */
  judge(tx: StoreTransaction, payment: JudgedPayment): GuardVerdict;
  /** It certainly was not made, or nobody wants it any more: it uses up no limit. Tried again, it is judged again. */
  forget?(tx: StoreTransaction, payment: JudgedPayment): void;
}
