import type { ChainBackend } from '@rivulet/chain';
import type {
  ChannelAnnouncement,
  ChannelUpdate,
  GossipTimestampFilter,
  Message,
  NodeAnnouncement,
  QueryChannelRange,
  QueryShortChannelIds,
  ReplyChannelRange,
  ReplyShortChannelIdsEnd,
  UnknownMessage,
} from '@rivulet/core/wire';

/** What is signed by the nodes that it is about, and passed on. */
export type NewsMessage = ChannelAnnouncement | ChannelUpdate | NodeAnnouncement;
export type QueryMessage = QueryChannelRange | QueryShortChannelIds | GossipTimestampFilter;
export type ReplyMessage = ReplyChannelRange | ReplyShortChannelIdsEnd;
export type AnyGossipMessage = NewsMessage | QueryMessage | ReplyMessage;

const types: ReadonlySet<string> = new Set<AnyGossipMessage['type']>([
  'channel_announcement',
  'channel_update',
  'node_announcement',
  'query_channel_range',
  'query_short_channel_ids',
  'gossip_timestamp_filter',
  'reply_channel_range',
  'reply_short_channel_ids_end',
]);

/** Whether a message is for the GossipService. */
export function isGossip(message: Message): message is AnyGossipMessage {
  return types.has(message.type);
}

/** A PeerManager, as far as gossip needs it. */
export interface GossipPeers {
  /** `false` where the node is not connected. */
  send(nodeId: string, messages: readonly (Message | UnknownMessage)[]): boolean;
  /** Bytes that wait for a peer to read. */
  outboundBytes(nodeId: string): number;
  /** Ends the connection after sending what waits. */
  drop(nodeId: string, why: string): boolean;
}

/** A ChainBackend, as far as gossip needs it. */
export type GossipChain = Pick<ChainBackend, 'getTip' | 'getBlock' | 'getBlockHash' | 'getTxOut' | 'onTip'>;

/** A channel of ours. */
export interface OwnChannel {
  /** The other end, lower-case hex. */
  readonly remoteNodeId: string;
}

/** Looks a channel of ours up: by its real id, or by an alias that either side gave it. */
export type FindOwnChannel = (shortChannelId: bigint) => OwnChannel | undefined;
