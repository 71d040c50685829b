import type { Htlc } from '../channel/htlc.js';
import type { ClaimedHtlc } from './claim.js';

/** What a claim keeps of an HTLC. */
export function claimedHtlc({
  direction,
  id,
  amountMsat,
  paymentHash,
  cltvExpiry,
}: ClaimedHtlc): ClaimedHtlc {
  return { direction, id, amountMsat, paymentHash, cltvExpiry };
}

/** The preimage with which an HTLC was settled. */
export function fulfilledPreimage({ settlement }: Htlc): Uint8Array | undefined {
  return settlement?.type === 'fulfill' ? settlement.preimage : undefined;
}
