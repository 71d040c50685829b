import { type Channel, shortChannelIdOf, spendableNowMsat, surelySpendableMsat } from '@rivulet/core/channel';
import type { FirstHop } from '@rivulet/core/graph';
import { isUsable } from '../describe.js';
import type { ChannelKey } from '../turns.js';

/** Our channels as a payment may begin with them, by the names that its routes have for them. */
export interface UsableChannels {
  readonly hops: readonly FirstHop[];
  readonly channels: ReadonlyMap<bigint, Channel>;
}

/** Finds out what can leave through our channels. */
export class FirstHops {
  /** What took looking at every pending HTLC; a channel that has not changed is not looked at again. */
  readonly #exactMsat = new WeakMap<Channel, bigint>();

  /** Every channel that can be used now. Of one that can carry `wantedMsat` by far, less may be told than it can. */
  of(channels: ReadonlyMap<ChannelKey, Channel>, wantedMsat: bigint): UsableChannels {
    const hops: FirstHop[] = [];
    const named = new Map<bigint, Channel>();
    for (const channel of channels.values()) {
      const shortChannelId = isUsable(channel) ? nameOf(channel) : undefined;
      if (shortChannelId === undefined) continue;
      named.set(shortChannelId, channel);
      hops.push({
        nodeId: channel.params.remoteNodeId,
        shortChannelId,
        spendableMsat: this.#spendable(channel, wantedMsat),
        minimumMsat: channel.params.remote.htlcMinimumMsat,
      });
    }
    return { hops, channels: named };
  }

  #spendable(channel: Channel, wantedMsat: bigint): bigint {
    const surelyMsat = surelySpendableMsat(channel);
    if (surelyMsat >= wantedMsat) return surelyMsat;
    const known = this.#exactMsat.get(channel);
    if (known !== undefined) return known;
    const exactMsat = spendableNowMsat(channel);
    this.#exactMsat.set(channel, exactMsat);
    return exactMsat;
  }
}

/** Its real id; before it has one, our alias for it. */
export function nameOf(channel: Channel): bigint | undefined {
  return shortChannelIdOf(channel) ?? channel.readiness.localAlias;
}
