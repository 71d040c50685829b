/** A payment that is under way over several hops or in parts; `state` is opaque and carries its version. */
export interface StoredSending {
  readonly paymentHash: Uint8Array;
  readonly state: Uint8Array;
}

/**
 * An HTLC that was passed on and is not over. Named by the incoming one; `data` is opaque. Nothing of it is
 * kept once it is over but its share in the totals.
 */
export interface StoredForward {
  readonly incomingChannelId: Uint8Array;
  readonly incomingHtlcId: bigint;
  readonly data: Uint8Array;
}

/** What was forwarded within one hour from one channel to another. */
export interface ForwardTotal {
  /** Hours since 1970. */
  readonly hour: number;
  readonly incomingChannelId: Uint8Array;
  readonly outgoingChannelId: Uint8Array;
  readonly settledCount: number;
  readonly failedCount: number;
  /** What went out in those that were settled. */
  readonly amountMsat: bigint;
  readonly feeMsat: bigint;
}
