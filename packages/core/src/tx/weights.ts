/** `anchors` is option_anchors: second-stage HTLC transactions without fee. Both have a static remote key. */
export type ChannelType = 'static_remotekey' | 'anchors';

// BOLT 3: Fee Calculation and Appendix A. Expected weights: what both peers compute fees from, and for
// 73-byte signatures an upper bound of the real ones.
const commitmentBaseWeight: Record<ChannelType, number> = { static_remotekey: 724, anchors: 1124 };
const htlcTimeoutWeight: Record<ChannelType, number> = { static_remotekey: 663, anchors: 666 };
const htlcSuccessWeight: Record<ChannelType, number> = { static_remotekey: 703, anchors: 706 };

/** The weight that one untrimmed HTLC adds to a commitment transaction. */
const htlcOutputWeight = 172;
/** The value of each anchor output. */
export const anchorSat = 330n;
/** The weight of an input without its witness. */
export const inputBaseWeight = 164;
/** The longest signature in a witness that BOLT 3 reckons with, sighash byte included. */
export const maxDerSignatureBytes = 73;
/** The witness of a 2-of-2 funding input: item count, empty item, two signatures, script. */
export const fundingWitnessWeight = 222;

/** The expected weight of a commitment transaction. */
export function commitmentWeight(channelType: ChannelType, untrimmedHtlcs: number): number {
  return commitmentBaseWeight[channelType] + htlcOutputWeight * untrimmedHtlcs;
}

/** The expected weight of a second-stage transaction. */
export function htlcTxWeight(kind: 'timeout' | 'success', channelType: ChannelType): number {
  return (kind === 'timeout' ? htlcTimeoutWeight : htlcSuccessWeight)[channelType];
}

/** The fee in satoshi, rounded down. */
export function feeForWeightSat(weight: number, feeratePerKw: number): bigint {
  return (BigInt(weight) * BigInt(feeratePerKw)) / 1000n;
}
