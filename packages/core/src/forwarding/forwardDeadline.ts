/** Blocks after its expiry when an outgoing HTLC must be timed out on chain (BOLT 2: G); as core/channel does. */
const graceBlocks = 2;

/**
 * The rule that keeps a forwarding node whole (BOLT 2, forwarding HTLCs):
 *
 * - An HTLC whose preimage is known is never failed back, wherever the preimage was seen.
 * - Without a preimage the incoming HTLC is failed only when the outgoing one can never be fulfilled any more:
 *   it was never offered, its removal is irrevocable, or what resolved it on chain is buried.
 * - Until then it stays as it is, even past its own expiry: then its peer may close the channel, which costs a
 *   fee, while failing it would cost the whole amount if the preimage were to appear after all.
 * - That its own channel goes to the chain in time is what this height is for.
 *
 * @returns from which height on the channel of an outgoing HTLC that is unresolved is closed, to time it out.
 */
export function timeOutOutgoingHeight(outgoingExpiry: number): number {
  return outgoingExpiry + graceBlocks + 1;
}
