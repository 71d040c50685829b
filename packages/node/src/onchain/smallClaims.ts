import type { Claim } from '@rivulet/core/monitor';
import { dustThresholdSat, feeForWeightSat } from '@rivulet/core/tx';
import { isWorth, minimumFeeratePerKw } from './claimFees.js';

/** Version, counts, and an output for what comes back, of the longest standard script. */
export const frameWeight = 4 * (8 + 2 + 43) + 2;
/** One P2WPKH input of the wallet. */
export const feeInputWeight = 272;
/** Of a P2TR script, as the wallet's are. */
const dustSat = dustThresholdSat(Uint8Array.of(0x51, 32, ...new Uint8Array(32)));

/** The weight that a claim adds to its transaction. */
export function claimWeight(claim: Claim): number {
  if (claim.how === 'input') return claim.input.weight;
  return claim.how === 'package' ? claim.weight : 0;
}

/** The weight of a transaction that takes this output and no other. */
export function loneWeight(claim: Claim): number {
  return claimWeight(claim) + frameWeight + (claim.how === 'package' ? feeInputWeight : 0);
}

/** Whether the output cannot pay for a transaction of its own, however low fees are. */
export function isUneconomic(claim: Claim): boolean {
  if (claim.how !== 'input') return false;
  return claim.valueSat < feeForWeightSat(loneWeight(claim), minimumFeeratePerKw) + dustSat;
}

/** The same, or an HTLC transaction that brings hardly more than it costs even then. */
export function isSmall(claim: Claim): boolean {
  if (claim.how !== 'package') return isUneconomic(claim);
  return !isWorth(claim.valueSat, { weight: 2 * loneWeight(claim), feeratePerKw: minimumFeeratePerKw });
}
