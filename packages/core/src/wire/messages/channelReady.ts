import { bytes32, point, u64 } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';
import { tlv } from '../tlvFields.js';

/** The funding is deep enough (BOLT 2). `shortChannelId`: an alias by which the sender knows the channel. */
export const channelReady = defineMessage({
  type: 'channel_ready',
  number: 36,
  fields: { channelId: bytes32, secondPerCommitmentPoint: point },
  tlvs: { shortChannelId: tlv(1, u64) },
});

export type ChannelReady = MessageOf<typeof channelReady>;
