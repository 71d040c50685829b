import { grownCapacity, grownFloat64, grownInt32, grownUint8, grownUint32 } from './growable.js';
import { HashIndex, hashWords, highWord, lowWord } from './hashIndex.js';

/**
 * What a search reads of a directed channel: 8 numbers, one line of a processor's cache. At
 * `8 * directed + …`; a directed channel is 2 * channel + direction.
 */
export const recordLength = 8;
export const atMinimum = 0;
/** The most that one HTLC may be worth; -1 where the direction is not to be used. */
export const atMaximum = 1;
export const atFeeBase = 2;
export const atFeeProportional = 3;
export const atCltvDelta = 4;
/** In msat; infinite where nobody knows it. */
export const atCapacity = 5;
/** The height of the block with the funding transaction. */
export const atBirth = 6;
/** The hash of the `short_channel_id`, see `hashWords`. */
export const atHash = 7;

export const policyPresent = 1;
export const policyDisabled = 2;

/** Channels by index, in typed arrays. Indices of removed channels are given again. */
export class ChannelTable {
  /** All indices are below it. */
  high = 0;
  records = new Float64Array(0);
  /** High and low word of each `short_channel_id`. */
  ids = new Uint32Array(0);
  /** The indices of both nodes. */
  nodes = new Int32Array(0);
  capacitySat = new Float64Array(0);
  /** By directed channel: `policyPresent`, `policyDisabled`. */
  policyFlags = new Uint8Array(0);
  timestamps = new Uint32Array(0);
  /** By directed channel: what the policy says, whether it is to be used or not. */
  maximums = new Float64Array(0);
  /** 1 where the channel is there, but must not be routed through. */
  barred = new Uint8Array(0);
  readonly #free: number[] = [];
  readonly index = new HashIndex((channel) => this.records[2 * recordLength * channel + atHash] as number);

  get count(): number {
    return this.index.count;
  }

  /** -1 where there is no such channel. */
  find(shortChannelId: bigint): number {
    const high = highWord(shortChannelId);
    const low = lowWord(shortChannelId);
    return this.index.find(
      hashWords(high, low),
      (channel) => this.ids[2 * channel] === high && this.ids[2 * channel + 1] === low,
    );
  }

  idOf(channel: number): bigint {
    return (BigInt(this.ids[2 * channel] as number) << 32n) | BigInt(this.ids[2 * channel + 1] as number);
  }

  /** Adds a channel that is not there, without policies. */
  add(
    shortChannelId: bigint,
    row: { node1: number; node2: number; capacitySat: number; barred: boolean },
  ): number {
    const channel = this.#free.pop() ?? this.high++;
    if (channel >= this.barred.length) this.#reserve(grownCapacity(this.barred.length, channel + 1));
    const high = highWord(shortChannelId);
    const low = lowWord(shortChannelId);
    this.ids[2 * channel] = high;
    this.ids[2 * channel + 1] = low;
    this.nodes[2 * channel] = row.node1;
    this.nodes[2 * channel + 1] = row.node2;
    this.capacitySat[channel] = row.capacitySat;
    this.barred[channel] = row.barred ? 1 : 0;
    for (const directed of [2 * channel, 2 * channel + 1]) {
      const at = recordLength * directed;
      this.records.fill(0, at, at + recordLength);
      this.records[at + atMaximum] = -1;
      this.records[at + atCapacity] = row.capacitySat * 1000;
      this.records[at + atBirth] = high >>> 8;
      this.records[at + atHash] = hashWords(high, low);
      this.policyFlags[directed] = 0;
      this.timestamps[directed] = 0;
      this.maximums[directed] = 0;
    }
    this.index.add(channel);
    return channel;
  }

  remove(channel: number): void {
    this.index.remove(channel);
    this.#free.push(channel);
  }

  #reserve(count: number): void {
    this.records = grownFloat64(this.records, 2 * recordLength * count);
    this.ids = grownUint32(this.ids, 2 * count);
    this.nodes = grownInt32(this.nodes, 2 * count);
    this.capacitySat = grownFloat64(this.capacitySat, count);
    this.policyFlags = grownUint8(this.policyFlags, 2 * count);
    this.timestamps = grownUint32(this.timestamps, 2 * count);
    this.maximums = grownFloat64(this.maximums, 2 * count);
    this.barred = grownUint8(this.barred, count);
  }
}
