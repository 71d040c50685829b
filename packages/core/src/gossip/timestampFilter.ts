import type { ChannelUpdate, GossipTimestampFilter, NodeAnnouncement } from '../wire/index.js';
import type { PerDirection } from './queryFlags.js';

/** What of other nodes' gossip a peer wants to hear from now on (BOLT 7: gossip_timestamp_filter). */
export class TimestampFilter {
  readonly #first: number;
  /** The first second that is past the range: up to 2^33, which a number holds. */
  readonly #end: number;

  constructor(message: Pick<GossipTimestampFilter, 'firstTimestamp' | 'timestampRange'>) {
    this.#first = message.firstTimestamp;
    this.#end = message.firstTimestamp + message.timestampRange;
  }

  /** @param timestamp in seconds; 0 stands for no message and never passes. */
  passesTimestamp(timestamp: number): boolean {
    return timestamp > 0 && timestamp >= this.#first && timestamp < this.#end;
  }

  passes(message: Pick<ChannelUpdate | NodeAnnouncement, 'timestamp'>): boolean {
    return this.passesTimestamp(message.timestamp);
  }

  /**
   * Whether the `channel_announcement` of a channel passes, whose updates have these timestamps: where one of
   * them does. Without an update it MUST NOT be sent.
   */
  passesChannel(timestamps: PerDirection): boolean {
    return timestamps.some((timestamp) => this.passesTimestamp(timestamp));
  }
}
