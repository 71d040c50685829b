import type { ChannelSigner } from '../../keys/index.js';
import { type FeatureBits, hasFeature } from '../../wire/index.js';
import type { PartyParams } from '../channel.js';

/** The features that both nodes have and that an opening depends on (BOLT 9). */
export interface OpeningFeatures {
  readonly largeChannels: boolean;
  readonly upfrontShutdown: boolean;
  readonly anySegwit: boolean;
  readonly simpleClose: boolean;
  readonly staticRemoteKey: boolean;
  readonly anchors: boolean;
  readonly scidAlias: boolean;
  readonly zeroConf: boolean;
  readonly dualFund: boolean;
}

/** Reads them from what was negotiated with the peer (see wire's negotiateFeatures). */
export function openingFeatures(negotiated: FeatureBits): OpeningFeatures {
  return {
    largeChannels: hasFeature(negotiated, 'supportLargeChannel'),
    upfrontShutdown: hasFeature(negotiated, 'upfrontShutdownScript'),
    anySegwit: hasFeature(negotiated, 'shutdownAnysegwit'),
    simpleClose: hasFeature(negotiated, 'simpleClose'),
    staticRemoteKey: hasFeature(negotiated, 'staticRemotekey'),
    anchors: hasFeature(negotiated, 'anchors'),
    scidAlias: hasFeature(negotiated, 'scidAlias'),
    zeroConf: hasFeature(negotiated, 'zeroconf'),
    dualFund: hasFeature(negotiated, 'dualFund'),
  };
}

/** What we ask of the peer in a new channel. */
export interface OpeningLimits {
  readonly dustLimitSat: bigint;
  /** The whole channel where it is absent. */
  readonly maxHtlcValueInFlightMsat?: bigint;
  readonly htlcMinimumMsat: bigint;
  readonly toSelfDelay: number;
  readonly maxAcceptedHtlcs: number;
}

/** BOLT 2: the most HTLCs that a commitment can hold of one side. */
export const maxAcceptedHtlcsLimit = 483;
/** BOLT 2: the least dust limit; no output of a standard form is dust from there on. */
export const minDustLimitSat = 354n;

export const defaultOpeningLimits: OpeningLimits = {
  dustLimitSat: minDustLimitSat,
  htlcMinimumMsat: 1n,
  toSelfDelay: 144,
  maxAcceptedHtlcs: maxAcceptedHtlcsLimit,
};

/** How far we follow the peer's wishes: what BOLT 2 leaves to each node's judgement. */
export interface PeerTolerance {
  readonly maxDustLimitSat: bigint;
  /** Of the channel's capacity. */
  readonly maxChannelReservePercent: number;
  readonly maxToSelfDelay: number;
  readonly maxHtlcMinimumMsat: bigint;
  readonly minHtlcValueInFlightMsat: bigint;
  readonly minAcceptedHtlcs: number;
  readonly maxMinimumDepth: number;
}

export const defaultPeerTolerance: PeerTolerance = {
  maxDustLimitSat: 1_000n,
  maxChannelReservePercent: 20,
  maxToSelfDelay: 2_016,
  maxHtlcMinimumMsat: 1_000_000n,
  minHtlcValueInFlightMsat: 1_000_000n,
  minAcceptedHtlcs: 1,
  maxMinimumDepth: 144,
};

/** Which channels we accept from others. */
export interface AcceptPolicy extends PeerTolerance {
  readonly minFundingSat: bigint;
  readonly maxFundingSat: bigint;
  readonly minFeeratePerKw: number;
  readonly maxFeeratePerKw: number;
  /** Confirmations that we ask for before the channel is used. */
  readonly minimumDepth: number;
  /** We trust this peer not to double-spend: it may open channels that are used before they confirm. */
  readonly trustsZeroConf: boolean;
  /** Whether channels may be announced to all the network, where the opener wants that. */
  readonly acceptPublic: boolean;
}

export const defaultAcceptPolicy: AcceptPolicy = {
  ...defaultPeerTolerance,
  minFundingSat: 20_000n,
  maxFundingSat: 1_000_000_000n,
  minFeeratePerKw: 253,
  maxFeeratePerKw: 100_000,
  minimumDepth: 3,
  trustsZeroConf: false,
  acceptPublic: true,
};

/** What an opening takes on our side, whoever begins it. */
export interface OpeningContext {
  /** The genesis hash of the chain, in internal byte order. */
  readonly chainHash: Uint8Array;
  readonly remoteNodeId: Uint8Array;
  /** Names the keys of this channel to the signer; never used for another channel. */
  readonly channelKeyId: Uint8Array;
  readonly signer: ChannelSigner;
  readonly limits: OpeningLimits;
  /** Commits us to this script at a cooperative close. */
  readonly upfrontShutdownScript?: Uint8Array;
  readonly features: OpeningFeatures;
  /** Random, unique in this node: the short channel id by which the peer may know the channel at first. */
  readonly localAlias: bigint;
}

/** The fields that open_channel and accept_channel have in common. */
export interface PartyTerms extends Omit<PartyParams, 'upfrontShutdownScript'> {
  readonly firstPerCommitmentPoint: Uint8Array;
  /** Zero-length where the party committed to no script. */
  readonly upfrontShutdownScript?: Uint8Array;
  readonly channelType?: Uint8Array;
}

/** Our half of open_channel and accept_channel. */
export function localTerms(
  { limits, signer, upfrontShutdownScript }: OpeningContext,
  { fundingSat, channelReserveSat }: { fundingSat: bigint; channelReserveSat: bigint },
): Omit<PartyTerms, 'channelType'> {
  return {
    dustLimitSat: limits.dustLimitSat,
    maxHtlcValueInFlightMsat: limits.maxHtlcValueInFlightMsat ?? fundingSat * 1000n,
    channelReserveSat,
    htlcMinimumMsat: limits.htlcMinimumMsat,
    toSelfDelay: limits.toSelfDelay,
    maxAcceptedHtlcs: limits.maxAcceptedHtlcs,
    ...signer.basepoints,
    firstPerCommitmentPoint: signer.perCommitmentPoint(0n),
    // BOLT 2: open_channel, sending node: a zero-length script where there is none
    upfrontShutdownScript: upfrontShutdownScript ?? new Uint8Array(0),
  };
}
