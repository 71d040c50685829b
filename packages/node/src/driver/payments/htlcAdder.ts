import type { Channel, ChannelEvent, ChannelRefusal, Htlc, NewHtlc } from '@rivulet/core/channel';
import { type ChannelKey, channelKey, type Turn } from '../turns.js';

/** What a channel answered to an HTLC that it was to add. */
export type AddOutcome = { readonly htlc: Htlc } | { readonly refused: ChannelRefusal };

/** Has channels add HTLCs and hears within the same step what they say. */
export class HtlcAdder {
  #outcome: AddOutcome | undefined;

  /** Nothing is returned by a channel that is not there any more or that a fault stopped. */
  add(turn: Turn, { key, htlc }: { key: ChannelKey; htlc: NewHtlc }): AddOutcome | undefined {
    this.#outcome = undefined;
    turn.command(key, { type: 'addHtlc', requestId: '', htlc });
    const outcome = this.#outcome as AddOutcome | undefined;
    this.#outcome = undefined;
    return outcome;
  }

  /** To be told of every event of every channel. */
  onEvent(event: ChannelEvent): void {
    if (event.type === 'htlcAdded') this.#outcome = { htlc: event.htlc };
    else if (event.type === 'htlcRefused') this.#outcome = { refused: event.reason };
  }
}

/** One HTLC of one channel. */
export interface HtlcRef {
  readonly channelId: Uint8Array;
  readonly htlcId: bigint;
}

/** As the key of a map; an HTLC of the other direction needs another map. */
export function htlcKey({ channelId, htlcId }: HtlcRef): string {
  return `${channelKey(channelId)}/${htlcId}`;
}

export function refOf(channel: Channel, htlc: Pick<Htlc, 'id'>): HtlcRef {
  return { channelId: channel.params.channelId, htlcId: htlc.id };
}
