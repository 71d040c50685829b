import { ShachainStore } from '../../keys/index.js';
import type { Outpoint } from '../../tx/index.js';
import { decodeChannelType } from '../../wire/index.js';
import type { Channel, ChannelFormat, PartyParams } from '../channel.js';
import { HtlcTable } from '../htlcTable.js';
import type { OpeningContext, PartyTerms } from './openingTerms.js';

/** The id of a channel: its funding txid, the last two bytes xored with the output's index (BOLT 2). */
export function channelIdOf({ txid, index }: Outpoint): Uint8Array {
  const id = Uint8Array.from(txid);
  id[30] = (id[30] as number) ^ (index >> 8);
  id[31] = (id[31] as number) ^ (index & 0xff);
  return id;
}

/** @throws FeatureError where BOLT 2 does not define it. */
export function formatOf(channelType: Uint8Array): ChannelFormat {
  const { base, scidAlias, zeroconf } = decodeChannelType(channelType);
  return { commitment: base, scidAlias, zeroConf: zeroconf };
}

function partyParams(terms: PartyTerms, keepScript: boolean): PartyParams {
  const { firstPerCommitmentPoint: _, channelType: __, upfrontShutdownScript: script, ...params } = terms;
  const committed = keepScript && script !== undefined && script.length > 0;
  return {
    dustLimitSat: params.dustLimitSat,
    maxHtlcValueInFlightMsat: params.maxHtlcValueInFlightMsat,
    channelReserveSat: params.channelReserveSat,
    htlcMinimumMsat: params.htlcMinimumMsat,
    toSelfDelay: params.toSelfDelay,
    maxAcceptedHtlcs: params.maxAcceptedHtlcs,
    fundingPubkey: params.fundingPubkey,
    revocationBasepoint: params.revocationBasepoint,
    paymentBasepoint: params.paymentBasepoint,
    delayedPaymentBasepoint: params.delayedPaymentBasepoint,
    htlcBasepoint: params.htlcBasepoint,
    ...(committed ? { upfrontShutdownScript: script } : {}),
  };
}

/** What both sides agreed on, as the first commitment needs it. */
interface AgreedTerms {
  readonly localIsOpener: boolean;
  readonly format: ChannelFormat;
  readonly announce: boolean;
  readonly fundingSat: bigint;
  readonly pushMsat: bigint;
  readonly feeratePerKw: number;
  /** What accept_channel says. */
  readonly minimumDepth: number;
  readonly local: PartyTerms;
  readonly remote: PartyTerms;
  readonly fundingOutpoint: Outpoint;
}

/** The channel with both commitments number 0, before the peer's signature of ours is known. */
export function initialChannel(context: OpeningContext, agreed: AgreedTerms): Channel {
  const { format, fundingOutpoint, fundingSat, pushMsat, localIsOpener, minimumDepth } = agreed;
  const openerMsat = fundingSat * 1000n - pushMsat;
  return {
    params: {
      channelId: channelIdOf(fundingOutpoint),
      remoteNodeId: context.remoteNodeId,
      channelKeyId: context.channelKeyId,
      format,
      localIsOpener,
      announce: agreed.announce,
      fundingOutpoint,
      fundingSat,
      // Without option_zeroconf a channel needs its place in the chain before it is used.
      minimumDepth: format.zeroConf ? 0 : Math.max(1, minimumDepth),
      local: partyParams(agreed.local, true),
      // BOLT 2: shutdown: a peer's script binds it if both nodes advertised option_upfront_shutdown_script
      remote: partyParams(agreed.remote, context.features.upfrontShutdown),
      pushMsat,
    },
    phase: { name: 'awaiting_ready' },
    link: 'online',
    simpleClose: context.features.simpleClose,
    anySegwit: context.features.anySegwit,
    dataLost: false,
    localMsat: localIsOpener ? openerMsat : pushMsat,
    remoteMsat: localIsOpener ? pushMsat : openerMsat,
    htlcs: HtlcTable.empty,
    offeredMsat: 0n,
    receivedMsat: 0n,
    nextOfferedId: 0n,
    nextReceivedId: 0n,
    fee: { feeratePerKw: agreed.feeratePerKw, updates: [] },
    localCommit: { number: 0n, signature: new Uint8Array(64), htlcSignatures: [] },
    remoteCommit: {
      number: 0n,
      awaitingRevocation: false,
      currentPoint: agreed.remote.firstPerCommitmentPoint,
    },
    revocations: ShachainStore.empty,
    lastSent: 'none',
    unsignedChanges: false,
    readiness: { localAlias: context.localAlias, localSent: false, remoteReceived: false },
    shutdown: { localSent: false },
    negotiation: {},
    closingTransactions: [],
  };
}
