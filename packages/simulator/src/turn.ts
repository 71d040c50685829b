import type { Channel, ChannelRefusal, Command, Htlc, NewHtlc } from '@rivulet/core/channel';
import type { ChannelKey } from './htlcRef.js';

/** What a channel answered to an HTLC that it was to add. */
export type AddOutcome = { readonly htlc: Htlc } | { readonly refused: ChannelRefusal };

/** All that a node does between two commits. */
export interface Turn {
  readonly nowMs: number;
  readonly blockHeight: number;
  channel(key: ChannelKey): Channel | undefined;
  channels(): Iterable<Channel>;
  command(key: ChannelKey, command: Command): void;
  /** Nothing is returned where there is no such channel. */
  add(key: ChannelKey, htlc: NewHtlc): AddOutcome | undefined;
  /** Runs with the commit: what the world, and not the node, is to know. */
  onCommit(note: () => void): void;
  /** Runs when all is durable, unless the node loses its memory right then. */
  afterCommit(effect: () => void): void;
}
