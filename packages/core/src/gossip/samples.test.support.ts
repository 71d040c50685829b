import { bytesToHex, compareBytes } from '../bytes/index.js';
import { secp256k1 } from '../crypto/index.js';
import {
  type ChannelAnnouncement,
  type ChannelUpdate,
  decodeMessage,
  encodeMessage,
  type Message,
  type NodeAnnouncement,
  toShortChannelId,
} from '../wire/index.js';
import { type AnnouncingEnd, createChannelAnnouncement } from './channelAnnouncements.js';
import { type ChannelUpdateFields, createChannelUpdate, updateDirection } from './channelUpdates.js';
import { createNodeAnnouncement, type NodeAnnouncementFields } from './nodeAnnouncements.js';
import type { PerDirection, RangeEntry } from './queryFlags.js';
import type { ChannelGossip, GossipSource } from './queryResponder.js';
import { channelUpdateChecksum } from './updateChecksum.js';

export const chainHash = new Uint8Array(32).fill(6);
export const otherChainHash = new Uint8Array(32).fill(7);
export const nowSeconds = 1_770_000_000;

/** A node of its own for each number from 1 to 255. */
export function sampleNode(number: number) {
  const nodeKey = new Uint8Array(32).fill(number);
  const bitcoinPrivateKey = new Uint8Array(32).fill(number);
  bitcoinPrivateKey[0] = 0x55;
  const sign = (hash: Uint8Array) => secp256k1.sign(hash, nodeKey);
  const end: AnnouncingEnd = {
    nodeId: secp256k1.publicKey(nodeKey),
    bitcoinKey: secp256k1.publicKey(bitcoinPrivateKey),
    signWithNodeKey: sign,
    signWithBitcoinKey: (hash) => secp256k1.sign(hash, bitcoinPrivateKey),
  };
  return { nodeId: end.nodeId, sign, end };
}

/** Two nodes, in the order of their ids. */
export const [node1, node2] = [sampleNode(1), sampleNode(2)].sort((a, b) =>
  compareBytes(a.nodeId, b.nodeId),
) as [ReturnType<typeof sampleNode>, ReturnType<typeof sampleNode>];

export const sampleId = toShortChannelId({ blockHeight: 539_268, txIndex: 845, outputIndex: 1 });

export function sampleChannel(features: Uint8Array = new Uint8Array(0)): ChannelAnnouncement {
  return createChannelAnnouncement({
    chainHash,
    shortChannelId: sampleId,
    features,
    ends: [node2.end, node1.end],
  });
}

export const updateFields: ChannelUpdateFields = {
  chainHash,
  shortChannelId: sampleId,
  timestamp: nowSeconds,
  direction: 0,
  disabled: false,
  cltvExpiryDelta: 40,
  htlcMinimumMsat: 1n,
  htlcMaximumMsat: 1_000_000_000n,
  feeBaseMsat: 1000,
  feeProportionalMillionths: 100,
};

export function sampleUpdate(change: Partial<ChannelUpdateFields> = {}): ChannelUpdate {
  const fields = { ...updateFields, ...change };
  return createChannelUpdate(fields, fields.direction === 0 ? node1.sign : node2.sign);
}

export function sampleNodeAnnouncement(change: Partial<NodeAnnouncementFields> = {}): NodeAnnouncement {
  return createNodeAnnouncement(
    {
      nodeId: node1.nodeId,
      features: new Uint8Array(0),
      timestamp: nowSeconds,
      alias: 'WISTFULTOLL',
      rgbColor: Uint8Array.of(1, 2, 3),
      addresses: [],
      ...change,
    },
    node1.sign,
  );
}

const noSignature = new Uint8Array(64);
const fakeKey = (number: number) => {
  const key = new Uint8Array(33);
  key[0] = 2;
  new DataView(key.buffer).setUint32(1, number);
  return key;
};

/** What a network of any size can be made of without one signature: nobody verifies it. */
export interface UnsignedChannel {
  readonly shortChannelId: bigint;
  /** 0 where there is no update. */
  readonly timestamps: PerDirection;
  /** Tells terms apart. */
  readonly fees?: PerDirection;
  readonly nodes?: readonly [number, number];
}

export function unsignedUpdate(channel: UnsignedChannel, direction: 0 | 1): ChannelUpdate {
  return {
    type: 'channel_update',
    signature: noSignature,
    chainHash,
    shortChannelId: channel.shortChannelId,
    timestamp: channel.timestamps[direction],
    messageFlags: 1,
    channelFlags: direction,
    cltvExpiryDelta: 40,
    htlcMinimumMsat: 1n,
    feeBaseMsat: channel.fees?.[direction] ?? 0,
    feeProportionalMillionths: 0,
    htlcMaximumMsat: 1_000_000n,
  };
}

/** Gossip in memory, in the order that a GossipSource gives it; counts what is read. */
export class MemoryGossip implements GossipSource<Message> {
  readonly channels = new Map<bigint, ChannelAnnouncement>();
  readonly updates = new Map<string, ChannelUpdate>();
  readonly nodes = new Map<string, NodeAnnouncement>();
  /** How many records were given out. */
  read = 0;
  #ids: bigint[] | undefined;

  /** Adds channels with their updates and a node_announcement of each node. */
  add(...channels: readonly UnsignedChannel[]): this {
    for (const channel of channels) {
      const [nodeId1, nodeId2] = (channel.nodes ?? [1, 2]).map(fakeKey) as [Uint8Array, Uint8Array];
      this.take({
        type: 'channel_announcement',
        nodeSignature1: noSignature,
        nodeSignature2: noSignature,
        bitcoinSignature1: noSignature,
        bitcoinSignature2: noSignature,
        features: new Uint8Array(0),
        chainHash,
        shortChannelId: channel.shortChannelId,
        nodeId1,
        nodeId2,
        bitcoinKey1: nodeId1,
        bitcoinKey2: nodeId2,
      });
      for (const direction of [0, 1] as const) {
        if (channel.timestamps[direction] > 0) this.take(unsignedUpdate(channel, direction));
      }
      for (const nodeId of [nodeId1, nodeId2]) {
        this.take({
          type: 'node_announcement',
          signature: noSignature,
          features: new Uint8Array(0),
          timestamp: Math.max(...channel.timestamps),
          nodeId,
          rgbColor: new Uint8Array(3),
          alias: new Uint8Array(32),
          addresses: [],
        });
      }
    }
    return this;
  }

  /** Takes a message as a node would that has verified it. */
  take(message: Message): void {
    if (message.type === 'channel_announcement') {
      this.channels.set(message.shortChannelId, message);
      this.#ids = undefined;
    } else if (message.type === 'channel_update') {
      const key = `${message.shortChannelId}/${updateDirection(message)}`;
      if ((this.updates.get(key)?.timestamp ?? -1) < message.timestamp) this.updates.set(key, message);
    } else if (message.type === 'node_announcement') {
      const key = bytesToHex(message.nodeId);
      if ((this.nodes.get(key)?.timestamp ?? -1) < message.timestamp) this.nodes.set(key, message);
    }
  }

  entry(shortChannelId: bigint): RangeEntry | undefined {
    if (!this.channels.has(shortChannelId)) return undefined;
    const both = ([0, 1] as const).map((direction) => this.updates.get(`${shortChannelId}/${direction}`));
    const pair = (of: (update: ChannelUpdate) => number) =>
      both.map((update) => (update === undefined ? 0 : of(update))) as unknown as PerDirection;
    return {
      shortChannelId,
      timestamps: pair(({ timestamp }) => timestamp),
      checksums: pair(channelUpdateChecksum),
    };
  }

  channelsFrom(shortChannelId: bigint, limit: number): RangeEntry[] {
    this.#ids ??= [...this.channels.keys()].sort((a, b) => (a < b ? -1 : 1));
    const ids = this.#ids;
    let low = 0;
    let high = ids.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ids[middle] as bigint) < shortChannelId) low = middle + 1;
      else high = middle;
    }
    const page = ids.slice(low, low + limit).map((id) => this.entry(id) as RangeEntry);
    this.read += page.length;
    return page;
  }

  channel(shortChannelId: bigint): ChannelGossip<Message> | undefined {
    this.read++;
    const announcement = this.channels.get(shortChannelId);
    if (announcement === undefined) return undefined;
    return {
      announcement,
      updates: [this.updates.get(`${shortChannelId}/0`), this.updates.get(`${shortChannelId}/1`)],
      timestamps: (this.entry(shortChannelId) as RangeEntry).timestamps,
      nodeIds: [bytesToHex(announcement.nodeId1), bytesToHex(announcement.nodeId2)],
    };
  }

  nodesFrom(nodeId: string, limit: number): { nodeId: string; timestamp: number }[] {
    const page = [...this.nodes.keys()]
      .filter((id) => id > nodeId)
      .sort()
      .slice(0, limit)
      .map((id) => ({ nodeId: id, timestamp: (this.nodes.get(id) as NodeAnnouncement).timestamp }));
    this.read += page.length;
    return page;
  }

  node(nodeId: string): Message | undefined {
    this.read++;
    return this.nodes.get(nodeId);
  }
}

/** A message as it arrives at the other side. */
export function overTheWire<M extends Message>(message: M): M {
  const encoded = encodeMessage(message);
  return decodeMessage(encoded) as M;
}
