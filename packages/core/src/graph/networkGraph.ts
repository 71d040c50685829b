import { bytesToHex, compareBytes } from '../bytes/index.js';
import { type FeatureBits, unknownEvenBits } from '../wire/index.js';
import { Adjacency } from './adjacency.js';
import {
  atCltvDelta,
  atFeeBase,
  atFeeProportional,
  atMaximum,
  atMinimum,
  ChannelTable,
  policyDisabled,
  policyPresent,
  recordLength,
} from './channelTable.js';
import { GraphError } from './graphError.js';
import { grownCapacity, grownInt32, grownUint8 } from './growable.js';
import { NodeTable } from './nodeTable.js';

/** One end's terms for relaying into a channel, as the last `channel_update` says. */
export interface ChannelPolicy {
  /** Seconds since 1970. */
  readonly timestamp: number;
  readonly disabled: boolean;
  readonly cltvExpiryDelta: number;
  readonly htlcMinimumMsat: bigint;
  /** At most 2^53 - 1. */
  readonly htlcMaximumMsat: bigint;
  readonly feeBaseMsat: number;
  readonly feeProportionalMillionths: number;
}

export interface NewGraphChannel {
  readonly shortChannelId: bigint;
  /** The lesser node id, 33 bytes. */
  readonly nodeId1: Uint8Array;
  readonly nodeId2: Uint8Array;
  readonly capacitySat: bigint;
  /** Of the `channel_announcement`: a channel that requires what we do not know is not routed through. */
  readonly features?: FeatureBits;
}

export interface GraphChannel {
  readonly shortChannelId: bigint;
  readonly nodeId1: Uint8Array;
  readonly nodeId2: Uint8Array;
  readonly capacitySat: bigint;
  /** By direction: of node 1, of node 2. */
  readonly policies: readonly [ChannelPolicy | undefined, ChannelPolicy | undefined];
}

export interface GraphPolicyUpdate extends ChannelPolicy {
  readonly shortChannelId: bigint;
  /** 0 for the terms of node 1. */
  readonly direction: 0 | 1;
}

/** What a node tells of itself, as far as the graph keeps it. */
export interface GraphNode {
  /** Its bits below 512; see `requiresUnknown` for those above. */
  readonly features: FeatureBits;
  /** Seconds since 1970. */
  readonly timestamp: number;
  /** Chosen by a stranger: sanitize it before showing it. At most 32 bytes. */
  readonly alias?: Uint8Array;
}

interface NodeRow extends GraphNode {
  readonly requiresUnknown: boolean;
}

/** Features of more bytes are cut: no known bit is beyond, and a stranger must not fill the memory. */
const mostFeatureBytes = 64;
const mostAliasBytes = 32;
const mostSat = 21_000_000n * 100_000_000n;

/** What nodes with a feature that we do not know are marked with: nothing is routed through them. */
export const nodeBarred = 1;

/**
 * The public network as BOLT 7 tells it, for path-finding: nodes and channels by index in typed arrays, about
 * 200 bytes a channel. It does not verify anything: that is the gossip's part, and so is what to forget.
 */
export class NetworkGraph {
  /** For the search of routes alone. */
  readonly nodeTable = new NodeTable();
  /** For the search of routes alone. */
  readonly channelTable = new ChannelTable();
  /** For the search of routes alone. */
  readonly adjacency = new Adjacency();
  /** By node: `nodeBarred`. For the search of routes alone. */
  nodeFlags = new Uint8Array(0);
  /** By node: how many directed channels lead to it that may be used. For the search of routes alone. */
  usableInward = new Int32Array(0);
  readonly #rows: (NodeRow | undefined)[] = [];
  readonly #features = new SharedFeatures();

  get channelCount(): number {
    return this.channelTable.count;
  }

  get nodeCount(): number {
    return this.nodeTable.count;
  }

  hasNode(nodeId: Uint8Array): boolean {
    return this.nodeTable.find(nodeId) >= 0;
  }

  hasChannel(shortChannelId: bigint): boolean {
    return this.channelTable.find(shortChannelId) >= 0;
  }

  /**
   * Adds a channel, with its nodes, without policies.
   * @returns false where the channel is there already: it stays as it is.
   * @throws GraphError
   */
  addChannel({ shortChannelId, nodeId1, nodeId2, capacitySat, features }: NewGraphChannel): boolean {
    // BOLT 7, channel_announcement: node_id_1 is the lexicographically-lesser of the two keys.
    if (compareBytes(nodeId1, nodeId2) >= 0) {
      throw new GraphError('nodes_out_of_order', 'node_id_1 of a channel must be less than node_id_2');
    }
    if (capacitySat < 0n || capacitySat > mostSat) {
      throw new GraphError('amount_invalid', `${capacitySat} sat is no capacity of a channel`);
    }
    if (this.hasChannel(shortChannelId)) return false;
    const node1 = this.#nodeFor(nodeId1);
    const node2 = this.#nodeFor(nodeId2);
    const channel = this.channelTable.add(shortChannelId, {
      node1,
      node2,
      capacitySat: Number(capacitySat),
      // BOLT 7, channel_announcement: unknown even bit: MUST NOT attempt to route messages through the channel.
      barred: features !== undefined && unknownEvenBits(features).length > 0,
    });
    this.adjacency.reserveChannels(this.channelTable.barred.length);
    this.adjacency.add(node1, { outward: 2 * channel, other: node2 });
    this.adjacency.add(node2, { outward: 2 * channel + 1, other: node1 });
    return true;
  }

  /** Removes a channel, and its nodes if they have no other. @returns false where there is no such channel. */
  removeChannel(shortChannelId: bigint): boolean {
    const channel = this.channelTable.find(shortChannelId);
    if (channel < 0) return false;
    for (const directed of [2 * channel, 2 * channel + 1]) {
      this.#setMaximum(directed, -1);
    }
    this.channelTable.remove(channel);
    for (const directed of [2 * channel, 2 * channel + 1]) {
      const node = this.channelTable.nodes[directed] as number;
      this.adjacency.remove(node, directed);
      if (this.adjacency.lengths[node] === 0) this.#removeNode(node);
    }
    return true;
  }

  /**
   * Sets the terms of one direction.
   * @returns false where there is no such channel, or a later update is there.
   * @throws GraphError
   */
  updateChannel(update: GraphPolicyUpdate): boolean {
    checkPolicy(update);
    const { channelTable } = this;
    const channel = channelTable.find(update.shortChannelId);
    if (channel < 0) return false;
    const directed = 2 * channel + update.direction;
    const present = ((channelTable.policyFlags[directed] as number) & policyPresent) !== 0;
    if (present && (channelTable.timestamps[directed] as number) > update.timestamp) return false;
    const minimum = safeNumber(update.htlcMinimumMsat);
    const maximum = safeNumber(update.htlcMaximumMsat);
    channelTable.policyFlags[directed] = policyPresent | (update.disabled ? policyDisabled : 0);
    channelTable.timestamps[directed] = update.timestamp;
    channelTable.maximums[directed] = maximum;
    const at = recordLength * directed;
    const { records } = channelTable;
    records[at + atMinimum] = minimum;
    records[at + atFeeBase] = update.feeBaseMsat;
    records[at + atFeeProportional] = update.feeProportionalMillionths;
    records[at + atCltvDelta] = update.cltvExpiryDelta;
    // BOLT 7, channel_update: ignore the channel for routes if htlc_maximum_msat is below htlc_minimum_msat.
    const usable = !update.disabled && channelTable.barred[channel] === 0 && maximum >= minimum;
    // No more fits than the channel holds, whatever the maximum says.
    const most = Math.min(maximum, (channelTable.capacitySat[channel] as number) * 1000);
    this.#setMaximum(directed, usable && most > 0 ? most : -1);
    return true;
  }

  getChannel(shortChannelId: bigint): GraphChannel | undefined {
    const channel = this.channelTable.find(shortChannelId);
    return channel < 0 ? undefined : this.#channelAt(channel);
  }

  /**
   * Sets what a node tells of itself.
   * @returns false where there is no such node (it has no channel), or later news are there.
   */
  setNode(nodeId: Uint8Array, { features, timestamp, alias }: GraphNode): boolean {
    const node = this.nodeTable.find(nodeId);
    if (node < 0) return false;
    const before = this.#rows[node];
    if (before !== undefined && before.timestamp > timestamp) return false;
    if (before !== undefined) this.#features.release(before.features);
    const requiresUnknown = unknownEvenBits(features).length > 0;
    this.#rows[node] = {
      features: this.#features.share(features.subarray(Math.max(0, features.length - mostFeatureBytes))),
      timestamp,
      requiresUnknown,
      ...(alias !== undefined && { alias: alias.slice(0, mostAliasBytes) }),
    };
    // BOLT 7, node_announcement: unknown even bits: MUST NOT route a payment through the node.
    this.nodeFlags[node] = requiresUnknown ? nodeBarred : 0;
    return true;
  }

  /** `undefined` where the node is unknown or has told nothing of itself. */
  getNode(nodeId: Uint8Array): GraphNode | undefined {
    const row = this.#rowOf(nodeId);
    if (row === undefined) return undefined;
    const { features, timestamp, alias } = row;
    return { features: features.slice(), timestamp, ...(alias !== undefined && { alias: alias.slice() }) };
  }

  nodeFeatures(nodeId: Uint8Array): FeatureBits | undefined {
    return this.#rowOf(nodeId)?.features.slice();
  }

  /**
   * Whether a node requires a feature that we do not know: no route leads through it, and a payment to it is
   * to be made only for an invoice that does not require the same (BOLT 7, node_announcement).
   */
  requiresUnknown(nodeId: Uint8Array): boolean {
    return this.#rowOf(nodeId)?.requiresUnknown ?? false;
  }

  /** The channels of a node; none where it is unknown. */
  channelsOf(nodeId: Uint8Array): GraphChannel[] {
    const node = this.nodeTable.find(nodeId);
    if (node < 0) return [];
    const { pool, starts, lengths } = this.adjacency;
    const start = starts[node] as number;
    const channels: GraphChannel[] = [];
    for (let i = 0; i < (lengths[node] as number); i++) {
      channels.push(this.#channelAt((pool[start + 2 * i] as number) >> 3));
    }
    return channels;
  }

  /** All channels; the graph must not change meanwhile. */
  *channels(): IterableIterator<GraphChannel> {
    for (const slot of this.channelTable.index.slots) if (slot !== 0) yield this.#channelAt(slot - 1);
  }

  /** The ids of all nodes; the graph must not change meanwhile. */
  *nodeIds(): IterableIterator<Uint8Array> {
    for (let node = 0; node < this.nodeTable.high; node++) {
      if (this.adjacency.lengths[node] !== 0) yield this.nodeTable.idOf(node);
    }
  }

  #rowOf(nodeId: Uint8Array): NodeRow | undefined {
    const node = this.nodeTable.find(nodeId);
    return node < 0 ? undefined : this.#rows[node];
  }

  #nodeFor(nodeId: Uint8Array): number {
    const found = this.nodeTable.find(nodeId);
    if (found >= 0) return found;
    const node = this.nodeTable.add(nodeId);
    if (node >= this.nodeFlags.length) {
      const capacity = grownCapacity(this.nodeFlags.length, node + 1);
      this.nodeFlags = grownUint8(this.nodeFlags, capacity);
      this.usableInward = grownInt32(this.usableInward, capacity);
      this.adjacency.reserveNodes(capacity);
    }
    return node;
  }

  #removeNode(node: number): void {
    const row = this.#rows[node];
    if (row !== undefined) this.#features.release(row.features);
    this.#rows[node] = undefined;
    this.nodeFlags[node] = 0;
    this.nodeTable.remove(node);
  }

  /** Sets what one HTLC may be worth at most; -1 takes the direction out of use. */
  #setMaximum(directed: number, maximum: number): void {
    const { records, nodes } = this.channelTable;
    const at = recordLength * directed + atMaximum;
    const wasUsable = (records[at] as number) >= 0;
    records[at] = maximum;
    const usable = maximum >= 0;
    if (usable === wasUsable) return;
    const towards = nodes[directed ^ 1] as number;
    this.usableInward[towards] = (this.usableInward[towards] as number) + (usable ? 1 : -1);
    this.adjacency.setUsable(directed, usable);
  }

  #channelAt(channel: number): GraphChannel {
    const { nodes, capacitySat } = this.channelTable;
    return {
      shortChannelId: this.channelTable.idOf(channel),
      nodeId1: this.nodeTable.idOf(nodes[2 * channel] as number),
      nodeId2: this.nodeTable.idOf(nodes[2 * channel + 1] as number),
      capacitySat: BigInt(capacitySat[channel] as number),
      policies: [this.#policyAt(2 * channel), this.#policyAt(2 * channel + 1)],
    };
  }

  #policyAt(directed: number): ChannelPolicy | undefined {
    const { policyFlags, records, timestamps, maximums } = this.channelTable;
    const flags = policyFlags[directed] as number;
    if ((flags & policyPresent) === 0) return undefined;
    const at = recordLength * directed;
    return {
      timestamp: timestamps[directed] as number,
      disabled: (flags & policyDisabled) !== 0,
      cltvExpiryDelta: records[at + atCltvDelta] as number,
      htlcMinimumMsat: BigInt(records[at + atMinimum] as number),
      htlcMaximumMsat: BigInt(maximums[directed] as number),
      feeBaseMsat: records[at + atFeeBase] as number,
      feeProportionalMillionths: records[at + atFeeProportional] as number,
    };
  }
}

/** Nodes of one implementation have the same features: each vector is kept once. */
class SharedFeatures {
  readonly #byHex = new Map<string, { features: Uint8Array; count: number }>();

  share(features: Uint8Array): Uint8Array {
    const hex = bytesToHex(features);
    const shared = this.#byHex.get(hex) ?? { features: features.slice(), count: 0 };
    shared.count++;
    this.#byHex.set(hex, shared);
    return shared.features;
  }

  release(features: Uint8Array): void {
    const hex = bytesToHex(features);
    const shared = this.#byHex.get(hex);
    if (shared !== undefined && --shared.count === 0) this.#byHex.delete(hex);
  }
}

function isUint(value: number, limit: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < limit;
}

function checkPolicy(update: GraphPolicyUpdate): void {
  const { timestamp, cltvExpiryDelta, feeBaseMsat, feeProportionalMillionths } = update;
  const fits =
    isUint(timestamp, 2 ** 32) &&
    isUint(cltvExpiryDelta, 2 ** 16) &&
    isUint(feeBaseMsat, 2 ** 32) &&
    isUint(feeProportionalMillionths, 2 ** 32);
  if (!fits) throw new GraphError('policy_invalid', 'a number of a channel_update does not fit in its field');
  if (update.htlcMinimumMsat < 0n || update.htlcMaximumMsat < 0n) {
    throw new GraphError('amount_invalid', 'an amount of a channel_update is below zero');
  }
}

const mostSafe = BigInt(Number.MAX_SAFE_INTEGER);

/** As a number; what no number holds exactly becomes the greatest that does. */
function safeNumber(amountMsat: bigint): number {
  return Number(amountMsat < mostSafe ? amountMsat : mostSafe);
}
