import { hexToBytes } from '@rivulet/core/bytes';
import type { GossipService } from '../gossip/index.js';
import type { PeerInfo, PeerManager } from '../peers/index.js';
import type { ChannelRouter } from './channelRouter.js';
import type { NodeParts } from './nodeParts.js';
import type { Turns } from './turns.js';

export interface PeerLinksOptions {
  readonly peers: PeerManager;
  readonly router: ChannelRouter;
  readonly gossip: GossipService;
  readonly gossipEnabled: boolean;
  readonly parts: NodeParts;
  readonly turns: Turns;
  readonly now: () => number;
  readonly onConnected: (nodeId: string) => void;
  readonly onDisconnected: (peer: { nodeId: string; reason: string }) => void;
}

/** Brings what happens on connections to channels, gossip and parts, from now on. */
export function linkPeers(options: PeerLinksOptions): void {
  const { peers, router, gossip, gossipEnabled, parts, turns, now } = options;
  const connected = new Map<string, PeerInfo>();
  const rememberAddress = ({ nodeId, address }: PeerInfo) => {
    const peer = { nodeId: hexToBytes(nodeId), ...address, lastSeenMs: now() };
    turns.enqueue({ run: (turn) => turn.tx.putPeer(peer) });
  };
  peers.on('connected', (peer) => {
    connected.set(peer.nodeId, peer);
    if (!peer.inbound) rememberAddress(peer);
    // BOLT 1: what a peer stored with us goes out before channel_reestablish
    parts.peerConnected(peer);
    router.connected(peer);
    if (gossipEnabled) gossip.peerConnected(peer);
    options.onConnected(peer.nodeId);
  });
  peers.on('messages', ({ nodeId, messages }) => {
    const peer = connected.get(nodeId);
    if (peer !== undefined) router.messages(peer, messages);
  });
  peers.on('drained', ({ nodeId }) => gossip.peerDrained(nodeId));
  peers.on('disconnected', ({ nodeId, reason }) => {
    connected.delete(nodeId);
    router.disconnected(nodeId);
    gossip.peerDisconnected(nodeId);
    parts.peerDisconnected(nodeId);
    options.onDisconnected({ nodeId, reason: reason.message });
  });
}
