import { bytes32, bytesWithLength, point, signature, u64 } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';

/** Proves that a channel exists between two nodes (BOLT 7). Encodes to exactly the bytes it came from. */
export const channelAnnouncement = defineMessage({
  type: 'channel_announcement',
  number: 256,
  fields: {
    nodeSignature1: signature,
    nodeSignature2: signature,
    bitcoinSignature1: signature,
    bitcoinSignature2: signature,
    features: bytesWithLength,
    chainHash: bytes32,
    shortChannelId: u64,
    nodeId1: point,
    nodeId2: point,
    bitcoinKey1: point,
    bitcoinKey2: point,
  },
  extension: 'raw',
});

export type ChannelAnnouncement = MessageOf<typeof channelAnnouncement>;
