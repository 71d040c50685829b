import { randomFillSync } from 'node:crypto';
import { hexToBytes } from '@rivulet/core/bytes';
import type { GossipStore } from './gossipStore.js';

/** A message of the length and with the timestamp of a `channel_update`; the rest is random. */
export function fakeUpdate(timestamp: number): Uint8Array {
  const message = randomFillSync(new Uint8Array(138));
  new DataView(message.buffer).setUint32(106, timestamp);
  return message;
}

/** The same for a `channel_announcement`. */
export function fakeChannel(shortChannelId: bigint) {
  return {
    shortChannelId,
    announcement: randomFillSync(new Uint8Array(432)),
    fundingTxid: randomFillSync(new Uint8Array(32)),
    capacitySat: 1_000_000n + (shortChannelId & 0xffffn),
    knownSince: 1_700_000_000,
  };
}

/** The same for a `node_announcement`. */
export function fakeNode(nodeId: string, timestamp: number) {
  const message = new Uint8Array(200).fill(7);
  message[66] = 0;
  message[67] = 5;
  new DataView(message.buffer).setUint32(66 + 2 + 5, timestamp);
  message.set(hexToBytes(nodeId), 66 + 2 + 5 + 4);
  return { nodeId, message, timestamp };
}

export function nodeIdOf(n: number): string {
  return `02${n.toString(16).padStart(64, '0')}`;
}

export function loaded(store: GossipStore) {
  const channels: bigint[] = [];
  const nodes: Uint8Array[] = [];
  store.load({
    channel: (channel) => channels.push(channel.shortChannelId),
    node: (nodeId) => nodes.push(nodeId),
  });
  return { channels, nodes };
}
