import type { PendingForward } from './pendingForward.js';

/** Blocks after its expiry when an outgoing HTLC must be timed out on chain (BOLT 2: G); as core/channel does. */
const graceBlocks = 2;
/** Blocks before its expiry when an incoming HTLC must be claimed on chain (BOLT 2: 2R+G+S); the same. */
const claimBlocks = 18;

/**
 * How deep a transaction must be before we act as if it could not be undone. With a delta of 34 there is time
 * for it: the outgoing HTLC is timed out from 3 blocks after its expiry on, has 12 to confirm (BOLT 2: S) and is
 * buried 21 blocks after its expiry, 13 before the peer of the incoming one may time that out.
 */
export const burialDepth = 6;

export interface ForwardDeadlines {
  /** From this height on, an outgoing HTLC that is unresolved has its channel closed, to time it out on chain. */
  readonly timeOutOutgoingHeight: number;
  /** From this height on, an incoming HTLC whose preimage is known is claimed on chain. */
  readonly claimIncomingHeight: number;
  /** From this height on, the peer of the incoming HTLC may take it back on chain. */
  readonly incomingExpiryHeight: number;
}

/** When time runs out for a forward, as block heights (BOLT 2, `cltv_expiry_delta` selection). */
export function forwardDeadlines({
  incomingExpiry,
  outgoingExpiry,
}: {
  incomingExpiry: number;
  outgoingExpiry: number;
}): ForwardDeadlines {
  return {
    timeOutOutgoingHeight: outgoingExpiry + graceBlocks + 1,
    claimIncomingHeight: incomingExpiry - claimBlocks,
    incomingExpiryHeight: incomingExpiry,
  };
}

/**
 * What is known of the outgoing HTLC, besides a preimage. Depths count the confirming block: 1 is the tip.
 *
 * - `pending`: in a commitment that may still confirm, or its removal is not irrevocably committed yet.
 * - `never_offered`: the channel refused it, or we never signed a commitment that has it.
 * - `removed`: failed by the peer, and its removal irrevocably committed.
 * - `timed_out`: its output was spent by our timeout.
 * - `left_out`: the commitment that confirmed has no output for it: it came too late for it, or is dust.
 */
export type OutgoingFate =
  | { readonly type: 'pending' | 'never_offered' | 'removed' }
  | { readonly type: 'timed_out' | 'left_out'; readonly depth: number };

/** What a forward obliges us to do now. */
export type ForwardDuty =
  /** Settle the incoming HTLC with the preimage; `onChain` when the peer's time to agree is over. */
  | { readonly type: 'fulfill_incoming'; readonly preimage: Uint8Array; readonly onChain: boolean }
  | { readonly type: 'fail_incoming' }
  /** Close the outgoing channel by force, to time the HTLC out on chain. */
  | { readonly type: 'close_outgoing' }
  | { readonly type: 'wait' };

/**
 * The rule that keeps a forwarding node whole (BOLT 2, forwarding HTLCs):
 *
 * - An HTLC whose preimage is known is never failed back, wherever the preimage was seen: in a message, in a
 *   spend of our commitment or of theirs, for an HTLC that our own commitment does not hold, and whatever
 *   became of the outgoing HTLC otherwise. It is looked for first, before every start from stored data and
 *   before every answer.
 * - Without a preimage the incoming HTLC is failed only when the outgoing one can never be fulfilled any more:
 *   it was never offered, its removal is irrevocable, or what resolved it on chain is buried.
 * - Until then it stays as it is, even past its own expiry: then its peer may close the channel, which costs a
 *   fee, while failing it would cost the whole amount if the preimage were to appear after all.
 */
export function forwardDuty({
  forward,
  fate,
  blockHeight,
}: {
  forward: Pick<PendingForward, 'preimage'> & {
    readonly incoming: Pick<PendingForward['incoming'], 'cltvExpiry'>;
    readonly outgoing: Pick<PendingForward['outgoing'], 'cltvExpiry'>;
  };
  fate: OutgoingFate;
  blockHeight: number;
}): ForwardDuty {
  const deadlines = forwardDeadlines({
    incomingExpiry: forward.incoming.cltvExpiry,
    outgoingExpiry: forward.outgoing.cltvExpiry,
  });
  // BOLT 2: upon discovering the `payment_preimage`: MUST fulfill the incoming HTLC
  if (forward.preimage !== undefined) {
    const onChain = blockHeight >= deadlines.claimIncomingHeight;
    return { type: 'fulfill_incoming', preimage: forward.preimage, onChain };
  }
  switch (fate.type) {
    case 'never_offered':
    case 'removed':
      return { type: 'fail_incoming' };
    case 'timed_out':
    case 'left_out':
      // BOLT 2: until the HTLC-timeout transaction has sufficient depth: MUST NOT fail the incoming HTLC
      return { type: fate.depth >= burialDepth ? 'fail_incoming' : 'wait' };
    case 'pending':
      // BOLT 2: an offering node: past the deadline of an HTLC that it offered: MUST fail the channel
      return { type: blockHeight >= deadlines.timeOutOutgoingHeight ? 'close_outgoing' : 'wait' };
    default:
      return fate satisfies never;
  }
}
