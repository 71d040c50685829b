import { type AcceptPolicy, defaultAcceptPolicy } from '@rivulet/core/channel';
import { defaultForwardLimits } from '@rivulet/core/forwarding';
import type { Config } from './config/index.js';
import { defaultChannelPolicy, type NodePolicy } from './driver/index.js';

/** What the settings let a node do. */
export function nodePolicyOf({
  keysend,
  channels,
  payments,
  forwarding,
  rebalance,
  gossip,
  network,
}: Config): NodePolicy {
  const { minFundingSat, maxFundingSat, minimumDepth, acceptZeroConf, maxHtlcValueInFlightMsat } = channels;
  const accept: AcceptPolicy = {
    ...defaultAcceptPolicy,
    minFundingSat,
    maxFundingSat,
    minimumDepth,
    trustsZeroConf: acceptZeroConf,
    acceptPublic: channels.acceptAnnounced,
  };
  return {
    receive: {
      acceptKeysend: keysend.accept,
      acceptKeysendParts: keysend.accept,
      minAmountMsat: keysend.minAmountMsat,
    },
    limits: {
      dustLimitSat: channels.dustLimitSat,
      htlcMinimumMsat: channels.htlcMinimumMsat,
      toSelfDelay: channels.toSelfDelay,
      maxAcceptedHtlcs: channels.maxAcceptedHtlcs,
      ...(maxHtlcValueInFlightMsat === undefined ? {} : { maxHtlcValueInFlightMsat }),
    },
    accept,
    maxDustExposureMsat: channels.maxDustExposureMsat,
    anchors: true,
    // BOLT 5: irrevocably resolved when it is included as part of at least 100 blocks
    watchDepth: channels.watchDepth ?? (network === 'regtest' ? 6 : 100),
    defaultCommitment: channels.type,
    sending: {
      maxFeePercent: payments.maxFeePercent,
      maxCltvDelta: payments.maxDelayBlocks,
      timeoutMs: payments.timeoutSeconds * 1000,
    },
    gossip,
    rebalance: { ...rebalance, intervalMs: rebalance.intervalMinutes * 60_000 },
    forwarding: {
      enabled: forwarding.enabled,
      limits: {
        ...defaultForwardLimits,
        maxHeldHtlcs: forwarding.maxPendingPerPeer,
        maxHeldMsat: forwarding.maxPendingMsatPerPeer,
      },
      policy: {
        ...defaultChannelPolicy,
        feeBaseMsat: forwarding.feeBaseMsat,
        feeProportionalMillionths: forwarding.feePpm,
        cltvExpiryDelta: forwarding.cltvExpiryDelta,
      },
    },
  };
}
