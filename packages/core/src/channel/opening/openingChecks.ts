import { secp256k1 } from '../../crypto/index.js';
import { anchorSat, type ChannelType, commitmentFeeSat, isShutdownScript } from '../../tx/index.js';
import type { ChannelFormat } from '../channel.js';
import { ChannelError } from '../channelError.js';
import {
  maxAcceptedHtlcsLimit,
  minDustLimitSat,
  type OpeningFeatures,
  type PartyTerms,
  type PeerTolerance,
} from './openingTerms.js';

/** Channels from here on take option_support_large_channel. */
export const largeChannelSat = 1n << 24n;

/** Ends an opening that the peer's terms do not allow. Nothing was stored yet. */
export function reject(sentence: string): never {
  throw new ChannelError('open_rejected', sentence);
}

/** Which terms of the channel decide who can pay what in its first commitment. */
export interface InitialTerms {
  readonly channelType: ChannelType;
  readonly fundingSat: bigint;
  readonly pushMsat: bigint;
  readonly feeratePerKw: number;
}

/** What the two have in the first commitment, once the opener has paid fee and anchors; may be negative. */
function initialBalances({ channelType, fundingSat, pushMsat, feeratePerKw }: InitialTerms): {
  openerMsat: bigint;
  accepterMsat: bigint;
} {
  const feeSat = commitmentFeeSat({ channelType, feeratePerKw, untrimmedHtlcs: 0 });
  const costSat = feeSat + (channelType === 'anchors' ? 2n * anchorSat : 0n);
  return { openerMsat: (fundingSat - costSat) * 1000n - pushMsat, accepterMsat: pushMsat };
}

/** Why the first commitment would be no safe one under a reserve; `undefined` where it is. */
export function initialBalanceFault(initial: InitialTerms, channelReserveSat: bigint): string | undefined {
  const { openerMsat, accepterMsat } = initialBalances(initial);
  // BOLT 2: open_channel, receiving node: the funder's amount must be sufficient for full fee payment
  if (openerMsat < 0n) return 'the opener cannot pay the fee of the first commitment';
  const reserveMsat = channelReserveSat * 1000n;
  // BOLT 2: open_channel, receiving node: not both to_local and to_remote at or below channel_reserve_satoshis
  if (openerMsat <= reserveMsat && accepterMsat <= reserveMsat) {
    return `neither side would have more than the reserve of ${channelReserveSat} sat`;
  }
  return undefined;
}

/** Whether both nodes have the features of a channel type. */
export function isNegotiated(format: ChannelFormat, features: OpeningFeatures): boolean {
  return (
    features.staticRemoteKey &&
    (format.commitment !== 'anchors' || features.anchors) &&
    (!format.scidAlias || features.scidAlias) &&
    (!format.zeroConf || features.zeroConf)
  );
}

const pointNames = [
  'fundingPubkey',
  'revocationBasepoint',
  'paymentBasepoint',
  'delayedPaymentBasepoint',
  'htlcBasepoint',
  'firstPerCommitmentPoint',
] as const;

/** What both open_channel and accept_channel must keep to (BOLT 2: "the same requirements"). */
export function checkTerms(
  terms: PartyTerms,
  {
    initial,
    tolerance,
    features,
  }: {
    initial: InitialTerms;
    tolerance: PeerTolerance;
    features: OpeningFeatures;
  },
): void {
  checkDustAndReserve(terms, { fundingSat: initial.fundingSat, tolerance });
  // BOLT 2: open_channel, receiving node: to_self_delay is unreasonably large
  if (terms.toSelfDelay > tolerance.maxToSelfDelay) {
    reject(`to_self_delay is ${terms.toSelfDelay} blocks; ${tolerance.maxToSelfDelay} are the most`);
  }
  // BOLT 2: open_channel, receiving node: max_accepted_htlcs is greater than 483
  if (terms.maxAcceptedHtlcs > maxAcceptedHtlcsLimit) {
    reject(`max_accepted_htlcs is ${terms.maxAcceptedHtlcs}; ${maxAcceptedHtlcsLimit} are the most`);
  }
  checkHtlcLimits(terms, tolerance);
  // BOLT 2: open_channel, receiving node: valid secp256k1 pubkeys in compressed format
  for (const name of pointNames) {
    if (!secp256k1.isPublicKey(terms[name])) reject(`${name} is not a point on the curve`);
  }
  const fault = initialBalanceFault(initial, terms.channelReserveSat);
  if (fault !== undefined) reject(fault);
  checkUpfrontScript(terms, features);
}

function checkDustAndReserve(
  { dustLimitSat, channelReserveSat }: PartyTerms,
  { fundingSat, tolerance }: { fundingSat: bigint; tolerance: PeerTolerance },
): void {
  // BOLT 2: open_channel, receiving node: dust_limit_satoshis is greater than channel_reserve_satoshis
  if (dustLimitSat > channelReserveSat) {
    reject(`the dust limit of ${dustLimitSat} sat is above the reserve of ${channelReserveSat} sat`);
  }
  // BOLT 2: open_channel, receiving node: dust_limit_satoshis is smaller than 354 satoshis
  if (dustLimitSat < minDustLimitSat) {
    reject(`the dust limit of ${dustLimitSat} sat is below ${minDustLimitSat} sat`);
  }
  // BOLT 2: open_channel, receiving node: may fail if dust limit or reserve are too large
  if (dustLimitSat > tolerance.maxDustLimitSat) {
    reject(`the dust limit of ${dustLimitSat} sat is above ${tolerance.maxDustLimitSat} sat`);
  }
  const maxReserveSat = (fundingSat * BigInt(tolerance.maxChannelReservePercent)) / 100n;
  if (channelReserveSat > maxReserveSat) {
    reject(`the reserve of ${channelReserveSat} sat is above ${maxReserveSat} sat`);
  }
}

function checkHtlcLimits(terms: PartyTerms, tolerance: PeerTolerance): void {
  // BOLT 2: open_channel, receiving node: may fail if these leave too little room for payments
  if (terms.maxAcceptedHtlcs < tolerance.minAcceptedHtlcs) {
    reject(`max_accepted_htlcs is ${terms.maxAcceptedHtlcs}; ${tolerance.minAcceptedHtlcs} are the least`);
  }
  if (terms.htlcMinimumMsat > tolerance.maxHtlcMinimumMsat) {
    reject(`htlc_minimum_msat is ${terms.htlcMinimumMsat}; ${tolerance.maxHtlcMinimumMsat} is the most`);
  }
  if (terms.maxHtlcValueInFlightMsat < tolerance.minHtlcValueInFlightMsat) {
    reject(
      `max_htlc_value_in_flight_msat is ${terms.maxHtlcValueInFlightMsat}; ` +
        `${tolerance.minHtlcValueInFlightMsat} is the least`,
    );
  }
}

function checkUpfrontScript({ upfrontShutdownScript }: PartyTerms, features: OpeningFeatures): void {
  if (!features.upfrontShutdown) return;
  // BOLT 2: open_channel, sending node: with option_upfront_shutdown_script a script or a zero-length one
  if (upfrontShutdownScript === undefined) reject('upfront_shutdown_script is missing');
  if (upfrontShutdownScript.length > 0 && !isShutdownScript(upfrontShutdownScript, features)) {
    reject('upfront_shutdown_script has none of the forms that shutdown allows');
  }
}
