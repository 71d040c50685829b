/** 0: the channel_update of `node_id_1`; 1: that of `node_id_2` (BOLT 7, `channel_flags`, bit 0). */
export type GossipDirection = 0 | 1;

/** A channel as it is stored. Messages are whole, with their two bytes of type. */
export interface GossipChannel {
  /** Below 2^63. */
  readonly shortChannelId: bigint;
  /** `channel_announcement`. */
  readonly announcement: Uint8Array;
  /** The latest `channel_update` of each direction. */
  readonly updates: readonly [Uint8Array | undefined, Uint8Array | undefined];
  /** Internal byte order; `undefined` where nobody looked on chain. */
  readonly fundingTxid: Uint8Array | undefined;
  /** `undefined` where nobody looked on chain. */
  readonly capacitySat: bigint | undefined;
  /** When we learned of it, in seconds. */
  readonly knownSince: number;
  /** The block that spent the funding output. */
  readonly spentHeight: number | undefined;
}

export type NewGossipChannel = Omit<GossipChannel, 'updates' | 'spentHeight'>;

export interface GossipUpdate {
  readonly shortChannelId: bigint;
  readonly direction: GossipDirection;
  /** `channel_update`, whole. */
  readonly message: Uint8Array;
  /** Seconds. */
  readonly timestamp: number;
  /** As in `channel_update_checksums` (BOLT 7). */
  readonly checksum: number;
}

export interface GossipNode {
  /** Lower-case hex. */
  readonly nodeId: string;
  /** `node_announcement`, whole. */
  readonly message: Uint8Array;
  /** Seconds. */
  readonly timestamp: number;
}

/** What is known of a channel without reading the disk. Of an update that is not there, all is 0. */
export interface ChannelSummary {
  readonly shortChannelId: bigint;
  /** When we learned of it, in seconds. */
  readonly knownSince: number;
  readonly timestamps: readonly [number, number];
  readonly checksums: readonly [number, number];
}

/** A block of the chain, as far as the channels' funding outputs were looked for in it. */
export interface GossipBlock {
  readonly height: number;
  /** Internal byte order. */
  readonly hash: Uint8Array;
}

/**
 * What was learned of the network: raw messages, so that they can be passed on as they came. None of it is
 * money: it may be lost and is then fetched anew, so that no failure of the disk is an error to the caller.
 * Times and sums of all channels, and the times of all nodes, are kept in memory.
 *
 * Writes are collected. Reads see them at once; the disk sees them at `flush`, by itself after some hundred, and
 * at `close`.
 */
export interface GossipStore {
  readonly channelCount: number;
  readonly nodeCount: number;
  /** Writes that a crash would lose. */
  readonly pendingWrites: number;

  /** Reads all there is, once, in chunks: channels by ascending id, then nodes. */
  load(visitor: {
    channel(channel: GossipChannel): void;
    node(nodeId: Uint8Array, message: Uint8Array): void;
  }): void;

  hasChannel(shortChannelId: bigint): boolean;
  /** Of the latest `channel_update` of a direction; 0 for none. */
  updateTimestamp(shortChannelId: bigint, direction: GossipDirection): number;
  /** Of the latest `node_announcement`; 0 for none. */
  nodeTimestamp(nodeId: string): number;
  /**
   * Channels of ids from `first` on, ascending. Pull-based: what is put and removed meanwhile is seen if it lies
   * ahead.
   */
  summaries(first: bigint): IterableIterator<ChannelSummary>;
  /** At most `limit` nodes that have announced themselves, with ids greater than this, ascending. */
  nodesAfter(nodeId: string, limit: number): { readonly nodeId: string; readonly timestamp: number }[];
  getChannel(shortChannelId: bigint): GossipChannel | undefined;
  /** The `node_announcement`. */
  getNode(nodeId: string): Uint8Array | undefined;

  /**
   * Adds a channel; one of the same id is replaced with its updates.
   * @throws StorageError `out_of_range` for an id of 2^63 or more.
   */
  putChannel(channel: NewGossipChannel): void;
  /** Replaces a direction's update. Without its channel nothing happens. */
  putUpdate(update: GossipUpdate): void;
  putNode(node: GossipNode): void;
  setSpent(shortChannelId: bigint, height: number | undefined): void;
  removeChannel(shortChannelId: bigint): void;
  removeNode(nodeId: string): void;

  /** The last blocks, ascending: funding outputs that were spent up to there are marked. */
  loadBlocks(): GossipBlock[];
  putBlock(block: GossipBlock): void;
  /** Forgets this height and all above it, for a reorganisation. */
  removeBlocksFrom(height: number): void;

  /** Writes what was collected. A full disk leaves it collected, up to a bound. */
  flush(): void;
  /** Flushes and lets go of the file. A second call does nothing. */
  close(): void;
}

/** How many blocks are kept: a reorganisation deeper than this is not followed. */
export const GOSSIP_BLOCKS_KEPT = 144;
