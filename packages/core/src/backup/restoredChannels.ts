import { type Channel, type ChannelParams, channelIdOf, restoredChannel } from '../channel/index.js';
import type { ChannelBasepoints } from '../keys/index.js';
import type { BackedUpChannel, ChannelBackup } from './channelBackup.js';

/** Finds the public keys of a channel by its `channelKeyId`; those of the node's seed. */
export type BasepointsOf = (channelKeyId: Uint8Array) => ChannelBasepoints;

/** What was backed up of a channel, with the keys of ours that derive from the seed. */
export function backedUpParams(channel: BackedUpChannel, basepointsOf: BasepointsOf): ChannelParams {
  const { fundingConfirmed: _, closingScript: __, addresses: ___, local, ...params } = channel;
  const { fundingPubkey, revocationBasepoint, paymentBasepoint, delayedPaymentBasepoint, htlcBasepoint } =
    basepointsOf(channel.channelKeyId);
  return {
    ...params,
    channelId: channelIdOf(channel.fundingOutpoint),
    local: {
      ...local,
      fundingPubkey,
      revocationBasepoint,
      paymentBasepoint,
      delayedPaymentBasepoint,
      htlcBasepoint,
    },
  };
}

/** The channels of a backup as they come back: to be closed by their peers, see restoredChannel. */
export function restoredChannels(backup: ChannelBackup, basepointsOf: BasepointsOf): Channel[] {
  return backup.channels.map((channel) =>
    restoredChannel({
      params: backedUpParams(channel, basepointsOf),
      fundingConfirmed: channel.fundingConfirmed,
      closingScript: channel.closingScript,
    }),
  );
}
