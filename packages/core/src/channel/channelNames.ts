import { toShortChannelId } from '../wire/index.js';
import type { Channel } from './channel.js';

type Named = Pick<Channel, 'params' | 'readiness'>;

/** The real short_channel_id (BOLT 7), while the funding transaction is confirmed. */
export function shortChannelIdOf({ params, readiness }: Named): bigint | undefined {
  const { fundingConfirmed } = readiness;
  if (fundingConfirmed === undefined) return undefined;
  return toShortChannelId({
    blockHeight: fundingConfirmed.height,
    txIndex: fundingConfirmed.index,
    outputIndex: params.fundingOutpoint.index,
  });
}

/**
 * The alias that we gave the peer: others who pay it through this channel, by its invoices' hints, name the
 * channel so in their onions to us.
 */
export function localAliasOf({ readiness }: Named): bigint | undefined {
  return readiness.localAlias;
}

/** The alias that the peer gave us: for the hints of our invoices, and for our channel_update to it. */
export function remoteAliasOf({ readiness }: Named): bigint | undefined {
  return readiness.remoteAlias;
}

/** Whether an onion that came to us may name this channel so as the one that it goes on over. */
export function isKnownAs(channel: Named, shortChannelId: bigint): boolean {
  // BOLT 2: channel_ready, sender: must always recognize the alias as a short_channel_id for this channel
  if (channel.readiness.localAlias === shortChannelId) return true;
  // BOLT 2: channel_ready, sender: with option_scid_alias must not allow HTLCs using the real short_channel_id
  if (channel.params.format.scidAlias) return false;
  return shortChannelIdOf(channel) === shortChannelId;
}
