import { bytesToHex, equalBytes } from '@rivulet/core/bytes';
import {
  channelUpdateChecksum,
  type GossipSource,
  isChannelStale,
  updateDirection,
} from '@rivulet/core/gossip';
import type { NetworkGraph } from '@rivulet/core/graph';
import type { Outpoint } from '@rivulet/core/tx';
import {
  type ChannelAnnouncement,
  type ChannelUpdate,
  encodeMessage,
  fromShortChannelId,
  type NodeAnnouncement,
  type UnknownMessage,
} from '@rivulet/core/wire';
import type { ChannelSummary, GossipChannel, GossipStore } from '@rivulet/storage';
import { FundingIndex } from './fundingIndex.js';
import { announcedNodes, asSent, readAnnouncement, readNode, readUpdate } from './rawGossip.js';
import { RecentSet } from './recentSet.js';

/** What was found on chain of a channel. */
export interface Funding {
  /** Internal byte order. */
  readonly txid: Uint8Array;
  readonly capacitySat: bigint;
}

/** For a channel whose funding nobody looked at: its `htlc_maximum_msat` alone is its limit. */
const UNKNOWN_CAPACITY_SAT = 21_000_000n * 100_000_000n;

/** How many pruned channels are remembered, so that they do not come back half alive. */
const MAX_PRUNED = 100_000;

/** The network as it is believed: graph and store, always changed together. Everything given to it was checked. */
export class NetworkView {
  readonly graph: NetworkGraph;
  readonly store: GossipStore;
  readonly #ourNodeId: Uint8Array;
  readonly #fundings = new FundingIndex();
  /** Channels whose funding output is not in the chain any more, and since which block. */
  readonly #gone = new Map<bigint, number>();
  readonly #pruned = new RecentSet(MAX_PRUNED);

  constructor(given: { graph: NetworkGraph; store: GossipStore; ourNodeId: Uint8Array }) {
    this.graph = given.graph;
    this.store = given.store;
    this.#ourNodeId = given.ourNodeId;
  }

  /** Fills the graph from the store, but for what grew stale. @returns the latest timestamp of a node that is not in the future, or 0. */
  load(nowSeconds: number): number {
    const forgotten: bigint[] = [];
    const strangers: string[] = [];
    let latest = 0;
    this.store.load({
      channel: (channel) => {
        try {
          this.#loadChannel(channel, nowSeconds, forgotten);
        } catch {
          // Bytes that no longer say what they said: they are fetched again.
          forgotten.push(channel.shortChannelId);
        }
      },
      node: (nodeId, message) => {
        try {
          const node = readNode(message);
          if (!this.graph.setNode(nodeId, node)) strangers.push(bytesToHex(nodeId));
          if (node.timestamp > latest && node.timestamp <= nowSeconds) latest = node.timestamp;
        } catch {
          strangers.push(bytesToHex(nodeId));
        }
      },
    });
    for (const shortChannelId of forgotten) this.store.removeChannel(shortChannelId);
    for (const nodeId of strangers) this.store.removeNode(nodeId);
    return latest;
  }

  #loadChannel(channel: GossipChannel, nowSeconds: number, forgotten: bigint[]): void {
    const { shortChannelId, knownSince, fundingTxid, capacitySat, spentHeight } = channel;
    const { features, nodeId1, nodeId2 } = readAnnouncement(channel.announcement);
    const updates = channel.updates.map((update) => update && readUpdate(update));
    const timestamps = [updates[0]?.timestamp ?? 0, updates[1]?.timestamp ?? 0] as const;
    const stale = isChannelStale({ timestamps, knownSinceSeconds: knownSince, nowSeconds });
    if (stale && !this.isOurs({ nodeId1, nodeId2 })) {
      forgotten.push(shortChannelId);
      return;
    }
    this.graph.addChannel({
      shortChannelId,
      nodeId1,
      nodeId2,
      capacitySat: capacitySat ?? UNKNOWN_CAPACITY_SAT,
      features,
    });
    for (const update of updates) if (update !== undefined) this.graph.updateChannel(update);
    if (fundingTxid !== undefined)
      this.#fundings.add(outpointOf(shortChannelId, fundingTxid), shortChannelId);
    if (spentHeight !== undefined) this.#gone.set(shortChannelId, spentHeight);
  }

  /** Whether a channel needs no announcement any more. */
  hasChannel(shortChannelId: bigint): boolean {
    return this.store.hasChannel(shortChannelId) && this.graph.hasChannel(shortChannelId);
  }

  /** What queries tell of it. */
  summary(shortChannelId: bigint): ChannelSummary | undefined {
    const summary = this.store.summaries(shortChannelId).next().value as ChannelSummary | undefined;
    return summary?.shortChannelId === shortChannelId ? summary : undefined;
  }

  /** Whether its funding output was spent, or a reorganisation took it away. */
  isGone(shortChannelId: bigint): boolean {
    return this.#gone.has(shortChannelId);
  }

  /** Whether it was forgotten because one of its ends fell silent. */
  wasPruned(shortChannelId: bigint): boolean {
    return this.#pruned.has(shortChannelId);
  }

  isOurs({ nodeId1, nodeId2 }: { readonly nodeId1: Uint8Array; readonly nodeId2: Uint8Array }): boolean {
    return equalBytes(nodeId1, this.#ourNodeId) || equalBytes(nodeId2, this.#ourNodeId);
  }

  addChannel(
    announcement: ChannelAnnouncement,
    about: { funding: Funding | undefined; nowSeconds: number },
  ): void {
    const { shortChannelId, nodeId1, nodeId2, features } = announcement;
    const { funding } = about;
    const capacitySat = funding?.capacitySat ?? UNKNOWN_CAPACITY_SAT;
    this.graph.addChannel({ shortChannelId, nodeId1, nodeId2, capacitySat, features });
    this.store.putChannel({
      shortChannelId,
      announcement: encodeMessage(announcement),
      fundingTxid: funding?.txid,
      capacitySat: funding?.capacitySat,
      knownSince: about.nowSeconds,
    });
    this.#gone.delete(shortChannelId);
    this.#pruned.delete(shortChannelId);
    if (funding !== undefined) this.#fundings.add(outpointOf(shortChannelId, funding.txid), shortChannelId);
  }

  /** @returns whether it is the channel's first update. */
  applyUpdate(update: ChannelUpdate, message: Uint8Array): boolean {
    const { shortChannelId, timestamp } = update;
    const direction = updateDirection(update);
    const first =
      this.store.updateTimestamp(shortChannelId, 0) === 0 &&
      this.store.updateTimestamp(shortChannelId, 1) === 0;
    this.graph.updateChannel(readUpdate(message));
    const checksum = channelUpdateChecksum(update);
    this.store.putUpdate({ shortChannelId, direction, message, timestamp, checksum });
    return first;
  }

  /** @param forwardable whether it may be told to others, and so is stored. */
  applyNode(announcement: NodeAnnouncement, stored: { message: Uint8Array; forwardable: boolean }): void {
    const { nodeId, features, timestamp, alias } = announcement;
    this.graph.setNode(nodeId, { features, timestamp, alias });
    if (!stored.forwardable) return;
    this.store.putNode({ nodeId: bytesToHex(nodeId), message: stored.message, timestamp });
  }

  removeChannel(shortChannelId: bigint): void {
    const txid = this.store.getChannel(shortChannelId)?.fundingTxid;
    if (txid !== undefined) this.#fundings.remove(outpointOf(shortChannelId, txid), shortChannelId);
    const channel = this.graph.getChannel(shortChannelId);
    this.graph.removeChannel(shortChannelId);
    this.store.removeChannel(shortChannelId);
    this.#gone.delete(shortChannelId);
    if (channel === undefined) return;
    // BOLT 7, pruning: nodes without open channels MAY be pruned. The graph has done so.
    for (const nodeId of [channel.nodeId1, channel.nodeId2]) {
      if (!this.graph.hasNode(nodeId)) this.store.removeNode(bytesToHex(nodeId));
    }
  }

  /** The channels whose funding output this is. */
  findFunded(outpoint: Outpoint): bigint[] {
    return this.#fundings.find(outpoint).filter((shortChannelId) => {
      const { fundingTxid } = this.store.getChannel(shortChannelId) ?? {};
      const { outputIndex } = fromShortChannelId(shortChannelId);
      return (
        fundingTxid !== undefined && equalBytes(fundingTxid, outpoint.txid) && outputIndex === outpoint.index
      );
    });
  }

  setGone(shortChannelId: bigint, height: number): void {
    this.#gone.set(shortChannelId, height);
    this.store.setSpent(shortChannelId, height);
  }

  setBack(shortChannelId: bigint): void {
    this.#gone.delete(shortChannelId);
    this.store.setSpent(shortChannelId, undefined);
  }

  /** The channels that are gone, and since which block. */
  gone(): readonly (readonly [shortChannelId: bigint, height: number])[] {
    return [...this.#gone];
  }

  /** Channels of which one end has said nothing for two weeks; ours are not among them. */
  staleChannels(nowSeconds: number): bigint[] {
    const stale: bigint[] = [];
    for (const { shortChannelId, timestamps, knownSince } of this.store.summaries(0n)) {
      if (!isChannelStale({ timestamps, knownSinceSeconds: knownSince, nowSeconds })) continue;
      const channel = this.graph.getChannel(shortChannelId);
      if (channel === undefined || !this.isOurs(channel)) stale.push(shortChannelId);
    }
    return stale;
  }

  /** Forgets a stale channel, and remembers that it was one. */
  prune(shortChannelId: bigint): void {
    this.removeChannel(shortChannelId);
    this.#pruned.add(shortChannelId);
  }

  /** Forgets all channels: what happened to them on chain cannot be told any more. */
  removeAll(): void {
    const all = Array.from(this.store.summaries(0n), ({ shortChannelId }) => shortChannelId);
    for (const shortChannelId of all) this.removeChannel(shortChannelId);
  }

  /** A pruned channel lives again: it may be announced again. */
  revive(shortChannelId: bigint): void {
    this.#pruned.delete(shortChannelId);
  }

  /** What queries are answered from. */
  readonly source: GossipSource<UnknownMessage> = {
    channelsFrom: (shortChannelId, limit) => {
      const page = [];
      for (const summary of this.store.summaries(shortChannelId)) {
        // BOLT 7: gossip_timestamp_filter, receiver: the funding output has been spent: SHOULD NOT send
        if (this.#gone.has(summary.shortChannelId)) continue;
        page.push(summary);
        if (page.length === limit) break;
      }
      return page;
    },
    channel: (shortChannelId) => {
      if (this.#gone.has(shortChannelId)) return undefined;
      const channel = this.store.getChannel(shortChannelId);
      if (channel === undefined) return undefined;
      const [update1, update2] = channel.updates;
      return {
        announcement: asSent(channel.announcement),
        updates: [update1 && asSent(update1), update2 && asSent(update2)],
        timestamps: [
          update1 ? readUpdate(update1).timestamp : 0,
          update2 ? readUpdate(update2).timestamp : 0,
        ],
        nodeIds: announcedNodes(channel.announcement),
      };
    },
    nodesFrom: (nodeId, limit) => this.store.nodesAfter(nodeId, limit),
    node: (nodeId) => {
      const message = this.store.getNode(nodeId);
      return message && asSent(message);
    },
  };
}

function outpointOf(shortChannelId: bigint, txid: Uint8Array): Outpoint {
  return { txid, index: fromShortChannelId(shortChannelId).outputIndex };
}
