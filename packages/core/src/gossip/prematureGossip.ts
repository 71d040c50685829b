import { bytesToHex } from '../bytes/index.js';
import { type ChannelUpdate, encodeMessage, type NodeAnnouncement } from '../wire/index.js';

/** A message that waits for its channel, and who sent it. */
export interface PrematureMessage<M> {
  readonly peer: string;
  readonly message: M;
}

export interface PrematureGossipOptions {
  /** Bytes of messages that are kept for one peer. */
  readonly maxPeerBytes?: number;
  /** And for all of them together. */
  readonly maxBytes?: number;
}

type Waiting = ChannelUpdate | NodeAnnouncement;

interface Entry {
  readonly peer: string;
  readonly key: string;
  readonly message: Waiting;
  readonly bytes: number;
}

/** What an entry takes besides the bytes of its message, roughly. */
const ENTRY_BYTES = 300;

/** The longest message that is kept: several times what any of the network has. */
const MAX_MESSAGE_BYTES = 4096;

/**
 * Holds messages that cannot be judged yet: a `channel_update` or `node_announcement` whose channel is not known or
 * is being verified. Nobody has checked their signatures, so all of it may be made up: what one peer sends can only
 * push out what the same peer sent, oldest first, and where all together are too many, the peer that has the most
 * gives way.
 */
export class PrematureGossip {
  readonly #maxPeerBytes: number;
  readonly #maxBytes: number;
  readonly #byKey = new Map<string, Set<Entry>>();
  /** Each peer's entries, oldest first. */
  readonly #byPeer = new Map<string, { entries: Set<Entry>; bytes: number }>();
  #bytes = 0;
  #size = 0;

  constructor(options: PrematureGossipOptions = {}) {
    this.#maxPeerBytes = options.maxPeerBytes ?? 256 * 1024;
    this.#maxBytes = options.maxBytes ?? 4 * 1024 * 1024;
  }

  /** How many messages are held. */
  get size(): number {
    return this.#size;
  }

  /** What they take, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Keeps a message; false where it is too long to be kept (BOLT 7: MAY choose NOT to queue such). */
  add(peer: string, message: Waiting): boolean {
    const key =
      message.type === 'channel_update' ? channelKey(message.shortChannelId) : nodeKey(message.nodeId);
    const { length } = encodeMessage(message);
    if (length > MAX_MESSAGE_BYTES) return false;
    const bytes = length + ENTRY_BYTES;
    const entry: Entry = { peer, key, message, bytes };
    const ofPeer = this.#byPeer.get(peer) ?? { entries: new Set(), bytes: 0 };
    this.#byPeer.set(peer, ofPeer);
    ofPeer.entries.add(entry);
    ofPeer.bytes += bytes;
    const ofKey = this.#byKey.get(key) ?? new Set();
    this.#byKey.set(key, ofKey);
    ofKey.add(entry);
    this.#bytes += bytes;
    this.#size++;
    while (ofPeer.bytes > this.#maxPeerBytes) this.#removeOldest(peer);
    while (this.#bytes > this.#maxBytes) this.#removeOldest(this.#largestPeer());
    return true;
  }

  /** Takes out the updates that waited for a channel, in the order of their arrival. */
  take(shortChannelId: bigint): PrematureMessage<ChannelUpdate>[] {
    return this.#take(channelKey(shortChannelId)) as PrematureMessage<ChannelUpdate>[];
  }

  /** Takes out the announcements that waited for a channel of their node. @param nodeId 33 bytes. */
  takeNode(nodeId: Uint8Array): PrematureMessage<NodeAnnouncement>[] {
    return this.#take(nodeKey(nodeId)) as PrematureMessage<NodeAnnouncement>[];
  }

  /** Forgets what a peer sent: it is gone, or is not to be believed. */
  drop(peer: string): void {
    for (const entry of this.#byPeer.get(peer)?.entries ?? []) this.#remove(entry);
  }

  #take(key: string): PrematureMessage<Waiting>[] {
    const entries = [...(this.#byKey.get(key) ?? [])];
    for (const entry of entries) this.#remove(entry);
    return entries.map(({ peer, message }) => ({ peer, message }));
  }

  #remove(entry: Entry): void {
    const ofPeer = this.#byPeer.get(entry.peer);
    if (ofPeer?.entries.delete(entry) !== true) return;
    ofPeer.bytes -= entry.bytes;
    if (ofPeer.entries.size === 0) this.#byPeer.delete(entry.peer);
    const ofKey = this.#byKey.get(entry.key);
    ofKey?.delete(entry);
    if (ofKey?.size === 0) this.#byKey.delete(entry.key);
    this.#bytes -= entry.bytes;
    this.#size--;
  }

  #removeOldest(peer: string): void {
    for (const entry of this.#byPeer.get(peer)?.entries ?? []) {
      this.#remove(entry);
      return;
    }
  }

  #largestPeer(): string {
    let largest = '';
    let most = -1;
    for (const [peer, { bytes }] of this.#byPeer) {
      if (bytes <= most) continue;
      largest = peer;
      most = bytes;
    }
    return largest;
  }
}

function channelKey(shortChannelId: bigint): string {
  return `channel ${shortChannelId}`;
}

function nodeKey(nodeId: Uint8Array): string {
  return `node ${bytesToHex(nodeId)}`;
}
