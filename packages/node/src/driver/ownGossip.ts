import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { type Channel, localAliasOf, remoteAliasOf, shortChannelIdOf } from '@rivulet/core/channel';
import { GossipRateLimit, verifyChannelUpdate } from '@rivulet/core/gossip';
import type { ChannelUpdate } from '@rivulet/core/wire';
import type { AnyGossipMessage, Funding, NewsMessage, OwnChannel } from '../gossip/index.js';
import type { ChannelKey, Turn, Turns } from './turns.js';

/** What gossip is to know of our own channels. */
export class OwnGossip {
  readonly #turns: Turns;
  readonly #rate = new GossipRateLimit();
  readonly #onUpdate: (turn: Turn, told: { key: ChannelKey; update: ChannelUpdate }) => void;

  /** `onUpdate`: the peer of a channel of ours has told its terms for it; in a turn. */
  constructor(
    turns: Turns,
    onUpdate: (turn: Turn, told: { key: ChannelKey; update: ChannelUpdate }) => void,
  ) {
    this.#turns = turns;
    this.#onUpdate = onUpdate;
  }

  /** A channel of ours by its real id, or by an alias that either side gave it. */
  find(shortChannelId: bigint): OwnChannel | undefined {
    const [, channel] = this.#named(shortChannelId) ?? [];
    return channel && { remoteNodeId: bytesToHex(channel.params.remoteNodeId) };
  }

  /** Where the money of an announcement of ours is. */
  fundingOf(message: NewsMessage): Funding | undefined {
    if (message.type !== 'channel_announcement') return undefined;
    const [, channel] = this.#named(message.shortChannelId) ?? [];
    if (channel === undefined) return undefined;
    const { fundingOutpoint, fundingSat } = channel.params;
    return { txid: fundingOutpoint.txid, capacitySat: fundingSat };
  }

  /**
   * Where gossip is off, all that is taken of it: what the peer of a channel of ours asks for it. Without that
   * nobody could pay us through an unannounced channel.
   */
  takeFromPeer(nodeId: string, { message, nowMs }: { message: AnyGossipMessage; nowMs: number }): void {
    if (message.type !== 'channel_update') return;
    const { shortChannelId } = message;
    if (this.find(shortChannelId)?.remoteNodeId !== nodeId) return;
    const verdict = verifyChannelUpdate(message, hexToBytes(nodeId));
    if (!verdict.valid || !this.#rate.admit({ verdict, key: nodeId, nowMs })) return;
    this.takeUpdate(nodeId, message);
  }

  takeUpdate(nodeId: string, update: ChannelUpdate): void {
    this.#turns.enqueue({
      run: (turn) => {
        const [key, channel] = this.#named(update.shortChannelId) ?? [];
        if (key === undefined || channel === undefined) return;
        if (bytesToHex(channel.params.remoteNodeId) === nodeId) this.#onUpdate(turn, { key, update });
      },
    });
  }

  #named(shortChannelId: bigint): readonly [ChannelKey, Channel] | undefined {
    for (const entry of this.#turns.channels) {
      const [, channel] = entry;
      const names = [shortChannelIdOf(channel), localAliasOf(channel), remoteAliasOf(channel)];
      if (channel.phase.name !== 'closed' && names.includes(shortChannelId)) return entry;
    }
    return undefined;
  }
}
