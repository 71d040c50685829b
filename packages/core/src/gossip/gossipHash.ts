import { secp256k1, sha256d } from '../crypto/index.js';
import {
  type ChannelAnnouncement,
  type ChannelUpdate,
  encodeMessage,
  gossipSignedBytes,
  type NodeAnnouncement,
} from '../wire/index.js';

/** The three messages of BOLT 7 that are relayed. */
export type GossipMessage = ChannelAnnouncement | ChannelUpdate | NodeAnnouncement;

/** The 32 bytes that the signatures of a gossip message sign: sha256d of all that follows them (BOLT 7). */
export function gossipHash(message: GossipMessage): Uint8Array {
  return sha256d(gossipSignedBytes(encodeMessage(message)));
}

/** Whether a message has one valid signature, of this node, over its hash. */
export function isSignedBy(message: ChannelUpdate | NodeAnnouncement, nodeId: Uint8Array): boolean {
  return secp256k1.verify(message.signature, gossipHash(message), nodeId);
}
