import { bytesToHex } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { channelUpdateChecksum } from '@rivulet/core/gossip';
import { encodeMessage } from '@rivulet/core/wire';
import { type GossipBlock, openGossipStore } from '@rivulet/storage';
import type { NetworkMessages } from './networkMessages.js';

/**
 * Writes a network as a node of Rivulet stores it.
 * @param tip up to which no funding output was spent; a node forgets a network of which that is not known.
 */
export function writeGossipFile(path: string, { channels, nodes }: NetworkMessages, tip?: GossipBlock): void {
  const store = openGossipStore({ path, warn: (message) => console.error(message) });
  for (const { announcement, capacitySat, updates } of channels) {
    const { shortChannelId } = announcement;
    const message = encodeMessage(announcement);
    store.putChannel({
      shortChannelId,
      announcement: message,
      fundingTxid: sha256(message),
      capacitySat,
      knownSince: updates[0].timestamp,
    });
    for (const direction of [0, 1] as const) {
      const update = updates[direction];
      store.putUpdate({
        shortChannelId,
        direction,
        message: encodeMessage(update),
        timestamp: update.timestamp,
        checksum: channelUpdateChecksum(update),
      });
    }
  }
  for (const node of nodes) {
    const { nodeId, timestamp } = node;
    store.putNode({ nodeId: bytesToHex(nodeId), message: encodeMessage(node), timestamp });
  }
  if (tip !== undefined) store.putBlock(tip);
  store.close();
}
