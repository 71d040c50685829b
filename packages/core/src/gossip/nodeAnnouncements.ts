import { secp256k1 } from '../crypto/index.js';
import { type NodeAddress, type NodeAnnouncement, nodeAddress, writeAlone } from '../wire/index.js';
import { encodeAlias } from './alias.js';
import type { SignHash } from './channelAnnouncements.js';
import { GossipError } from './gossipError.js';
import { gossipHash, isSignedBy } from './gossipHash.js';
import { FUTURE_TOLERANCE_SECONDS } from './gossipTime.js';
import { invalid, type Verdict, valid } from './verdict.js';

/** All of a `node_announcement` that is to be seen without its key: ask this first, it costs nothing. */
export function checkNodeAnnouncement(
  message: NodeAnnouncement,
  { nowSeconds }: { readonly nowSeconds: number },
): Verdict {
  if (message.timestamp === 0) return invalid('timestamp_zero', 'ignore');
  if (message.timestamp > nowSeconds + FUTURE_TOLERANCE_SECONDS) return invalid('timestamp_future', 'ignore');
  return valid;
}

/** Whether the node signed it. One verification. Its features may forbid to route there: see unknownEvenBits. */
export function verifyNodeAnnouncement(message: NodeAnnouncement): Verdict {
  if (isSignedBy(message, message.nodeId)) return valid;
  // BOLT 7: node_announcement, receiving node: invalid node_id or signature: warn, close, do not process further
  return invalid(secp256k1.isPublicKey(message.nodeId) ? 'signature' : 'key_invalid', 'warn_and_close');
}

/** Whether a received announcement replaces the one that we have of the node (BOLT 7: a greater timestamp). */
export function isNewerNodeAnnouncement(
  known: Pick<NodeAnnouncement, 'timestamp'> | undefined,
  received: Pick<NodeAnnouncement, 'timestamp'>,
): boolean {
  return known === undefined || received.timestamp > known.timestamp;
}

/** Whether it may be told to others (BOLT 7: not with more than one DNS hostname). */
export function isNodeForwardable(message: NodeAnnouncement): boolean {
  return message.addresses.filter(({ type }) => type === 'dns').length <= 1;
}

/** An address that a node can be reached at. */
export type UsableAddress = Extract<NodeAddress, { readonly port: number }>;

/** The addresses of an announcement that count: no port 0, no Tor v2, nothing unknown, one hostname at most. */
export function usableAddresses(message: NodeAnnouncement): UsableAddress[] {
  const usable: UsableAddress[] = [];
  for (const address of message.addresses) {
    if (address.type === 'unknown' || address.type === 'torV2') continue;
    // BOLT 7: node_announcement, receiving node: ignore port 0, and the additional data behind a DNS hostname
    if (address.port === 0) continue;
    if (address.type === 'dns' && usable.some(({ type }) => type === 'dns')) continue;
    usable.push(address);
  }
  return usable;
}

/** What we tell of ourselves. */
export interface NodeAnnouncementFields {
  readonly nodeId: Uint8Array;
  /** Those of the context `node`: see featuresFor. */
  readonly features: Uint8Array;
  /** Seconds; see nextTimestamp. */
  readonly timestamp: number;
  /** Any text: what does not fit in 32 bytes is cut off. */
  readonly alias: string;
  /** Red, green, blue. */
  readonly rgbColor: Uint8Array;
  /** In any order; an address that is given twice is announced once. */
  readonly addresses: readonly UsableAddress[];
}

/**
 * A signed `node_announcement` of our own.
 * @throws GossipError `announcement_invalid` for timestamp 0, port 0 or a second hostname; WireError or CodecError
 * when a field has the wrong size.
 */
export function createNodeAnnouncement(fields: NodeAnnouncementFields, sign: SignHash): NodeAnnouncement {
  if (fields.timestamp === 0) {
    throw new GossipError('announcement_invalid', 'a node_announcement needs a timestamp above 0');
  }
  const unsigned: NodeAnnouncement = {
    type: 'node_announcement',
    signature: new Uint8Array(64),
    features: fields.features,
    timestamp: fields.timestamp,
    nodeId: fields.nodeId,
    rgbColor: fields.rgbColor,
    alias: encodeAlias(fields.alias),
    addresses: orderedAddresses(fields.addresses),
  };
  return { ...unsigned, signature: sign(gossipHash(unsigned)) };
}

/** BOLT 7: node_announcement, origin node: ascending order, no port 0, at most one DNS hostname. */
function orderedAddresses(addresses: readonly UsableAddress[]): NodeAddress[] {
  if (addresses.some(({ port }) => port === 0)) {
    throw new GossipError(
      'announcement_invalid',
      'an address to be announced has port 0: give its real port',
    );
  }
  const byBytes = new Map(addresses.map((address) => [writeAlone(nodeAddress, address).join(), address]));
  const distinct = [...byBytes.values()];
  if (distinct.filter(({ type }) => type === 'dns').length > 1) {
    throw new GossipError('announcement_invalid', 'only one hostname can be announced: choose one of them');
  }
  const descriptors = { ipv4: 1, ipv6: 2, torV3: 4, dns: 5 } as const;
  return distinct.sort((a, b) => descriptors[a.type] - descriptors[b.type]);
}
