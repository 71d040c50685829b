import type { PaymentRequest, Sending } from '@rivulet/core/payment';

/** One payment of the simulation, from its beginning to its end. */
export interface PaymentRecord {
  readonly index: number;
  /** The numbers of the nodes. */
  readonly sender: number;
  readonly receiver: number;
  readonly request: PaymentRequest;
  readonly startedAtMs: number;
  /** As the sender stored it last; absent before it has begun. */
  sending?: Sending;
  endedAtMs?: number;
  /** How often it came to an end: once. */
  endings: number;
}
