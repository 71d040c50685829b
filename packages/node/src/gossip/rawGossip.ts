import { bytesToHex } from '@rivulet/core/bytes';
import type { GraphPolicyUpdate } from '@rivulet/core/graph';
import type { UnknownMessage } from '@rivulet/core/wire';

/*
 * Reads of stored messages what the graph and the answers to queries need, at their fixed places: loading 50,000
 * channels and 100,000 updates by decoding them whole would take seconds. They were decoded once, when they came.
 */

const SIGNATURE = 64;
const TYPE = 2;

function view(message: Uint8Array): DataView {
  return new DataView(message.buffer, message.byteOffset, message.length);
}

/** What a stored `channel_announcement` says of its channel. The arrays share memory with it. */
export function readAnnouncement(message: Uint8Array): {
  readonly features: Uint8Array;
  readonly nodeId1: Uint8Array;
  readonly nodeId2: Uint8Array;
} {
  const features = TYPE + 4 * SIGNATURE + 2;
  const end = features + view(message).getUint16(features - 2);
  const nodes = end + 32 + 8;
  return {
    features: message.subarray(features, end),
    nodeId1: message.subarray(nodes, nodes + 33),
    nodeId2: message.subarray(nodes + 33, nodes + 66),
  };
}

/** The ids of both nodes of a stored `channel_announcement`, in hex. */
export function announcedNodes(message: Uint8Array): [string, string] {
  const { nodeId1, nodeId2 } = readAnnouncement(message);
  return [bytesToHex(nodeId1), bytesToHex(nodeId2)];
}

/** The terms that a stored `channel_update` sets. */
export function readUpdate(message: Uint8Array): GraphPolicyUpdate {
  const data = view(message);
  const at = TYPE + SIGNATURE + 32;
  const flags = data.getUint8(at + 13);
  return {
    shortChannelId: data.getBigUint64(at),
    timestamp: data.getUint32(at + 8),
    direction: (flags & 1) === 0 ? 0 : 1,
    disabled: (flags & 2) !== 0,
    cltvExpiryDelta: data.getUint16(at + 14),
    htlcMinimumMsat: data.getBigUint64(at + 16),
    feeBaseMsat: data.getUint32(at + 24),
    feeProportionalMillionths: data.getUint32(at + 28),
    htlcMaximumMsat: data.getBigUint64(at + 32),
  };
}

/** What a stored `node_announcement` says of its node. The arrays share memory with it. */
export function readNode(message: Uint8Array): {
  readonly features: Uint8Array;
  readonly timestamp: number;
  readonly alias: Uint8Array;
} {
  const data = view(message);
  const features = TYPE + SIGNATURE + 2;
  const end = features + data.getUint16(features - 2);
  const alias = end + 4 + 33 + 3;
  return {
    features: message.subarray(features, end),
    timestamp: data.getUint32(end),
    alias: message.subarray(alias, alias + 32),
  };
}

/** A stored message as it is sent: byte for byte, without being decoded first. */
export function asSent(message: Uint8Array): UnknownMessage {
  return { type: 'unknown', typeNumber: view(message).getUint16(0), payload: message.subarray(TYPE) };
}
