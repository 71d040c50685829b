/** What holds for all forwards, whatever the channel asks for. Deltas are blocks. */
export interface ForwardLimits {
  /** BOLT 4, `max_htlc_cltv`: an incoming HTLC that lasts longer is refused, as it may hold our funds so long. */
  readonly maxCltvExpiryDelta: number;
  /**
   * An incoming HTLC that expires sooner is refused: the last 18 blocks are for claiming it on chain (BOLT 2:
   * 2R+G+S), before them the preimage must have time to come to us.
   */
  readonly minIncomingExpiryDelta: number;
  /**
   * An outgoing HTLC that would expire sooner is refused: 2 blocks after its expiry its channel is closed
   * (BOLT 2: G), so the next node must have time to refuse or settle it.
   */
  readonly minOutgoingExpiryDelta: number;
  /**
   * The incoming HTLC outlasts the outgoing one by this at least, even where a channel's policy asks for less:
   * the time to learn of a preimage on chain and to claim with it (BOLT 2: 3R+2G+2S). Less risks funds.
   */
  readonly minCltvExpiryDelta: number;
  /** How many forwards from one peer may be unresolved. */
  readonly maxHeldHtlcs: number;
  /** The most that unresolved forwards from one peer may be worth together. */
  readonly maxHeldMsat: bigint;
}

/** BOLT 2 and BOLT 4's figures; a peer may hold as many HTLCs as one channel has room for, and 10 BTC. */
export const defaultForwardLimits: ForwardLimits = {
  maxCltvExpiryDelta: 2016,
  minIncomingExpiryDelta: 24,
  minOutgoingExpiryDelta: 3,
  minCltvExpiryDelta: 34,
  maxHeldHtlcs: 483,
  maxHeldMsat: 1_000_000_000_000n,
};
