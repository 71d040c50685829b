import { bytesToHex } from '@rivulet/core/bytes';
import type { Channel, Htlc } from '@rivulet/core/channel';

/** A channel by the hex of its id. */
export type ChannelKey = string;

export function channelKey(channelId: Uint8Array): ChannelKey {
  return bytesToHex(channelId);
}

/** One HTLC of one channel, of a direction that its user knows. */
export interface HtlcRef {
  readonly channelId: Uint8Array;
  readonly htlcId: bigint;
}

/** As the key of a map. */
export function htlcKey({ channelId, htlcId }: HtlcRef): string {
  return `${bytesToHex(channelId)}/${htlcId}`;
}

export function refOf(channel: Channel, htlc: Pick<Htlc, 'id'>): HtlcRef {
  return { channelId: channel.params.channelId, htlcId: htlc.id };
}
