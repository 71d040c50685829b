import { secp256k1, sha256 } from '@rivulet/core/crypto';
import {
  type AnnouncingEnd,
  createChannelAnnouncement,
  createChannelUpdate,
  createNodeAnnouncement,
  type SignHash,
} from '@rivulet/core/gossip';
import type { ChannelAnnouncement, ChannelUpdate, NodeAnnouncement } from '@rivulet/core/wire';
import { benchNodeKey, type KeyedGraph } from '../paths/keyedGraph.js';

interface ChannelMessages {
  readonly announcement: ChannelAnnouncement;
  readonly capacitySat: bigint;
  /** Of `node_id_1`, of `node_id_2`. */
  readonly updates: readonly [ChannelUpdate, ChannelUpdate];
}

/** A network as its nodes would announce it. */
export interface NetworkMessages {
  readonly channels: readonly ChannelMessages[];
  readonly nodes: readonly NodeAnnouncement[];
}

interface MessageOptions {
  readonly chainHash: Uint8Array;
  /** Of all updates and node announcements, in seconds. */
  readonly timestamp: number;
  /** Otherwise signatures are zeros: six a channel and one a node take 50 microseconds each. */
  readonly signed: boolean;
}

const noSignature: SignHash = () => new Uint8Array(64);
/** What most nodes of 2026 say of themselves, as far as the length matters. */
const nodeFeatures = Uint8Array.of(0x08, 0xa2, 0xa1);

function signerOf(privateKey: Uint8Array): SignHash {
  return (hash) => secp256k1.sign(hash, privateKey);
}

/** The ends of all channels; their keys in funding outputs are the same for all, which nothing forbids. */
function endsOf(graph: KeyedGraph, signed: boolean): AnnouncingEnd[] {
  const bitcoinPrivateKey = sha256(new TextEncoder().encode('the bitcoin keys of a benchmark'));
  const bitcoinKey = secp256k1.publicKey(bitcoinPrivateKey);
  return graph.nodeIds.map((nodeId, number) => ({
    nodeId,
    bitcoinKey,
    signWithNodeKey: signed ? signerOf(benchNodeKey(number)) : noSignature,
    signWithBitcoinKey: signed ? signerOf(bitcoinPrivateKey) : noSignature,
  }));
}

/** All messages of a network, in memory. */
export function createNetworkMessages(graph: KeyedGraph, options: MessageOptions): NetworkMessages {
  const { chainHash, timestamp, signed } = options;
  const ends = endsOf(graph, signed);
  const channels = graph.channels.map(
    ({ shortChannelId, nodes, directions, capacitySat }): ChannelMessages => {
      const [first, second] = nodes.map((node) => ends[node] as AnnouncingEnd) as [
        AnnouncingEnd,
        AnnouncingEnd,
      ];
      const update = (direction: 0 | 1): ChannelUpdate => {
        const { enabled, htlcMinimumMsat, htlcMaximumMsat, ...terms } = directions[direction];
        return createChannelUpdate(
          {
            chainHash,
            shortChannelId,
            timestamp,
            direction,
            disabled: !enabled,
            ...terms,
            // A real network has a few whose minimum is above the maximum; none of ours would say so.
            htlcMinimumMsat: BigInt(Math.min(htlcMinimumMsat, htlcMaximumMsat)),
            htlcMaximumMsat: BigInt(htlcMaximumMsat),
          },
          (direction === 0 ? first : second).signWithNodeKey,
        );
      };
      return {
        announcement: createChannelAnnouncement({ chainHash, shortChannelId, ends: [first, second] }),
        capacitySat: BigInt(capacitySat),
        updates: [update(0), update(1)],
      };
    },
  );
  const nodes = ends.map(({ nodeId, signWithNodeKey }, number) =>
    createNodeAnnouncement(
      {
        nodeId,
        features: nodeFeatures,
        timestamp,
        alias: `node ${number}`,
        rgbColor: new Uint8Array(3),
        addresses: [],
      },
      signWithNodeKey,
    ),
  );
  return { channels, nodes };
}
