import { equalBytes } from '../../bytes/index.js';
import { isShutdownScript } from '../../tx/index.js';
import type { AcceptChannel, FundingCreated, FundingSigned, OpenChannel } from '../../wire/index.js';
import { FeatureError } from '../../wire/index.js';
import { greater } from '../amounts.js';
import type { Channel, ChannelFormat } from '../channel.js';
import { ChannelError, ChannelRefusal } from '../channelError.js';
import { acceptLocalCommitment, signNewestRemoteCommitment } from '../commitments.js';
import { formatOf, initialChannel } from './initialChannel.js';
import { checkTerms, initialBalanceFault, isNegotiated, largeChannelSat, reject } from './openingChecks.js';
import { type AcceptPolicy, localTerms, type OpeningContext, type OpeningFeatures } from './openingTerms.js';

/** What the accepter decides on. */
export interface AcceptRequest extends OpeningContext {
  readonly open: OpenChannel;
  readonly policy: AcceptPolicy;
}

/** accept_channel went out. */
export interface AwaitingFundingCreated {
  readonly state: 'awaiting_funding_created';
  readonly request: AcceptRequest;
  readonly format: ChannelFormat;
  readonly accept: AcceptChannel;
}

function isAnnounced(open: OpenChannel): boolean {
  // BOLT 2: open_channel, receiving node: ignore undefined bits in channel_flags
  return (open.channelFlags & 1) === 1;
}

function checkFormat(
  open: OpenChannel,
  { features, policy }: { features: OpeningFeatures; policy: AcceptPolicy },
): ChannelFormat {
  const { channelType } = open;
  // BOLT 2: open_channel, receiving node: the message doesn't include a channel_type
  if (channelType === undefined) reject('open_channel has no channel_type');
  let format: ChannelFormat;
  try {
    format = formatOf(channelType);
  } catch (error) {
    if (error instanceof FeatureError) reject('this channel_type is not known');
    throw error;
  }
  // BOLT 2: open_channel, receiving node: the channel_type is not suitable
  if (!isNegotiated(format, features)) reject('this channel_type has features that were not negotiated');
  if (format.scidAlias && isAnnounced(open)) reject('an announced channel cannot have option_scid_alias');
  if (isAnnounced(open) && !policy.acceptPublic) reject('channels that are announced are not accepted here');
  // BOLT 2: open_channel, receiving node: option_zeroconf from a sender that is not trusted
  if (format.zeroConf && !policy.trustsZeroConf) {
    reject('channels that are used before they confirm are not accepted from this node');
  }
  return format;
}

function checkFunding({ open, chainHash, features, policy }: AcceptRequest): void {
  // BOLT 2: open_channel, receiving node: a chain that is unknown to the receiver
  if (!equalBytes(open.chainHash, chainHash)) reject('the channel would be on another chain');
  // BOLT 2: open_channel, receiving node: option_dual_fund has been negotiated
  if (features.dualFund) reject('with option_dual_fund a channel begins with open_channel2');
  // BOLT 2: open_channel, receiving node: 2^24 or more without option_support_large_channel
  if (open.fundingSat >= largeChannelSat && !features.largeChannels) {
    reject(`channels of ${largeChannelSat} sat or more take option_support_large_channel`);
  }
  // BOLT 2: open_channel, receiving node: may fail if funding_satoshis is too small
  if (open.fundingSat < policy.minFundingSat || open.fundingSat > policy.maxFundingSat) {
    reject(`channels from ${policy.minFundingSat} to ${policy.maxFundingSat} sat are accepted`);
  }
  // BOLT 2: open_channel, receiving node: push_msat is greater than funding_satoshis * 1000
  if (open.pushMsat > open.fundingSat * 1000n) reject('push_msat is more than the channel holds');
  // BOLT 2: open_channel, receiving node: feerate_per_kw too small or unreasonably large
  if (open.feeratePerKw < policy.minFeeratePerKw || open.feeratePerKw > policy.maxFeeratePerKw) {
    reject(`feerates from ${policy.minFeeratePerKw} to ${policy.maxFeeratePerKw} per kw are accepted`);
  }
}

/**
 * Answers an open_channel (BOLT 2: open_channel, receiving node).
 * @throws ChannelError `open_rejected` with the reason for the peer.
 * @throws ChannelRefusal where our own limits or script are no valid ones.
 */
export function acceptOpening(request: AcceptRequest): {
  opening: AwaitingFundingCreated;
  message: AcceptChannel;
} {
  const { open, policy, features, limits, upfrontShutdownScript: script } = request;
  checkFunding(request);
  const format = checkFormat(open, request);
  const { fundingSat, pushMsat, feeratePerKw } = open;
  const initial = { channelType: format.commitment, fundingSat, pushMsat, feeratePerKw };
  checkTerms(open, { initial, tolerance: policy, features });
  // BOLT 2: accept_channel, sender: our dust limit at most the opener's reserve, our reserve at least its dust limit
  if (limits.dustLimitSat > open.channelReserveSat) {
    reject(
      `the reserve of ${open.channelReserveSat} sat is below our dust limit of ${limits.dustLimitSat} sat`,
    );
  }
  const channelReserveSat = greater(fundingSat / 100n, greater(limits.dustLimitSat, open.dustLimitSat));
  if (script !== undefined && !isShutdownScript(script, features)) {
    throw new ChannelRefusal('script_invalid', 'this script cannot be used at a cooperative close');
  }
  const fault = initialBalanceFault(initial, channelReserveSat);
  if (fault !== undefined) reject(fault);
  const message: AcceptChannel = {
    type: 'accept_channel',
    temporaryChannelId: open.temporaryChannelId,
    ...localTerms(request, { fundingSat, channelReserveSat }),
    // BOLT 2: accept_channel, sender: minimum_depth is zero with option_zeroconf
    minimumDepth: format.zeroConf ? 0 : policy.minimumDepth,
    channelType: open.channelType as Uint8Array,
  };
  return { opening: { state: 'awaiting_funding_created', request, format, accept: message }, message };
}

/**
 * The funding output is known and our first commitment is signed (BOLT 2: funding_created, recipient). The
 * channel has to be stored before the answer goes out.
 * @throws ChannelError where the signature is not valid.
 */
export function receiveFundingCreated(
  { request, format, accept }: AwaitingFundingCreated,
  message: FundingCreated,
): { channel: Channel; message: FundingSigned } {
  const { open, signer } = request;
  // BOLT 2: funding_created, sender: the temporary_channel_id of open_channel
  if (!equalBytes(message.temporaryChannelId, open.temporaryChannelId)) {
    throw new ChannelError('message_unexpected', 'funding_created with another temporary_channel_id');
  }
  const unsigned = initialChannel(request, {
    localIsOpener: false,
    format,
    announce: isAnnounced(open),
    fundingSat: open.fundingSat,
    pushMsat: open.pushMsat,
    feeratePerKw: open.feeratePerKw,
    minimumDepth: accept.minimumDepth,
    local: accept,
    remote: open,
    fundingOutpoint: { txid: message.fundingTxid, index: message.fundingOutputIndex },
  });
  // BOLT 2: funding_created, recipient: signature is incorrect or has a high S
  const localCommit = acceptLocalCommitment(unsigned, {
    signer,
    number: 0n,
    signatures: { signature: message.signature, htlcSignatures: [] },
  });
  const channel: Channel = { ...unsigned, localCommit };
  const { signature } = signNewestRemoteCommitment(channel, signer);
  return { channel, message: { type: 'funding_signed', channelId: channel.params.channelId, signature } };
}
