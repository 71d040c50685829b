import { compareBytes, equalBytes } from '../bytes/index.js';
import { secp256k1 } from '../crypto/index.js';
import { fundingScript } from '../tx/index.js';
import { type ChannelAnnouncement, unknownEvenBits } from '../wire/index.js';
import { GossipError } from './gossipError.js';
import { gossipHash } from './gossipHash.js';
import { invalid, type Verdict, valid } from './verdict.js';

/**
 * All that can be told of a `channel_announcement` without the chain: our chain, the order of its ids, its
 * four signatures, its features. Costs up to four verifications: look whether the channel is known first.
 * `features_unknown` comes last: then all else of it is right.
 */
export function verifyChannelAnnouncement(
  message: ChannelAnnouncement,
  { chainHash }: { readonly chainHash: Uint8Array },
): Verdict {
  // BOLT 7: channel_announcement, receiving node: unknown chain_hash: MUST ignore
  if (!equalBytes(message.chainHash, chainHash)) return invalid('chain_unknown', 'ignore');
  // BOLT 7: channel_announcement, origin node: node_id_1 is the lexicographically-lesser
  if (compareBytes(message.nodeId1, message.nodeId2) >= 0) return invalid('keys_order', 'ignore');
  // BOLT 7: channel_announcement, receiving node: MUST verify the signatures; warn, close and ignore
  const hash = gossipHash(message);
  const signedBy = (
    [
      [message.nodeSignature1, message.nodeId1],
      [message.nodeSignature2, message.nodeId2],
      [message.bitcoinSignature1, message.bitcoinKey1],
      [message.bitcoinSignature2, message.bitcoinKey2],
    ] as const
  ).every(([signature, key]) => secp256k1.verify(signature, hash, key));
  if (!signedBy) return invalid('signature', 'warn_and_close');
  // BOLT 7: channel_announcement, receiving node: unknown even bit: MUST NOT route through the channel
  if (unknownEvenBits(message.features).length > 0) return invalid('features_unknown', 'ignore');
  return valid;
}

/** The P2WSH script that the output at `shortChannelId` must have (BOLT 3, funding transaction output). */
export function fundingScriptOf(announcement: ChannelAnnouncement): Uint8Array {
  return fundingScript(announcement.bitcoinKey1, announcement.bitcoinKey2);
}

/**
 * Whether two valid announcements of one funding output name different nodes: keys have leaked, and both pairs
 * of nodes are to be blacklisted (BOLT 7: channel_announcement, receiving node).
 */
export function isConflictingAnnouncement(
  known: ChannelAnnouncement,
  received: ChannelAnnouncement,
): boolean {
  return (
    known.shortChannelId === received.shortChannelId &&
    !(equalBytes(known.nodeId1, received.nodeId1) && equalBytes(known.nodeId2, received.nodeId2))
  );
}

/** Signs 32 bytes: 64 bytes compact, low S. */
export type SignHash = (hash: Uint8Array) => Uint8Array;

/** One of the two nodes of a channel that is to be announced. */
export interface AnnouncingEnd {
  readonly nodeId: Uint8Array;
  /** Its `funding_pubkey`. */
  readonly bitcoinKey: Uint8Array;
  readonly signWithNodeKey: SignHash;
  readonly signWithBitcoinKey: SignHash;
}

const noSignature = new Uint8Array(64);

/**
 * A `channel_announcement` signed by both nodes, which may come in either order. Each signer is called once.
 * @throws GossipError `announcement_invalid` when both nodes are the same.
 */
export function createChannelAnnouncement(fields: {
  readonly chainHash: Uint8Array;
  readonly shortChannelId: bigint;
  readonly features?: Uint8Array;
  readonly ends: readonly [AnnouncingEnd, AnnouncingEnd];
}): ChannelAnnouncement {
  const [a, b] = fields.ends;
  const order = compareBytes(a.nodeId, b.nodeId);
  if (order === 0) {
    throw new GossipError('announcement_invalid', 'a channel to be announced has the same node at both ends');
  }
  const [first, second] = order < 0 ? [a, b] : [b, a];
  const unsigned: ChannelAnnouncement = {
    type: 'channel_announcement',
    nodeSignature1: noSignature,
    nodeSignature2: noSignature,
    bitcoinSignature1: noSignature,
    bitcoinSignature2: noSignature,
    features: fields.features ?? new Uint8Array(0),
    chainHash: fields.chainHash,
    shortChannelId: fields.shortChannelId,
    nodeId1: first.nodeId,
    nodeId2: second.nodeId,
    bitcoinKey1: first.bitcoinKey,
    bitcoinKey2: second.bitcoinKey,
  };
  const hash = gossipHash(unsigned);
  return {
    ...unsigned,
    nodeSignature1: first.signWithNodeKey(hash),
    nodeSignature2: second.signWithNodeKey(hash),
    bitcoinSignature1: first.signWithBitcoinKey(hash),
    bitcoinSignature2: second.signWithBitcoinKey(hash),
  };
}
