import { type ChannelType, commitmentWeight, feeForWeightSat, htlcTxWeight } from './weights.js';

/** The base fee of a commitment transaction, which the channel's opener pays. */
export function commitmentFeeSat({
  channelType,
  feeratePerKw,
  untrimmedHtlcs,
}: {
  channelType: ChannelType;
  feeratePerKw: number;
  untrimmedHtlcs: number;
}): bigint {
  return feeForWeightSat(commitmentWeight(channelType, untrimmedHtlcs), feeratePerKw);
}

function htlcTxFeeSat(
  kind: 'timeout' | 'success',
  { channelType, feeratePerKw }: { channelType: ChannelType; feeratePerKw: number },
): bigint {
  // BOLT 3: the fee of HTLC-timeout and HTLC-success: 0 if option_anchors applies
  return channelType === 'anchors' ? 0n : feeForWeightSat(htlcTxWeight(kind, channelType), feeratePerKw);
}

/** The fee of an HTLC-timeout transaction: 0 for anchors. */
export function htlcTimeoutFeeSat(input: { channelType: ChannelType; feeratePerKw: number }): bigint {
  return htlcTxFeeSat('timeout', input);
}

/** The fee of an HTLC-success transaction: 0 for anchors. */
export function htlcSuccessFeeSat(input: { channelType: ChannelType; feeratePerKw: number }): bigint {
  return htlcTxFeeSat('success', input);
}

/** What decides whether an HTLC has an output. `dustLimitSat` is the one of the commitment's holder. */
export interface TrimInput {
  /** As the commitment's holder sees it. */
  direction: 'offered' | 'received';
  amountMsat: bigint;
  dustLimitSat: bigint;
  feeratePerKw: number;
  channelType: ChannelType;
}

/** Whether an HTLC is too small for an output of the commitment (BOLT 3: Trimmed Outputs). */
export function isTrimmed(input: TrimInput): boolean {
  const feeSat = htlcTxFeeSat(input.direction === 'offered' ? 'timeout' : 'success', input);
  return input.amountMsat / 1000n < input.dustLimitSat + feeSat;
}
