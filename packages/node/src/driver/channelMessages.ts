import type { ChannelMessage } from '@rivulet/core/channel';
import type { Message } from '@rivulet/core/wire';

const channelMessageTypes: ReadonlySet<string> = new Set<ChannelMessage['type']>([
  'channel_ready',
  'channel_reestablish',
  'announcement_signatures',
  'shutdown',
  'closing_signed',
  'closing_complete',
  'closing_sig',
  'update_add_htlc',
  'update_fulfill_htlc',
  'update_fail_htlc',
  'update_fail_malformed_htlc',
  'update_fee',
  'commitment_signed',
  'revoke_and_ack',
  'error',
  'warning',
]);

/** Messages that begin a channel; they have a temporary_channel_id. */
export type OpeningMessage = Extract<
  Message,
  { type: 'open_channel' | 'accept_channel' | 'funding_created' | 'funding_signed' }
>;

export function isChannelMessage(message: Message): message is ChannelMessage {
  return channelMessageTypes.has(message.type);
}

export function isOpeningMessage(message: Message): message is OpeningMessage {
  return (
    message.type === 'open_channel' ||
    message.type === 'accept_channel' ||
    message.type === 'funding_created' ||
    message.type === 'funding_signed'
  );
}

/** BOLT 1: a channel_id of zeros in an error or a warning means all channels with the peer. */
export function isForAllChannels(channelId: Uint8Array): boolean {
  return channelId.every((byte) => byte === 0);
}
