import { equalBytes } from '../../bytes/index.js';
import { fundingScript, isShutdownScript, type Outpoint } from '../../tx/index.js';
import type { AcceptChannel, FundingCreated, FundingSigned, OpenChannel } from '../../wire/index.js';
import { encodeChannelType } from '../../wire/index.js';
import { greater } from '../amounts.js';
import type { Channel, ChannelFormat } from '../channel.js';
import { ChannelError, ChannelRefusal } from '../channelError.js';
import { acceptLocalCommitment, signNewestRemoteCommitment } from '../commitments.js';
import { initialChannel } from './initialChannel.js';
import {
  checkTerms,
  type InitialTerms,
  initialBalanceFault,
  isNegotiated,
  largeChannelSat,
  reject,
} from './openingChecks.js';
import {
  localTerms,
  maxAcceptedHtlcsLimit,
  minDustLimitSat,
  type OpeningContext,
  type PeerTolerance,
} from './openingTerms.js';

/** The least reserve that we ask for: an accepter's dust limit, which we do not know yet, must fit under it. */
const minReserveSat = 1_000n;

/** What the opener decides about a new channel. */
export interface OpeningRequest extends OpeningContext {
  /** 32 random bytes. */
  readonly temporaryChannelId: Uint8Array;
  readonly format: ChannelFormat;
  readonly announce: boolean;
  readonly fundingSat: bigint;
  /** Given to the peer at the start. */
  readonly pushMsat: bigint;
  readonly feeratePerKw: number;
}

/** open_channel went out. */
export interface AwaitingAccept {
  readonly state: 'awaiting_accept';
  readonly request: OpeningRequest;
  readonly open: OpenChannel;
}

/** Both agreed on the terms: the wallet may make a transaction that pays `fundingSat` to `fundingScript`. */
export interface AwaitingFunding {
  readonly state: 'awaiting_funding';
  readonly request: OpeningRequest;
  readonly open: OpenChannel;
  readonly accept: AcceptChannel;
  readonly fundingScript: Uint8Array;
  readonly fundingSat: bigint;
}

/** funding_created went out; the funding transaction must not be published yet. */
export interface AwaitingFundingSigned {
  readonly state: 'awaiting_funding_signed';
  readonly request: OpeningRequest;
  /** Without the peer's signature of our commitment: not to be stored nor used. */
  readonly unsigned: Channel;
}

function refuse(message: string): never {
  throw new ChannelRefusal('opening_invalid', message);
}

function checkRequest(request: OpeningRequest, initial: InitialTerms, channelReserveSat: bigint): void {
  const { features, format, fundingSat, limits, upfrontShutdownScript: script } = request;
  // BOLT 2: open_channel, receiving node: v1 fails if option_dual_fund has been negotiated
  if (features.dualFund) refuse('the peer opens channels by option_dual_fund only');
  // BOLT 2: open_channel, sending node: channel_type with negotiated features, no alias if announced
  if (!isNegotiated(format, features)) refuse('the peer does not support this type of channel');
  if (request.announce && format.scidAlias) refuse('an announced channel cannot have option_scid_alias');
  // BOLT 2: open_channel, sending node: below 2^24 satoshi without option_support_large_channel
  if (fundingSat >= largeChannelSat && !features.largeChannels) {
    refuse(`the peer takes channels below ${largeChannelSat} sat only`);
  }
  // BOLT 2: open_channel, sending node: push_msat at most 1000 * funding_satoshis
  if (request.pushMsat < 0n || request.pushMsat > fundingSat * 1000n) {
    refuse('more than the channel holds cannot be given to the peer');
  }
  if (limits.dustLimitSat < minDustLimitSat || limits.maxAcceptedHtlcs > maxAcceptedHtlcsLimit) {
    refuse(`the dust limit is at least ${minDustLimitSat} sat, HTLCs are at most ${maxAcceptedHtlcsLimit}`);
  }
  if (script !== undefined && !isShutdownScript(script, features)) {
    throw new ChannelRefusal('script_invalid', 'this script cannot be used at a cooperative close');
  }
  const fault = initialBalanceFault(initial, channelReserveSat);
  if (fault !== undefined) refuse(`${fault}: a larger channel or a lower feerate is needed`);
}

/**
 * Begins a channel (BOLT 2: open_channel, sending node).
 * @throws ChannelRefusal where the request breaks a rule that the peer would hold against it.
 */
export function startOpening(request: OpeningRequest): { opening: AwaitingAccept; message: OpenChannel } {
  const { fundingSat, pushMsat, feeratePerKw, format, limits } = request;
  const channelReserveSat = greater(fundingSat / 100n, greater(limits.dustLimitSat, minReserveSat));
  const initial = { channelType: format.commitment, fundingSat, pushMsat, feeratePerKw };
  checkRequest(request, initial, channelReserveSat);
  const message: OpenChannel = {
    type: 'open_channel',
    chainHash: request.chainHash,
    temporaryChannelId: request.temporaryChannelId,
    fundingSat,
    pushMsat,
    feeratePerKw,
    ...localTerms(request, { fundingSat, channelReserveSat }),
    channelFlags: request.announce ? 1 : 0,
    channelType: encodeChannelType({
      base: format.commitment,
      scidAlias: format.scidAlias,
      zeroconf: format.zeroConf,
    }),
  };
  return { opening: { state: 'awaiting_accept', request, open: message }, message };
}

/**
 * The peer's terms (BOLT 2: accept_channel, receiver).
 * @throws ChannelError `open_rejected`
 */
export function receiveAcceptChannel(
  { request, open }: AwaitingAccept,
  accept: AcceptChannel,
  tolerance: PeerTolerance,
): AwaitingFunding {
  // BOLT 2: accept_channel: temporary_channel_id must be the same
  if (!equalBytes(accept.temporaryChannelId, open.temporaryChannelId)) {
    throw new ChannelError('message_unexpected', 'accept_channel with another temporary_channel_id');
  }
  // BOLT 2: accept_channel, receiver: channel_type is missing, or does not match
  if (accept.channelType === undefined) reject('accept_channel has no channel_type');
  if (!equalBytes(accept.channelType, open.channelType as Uint8Array)) {
    reject('accept_channel has another channel_type than open_channel');
  }
  // BOLT 2: accept_channel, sender: with option_zeroconf minimum_depth is zero
  if (request.format.zeroConf && accept.minimumDepth !== 0) {
    reject('minimum_depth is not zero in a channel with option_zeroconf');
  }
  // BOLT 2: accept_channel, receiver: may fail if minimum_depth is unreasonably large
  if (accept.minimumDepth > tolerance.maxMinimumDepth) {
    reject(`minimum_depth is ${accept.minimumDepth} blocks; ${tolerance.maxMinimumDepth} are the most`);
  }
  // BOLT 2: accept_channel, receiver: each reserve is at least the other's dust limit
  if (accept.channelReserveSat < open.dustLimitSat) {
    reject(
      `the reserve of ${accept.channelReserveSat} sat is below our dust limit of ${open.dustLimitSat} sat`,
    );
  }
  if (open.channelReserveSat < accept.dustLimitSat) {
    reject(
      `the dust limit of ${accept.dustLimitSat} sat is above our reserve of ${open.channelReserveSat} sat`,
    );
  }
  const { fundingSat, pushMsat, feeratePerKw, format, features } = request;
  const initial = { channelType: format.commitment, fundingSat, pushMsat, feeratePerKw };
  checkTerms(accept, { initial, tolerance, features });
  const script = fundingScript(open.fundingPubkey, accept.fundingPubkey);
  return { state: 'awaiting_funding', request, open, accept, fundingScript: script, fundingSat };
}

/** The funding output is known: signs the peer's first commitment (BOLT 2: funding_created, sender). */
export function fundingCreated(
  { request, open, accept }: AwaitingFunding,
  { outpoint }: { outpoint: Outpoint },
): { opening: AwaitingFundingSigned; message: FundingCreated } {
  // BOLT 2: funding_created: funding_output_index has two bytes
  if (outpoint.index > 0xffff)
    refuse(`a funding output cannot be output ${outpoint.index} of its transaction`);
  const unsigned = initialChannel(request, {
    localIsOpener: true,
    format: request.format,
    announce: request.announce,
    fundingSat: request.fundingSat,
    pushMsat: request.pushMsat,
    feeratePerKw: request.feeratePerKw,
    minimumDepth: accept.minimumDepth,
    local: open,
    remote: accept,
    fundingOutpoint: outpoint,
  });
  const { signature } = signNewestRemoteCommitment(unsigned, request.signer);
  const message: FundingCreated = {
    type: 'funding_created',
    temporaryChannelId: open.temporaryChannelId,
    fundingTxid: outpoint.txid,
    fundingOutputIndex: outpoint.index,
    signature,
  };
  return { opening: { state: 'awaiting_funding_signed', request, unsigned }, message };
}

/**
 * Our first commitment is signed: once the channel is stored the funding transaction may be published.
 * @throws ChannelError where the signature is not valid: nothing may be published.
 */
export function receiveFundingSigned(
  { request, unsigned }: AwaitingFundingSigned,
  message: FundingSigned,
): { channel: Channel } {
  // BOLT 2: funding_signed, sender: channel_id of the outpoint in funding_created
  if (!equalBytes(message.channelId, unsigned.params.channelId)) {
    throw new ChannelError('message_unexpected', 'funding_signed names another channel');
  }
  // BOLT 2: funding_signed, recipient: signature is incorrect or has a high S
  const localCommit = acceptLocalCommitment(unsigned, {
    signer: request.signer,
    number: 0n,
    signatures: { signature: message.signature, htlcSignatures: [] },
  });
  return { channel: { ...unsigned, localCommit } };
}
