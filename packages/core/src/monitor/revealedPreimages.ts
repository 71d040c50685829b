import { equalBytes } from '../bytes/index.js';
import { preimageInWitness, type Transaction } from '../tx/index.js';
import type { Claim, ClaimedHtlc } from './claim.js';

/** An HTLC that we offered and the preimage with which the peer took its output. */
export interface RevealedPreimage {
  readonly htlc: ClaimedHtlc;
  readonly preimage: Uint8Array;
}

/**
 * The preimages that a transaction reveals by spending outputs of HTLCs that we offered (BOLT 5: MUST
 * extract the payment preimage from the transaction input witness). Such an HTLC is fulfilled, however deep
 * the transaction is.
 */
export function preimagesIn(tx: Transaction, claims: readonly Claim[]): RevealedPreimage[] {
  return claims.flatMap(({ htlc, outpoint }): RevealedPreimage[] => {
    if (htlc?.direction !== 'offered') return [];
    const input = tx.inputs.find(
      (one) => one.outpoint.index === outpoint.index && equalBytes(one.outpoint.txid, outpoint.txid),
    );
    const preimage = input && preimageInWitness(input.witness, htlc.paymentHash);
    return preimage === undefined ? [] : [{ htlc, preimage }];
  });
}
