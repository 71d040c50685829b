import { bytes32, bytesWithLength, fixedBytes, framed, point, signature, u32 } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';
import { nodeAddresses } from '../nodeAddress.js';

/**
 * What a node tells of itself (BOLT 7). Encodes to exactly the bytes it came from. `timestamp`: seconds.
 * `alias`: UTF-8 padded with zero bytes, chosen by a stranger: sanitize it before showing it.
 */
export const nodeAnnouncement = defineMessage({
  type: 'node_announcement',
  number: 257,
  fields: {
    signature,
    features: bytesWithLength,
    timestamp: u32,
    nodeId: point,
    rgbColor: fixedBytes(3),
    alias: bytes32,
    addresses: framed(nodeAddresses),
  },
  extension: 'raw',
});

export type NodeAnnouncement = MessageOf<typeof nodeAnnouncement>;
