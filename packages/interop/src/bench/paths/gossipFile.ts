import { bytesToHex } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { channelUpdateChecksum } from '@rivulet/core/gossip';
import { type ChannelUpdate, encodeMessage } from '@rivulet/core/wire';
import { openGossipStore } from '@rivulet/storage';
import type { KeyedGraph } from './keyedGraph.js';

const timestamp = 1_770_000_000;
const noSignature = new Uint8Array(64);

/** Writes a network as a node of Rivulet stores it; signatures, which loading does not look at, are zeros. */
export function writeGossipFile(
  graph: KeyedGraph,
  { path, chainHash }: { path: string; chainHash: Uint8Array },
): void {
  const store = openGossipStore({ path, warn: (message) => console.error(message) });
  for (const { shortChannelId, nodes, directions, capacitySat } of graph.channels) {
    const [nodeId1, nodeId2] = nodes.map((node) => graph.nodeIds[node] as Uint8Array) as [
      Uint8Array,
      Uint8Array,
    ];
    const announcement = encodeMessage({
      type: 'channel_announcement',
      nodeSignature1: noSignature,
      nodeSignature2: noSignature,
      bitcoinSignature1: noSignature,
      bitcoinSignature2: noSignature,
      features: new Uint8Array(0),
      chainHash,
      shortChannelId,
      nodeId1,
      nodeId2,
      bitcoinKey1: nodeId1,
      bitcoinKey2: nodeId2,
    });
    store.putChannel({
      shortChannelId,
      announcement,
      fundingTxid: sha256(announcement),
      capacitySat: BigInt(capacitySat),
      knownSince: timestamp,
    });
    for (const direction of [0, 1] as const) {
      const terms = directions[direction];
      const update: ChannelUpdate = {
        type: 'channel_update',
        signature: noSignature,
        chainHash,
        shortChannelId,
        timestamp,
        messageFlags: 1,
        channelFlags: direction | (terms.enabled ? 0 : 2),
        cltvExpiryDelta: terms.cltvExpiryDelta,
        htlcMinimumMsat: BigInt(terms.htlcMinimumMsat),
        feeBaseMsat: terms.feeBaseMsat,
        feeProportionalMillionths: terms.feeProportionalMillionths,
        htlcMaximumMsat: BigInt(terms.htlcMaximumMsat),
      };
      store.putUpdate({
        shortChannelId,
        direction,
        message: encodeMessage(update),
        timestamp,
        checksum: channelUpdateChecksum(update),
      });
    }
  }
  for (const [number, nodeId] of graph.nodeIds.entries()) {
    const alias = new Uint8Array(32);
    alias.set(new TextEncoder().encode(`node ${number}`));
    const message = encodeMessage({
      type: 'node_announcement',
      signature: noSignature,
      features: Uint8Array.of(0x08, 0xa2, 0xa1),
      timestamp,
      nodeId,
      rgbColor: new Uint8Array(3),
      alias,
      addresses: [],
    });
    store.putNode({ nodeId: bytesToHex(nodeId), message, timestamp });
  }
  store.close();
}
