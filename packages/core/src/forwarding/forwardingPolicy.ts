/** What we ask of HTLCs that go out over a channel: what its `channel_update` tells (BOLT 7). */
export interface ForwardingPolicy {
  readonly feeBaseMsat: number;
  readonly feeProportionalMillionths: number;
  /** By how many blocks the incoming HTLC outlasts the outgoing one. */
  readonly cltvExpiryDelta: number;
  /** Of the outgoing HTLC. */
  readonly htlcMinimumMsat: bigint;
  readonly htlcMaximumMsat: bigint;
}

/** The least fee for forwarding `amountMsat`, the outgoing HTLC's amount, rounded down (BOLT 7, HTLC fees). */
export function forwardingFee(
  policy: Pick<ForwardingPolicy, 'feeBaseMsat' | 'feeProportionalMillionths'>,
  amountMsat: bigint,
): bigint {
  return BigInt(policy.feeBaseMsat) + (amountMsat * BigInt(policy.feeProportionalMillionths)) / 1_000_000n;
}
