import { bytesToHex, equalBytes } from '../bytes/index.js';
import type { Htlc } from '../channel/htlc.js';
import { sha256 } from '../crypto/index.js';
import { preimageInWitness, type Transaction } from '../tx/index.js';
import type { Claim, ClaimedHtlc } from './claim.js';
import { claimedHtlc } from './claimedHtlc.js';

/** An HTLC that we offered and the preimage with which the peer took its output. */
export interface RevealedPreimage {
  readonly htlc: ClaimedHtlc;
  readonly preimage: Uint8Array;
}

/**
 * The same of a transaction that spends any outputs of a commitment, of which we do not know whose they are: the
 * preimages of these HTLCs among all that its witnesses show.
 */
export function preimagesAnywhere(
  tx: Transaction,
  { commitment, htlcs }: { commitment: Uint8Array; htlcs: readonly Htlc[] },
): RevealedPreimage[] {
  const hashes = new Map<string, Uint8Array>();
  for (const { outpoint, witness } of tx.inputs) {
    if (!equalBytes(outpoint.txid, commitment)) continue;
    for (const item of witness) if (item.length === 32) hashes.set(bytesToHex(sha256(item)), item);
  }
  return htlcs.flatMap((htlc): RevealedPreimage[] => {
    const preimage = hashes.get(bytesToHex(htlc.paymentHash));
    return preimage === undefined ? [] : [{ htlc: claimedHtlc(htlc), preimage }];
  });
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
