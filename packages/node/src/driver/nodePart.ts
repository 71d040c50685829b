import type { ChainBlock, ChainTip } from '@rivulet/chain';
import type { Channel, ChannelEvent } from '@rivulet/core/channel';
import type { Message } from '@rivulet/core/wire';
import type { PeerInfo } from '../peers/index.js';
import type { ChannelKey, Turn } from './turns.js';

/**
 * Something that stands beside channels and payments and sees what they see: backups, towers, checks. The node
 * calls each of its parts in their order. What throws inside a turn takes that turn with it: a part that may fail
 * on its own handles its failures itself.
 */
export interface NodePart {
  /** Whether it has to hear `remoteRevoked`; asked before each step. */
  wantsRevocations?(): boolean;
  /** An event of a channel, inside the turn: what is written to `turn.tx` is stored together with it. */
  onEvent?(turn: Turn, channel: Channel, event: ChannelEvent): void;
  /** A block, inside its turn, after the channels and payments have seen it. */
  processBlock?(turn: Turn, block: ChainBlock): void;
  undoBlock?(turn: Turn, block: ChainTip): void;
  /**
   * A turn has committed and nothing of it is let out yet: what a peer must never be ahead of is made durable
   * here, synchronously. `changed` has the channels that the turn changed, added or removed. Must not throw.
   */
  onCommitted?(changed: ReadonlySet<ChannelKey>): void;
  /** A turn was rolled back: memory follows what is stored. */
  rollBack?(): void;
  /** A message that belongs to no channel, no opening and no gossip. */
  onMessage?(peer: PeerInfo, message: Message): void;
  peerConnected?(peer: PeerInfo): void;
  peerDisconnected?(nodeId: string): void;
  /** The chain was followed to its tip: after every block, and at the start before peers are let in. */
  onCaughtUp?(): void | Promise<void>;
  /** The node is up: all channels are loaded, the chain was read. */
  start?(): void | Promise<void>;
  stop?(): void | Promise<void>;
}
