import { bytes32, signature, u64 } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';

/** The sender's two signatures for the `channel_announcement` (BOLT 7). */
export const announcementSignatures = defineMessage({
  type: 'announcement_signatures',
  number: 259,
  fields: { channelId: bytes32, shortChannelId: u64, nodeSignature: signature, bitcoinSignature: signature },
});

export type AnnouncementSignatures = MessageOf<typeof announcementSignatures>;
