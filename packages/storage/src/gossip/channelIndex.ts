import type { ChannelSummary, GossipDirection } from './gossipStore.js';

/** Two numbers a channel: of direction 0 and 1. */
type Pairs = Uint32Array<ArrayBuffer>;

const INITIAL_CAPACITY = 1024;

/**
 * Timestamps and checksums of all channels by ascending id, in typed arrays: 28 bytes a channel. Appending is
 * cheap, which is the order in which the disk and a peer's first answers bring them; inserting moves what follows.
 */
export class ChannelIndex {
  #ids = new BigInt64Array(INITIAL_CAPACITY);
  #knownSince = new Uint32Array(INITIAL_CAPACITY);
  #timestamps: Pairs = new Uint32Array(2 * INITIAL_CAPACITY);
  #checksums: Pairs = new Uint32Array(2 * INITIAL_CAPACITY);
  #count = 0;
  /** Counts insertions and removals: positions are good only as long as it stays. */
  #version = 0;

  get count(): number {
    return this.#count;
  }

  /** The position of the first id that is not below this one. */
  #lowerBound(id: bigint): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ids[middle] as bigint) < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #positionOf(id: bigint): number {
    const at = this.#lowerBound(id);
    return at < this.#count && this.#ids[at] === id ? at : -1;
  }

  has(id: bigint): boolean {
    return this.#positionOf(id) >= 0;
  }

  /** 0 where there is no such channel or update. */
  timestamp(id: bigint, direction: GossipDirection): number {
    const at = this.#positionOf(id);
    return at < 0 ? 0 : (this.#timestamps[2 * at + direction] as number);
  }

  /** Adds a channel without updates, or takes the updates of one that is there. */
  add(id: bigint, knownSince: number): void {
    const last = this.#count - 1;
    const at = last >= 0 && (this.#ids[last] as bigint) >= id ? this.#lowerBound(id) : this.#count;
    if (at === this.#count || this.#ids[at] !== id) {
      if (this.#count === this.#ids.length) this.#grow();
      this.#ids.copyWithin(at + 1, at, this.#count);
      this.#knownSince.copyWithin(at + 1, at, this.#count);
      this.#timestamps.copyWithin(2 * at + 2, 2 * at, 2 * this.#count);
      this.#checksums.copyWithin(2 * at + 2, 2 * at, 2 * this.#count);
      this.#ids[at] = id;
      this.#count++;
      this.#version++;
    }
    this.#knownSince[at] = knownSince;
    this.#timestamps.fill(0, 2 * at, 2 * at + 2);
    this.#checksums.fill(0, 2 * at, 2 * at + 2);
  }

  /** @returns whether there is such a channel. */
  setUpdate(
    id: bigint,
    update: { direction: GossipDirection; timestamp: number; checksum: number },
  ): boolean {
    const at = this.#positionOf(id);
    if (at < 0) return false;
    this.#timestamps[2 * at + update.direction] = update.timestamp;
    this.#checksums[2 * at + update.direction] = update.checksum;
    return true;
  }

  /** @returns whether there was such a channel. */
  remove(id: bigint): boolean {
    const at = this.#positionOf(id);
    if (at < 0) return false;
    this.#ids.copyWithin(at, at + 1, this.#count);
    this.#knownSince.copyWithin(at, at + 1, this.#count);
    this.#timestamps.copyWithin(2 * at, 2 * at + 2, 2 * this.#count);
    this.#checksums.copyWithin(2 * at, 2 * at + 2, 2 * this.#count);
    this.#count--;
    this.#version++;
    return true;
  }

  clear(): void {
    this.#count = 0;
    this.#version++;
  }

  *from(first: bigint): Generator<ChannelSummary, undefined> {
    let at = this.#lowerBound(first);
    let version = this.#version;
    while (at < this.#count) {
      const shortChannelId = this.#ids[at] as bigint;
      yield {
        shortChannelId,
        knownSince: this.#knownSince[at] as number,
        timestamps: [this.#timestamps[2 * at] as number, this.#timestamps[2 * at + 1] as number],
        checksums: [this.#checksums[2 * at] as number, this.#checksums[2 * at + 1] as number],
      };
      if (version === this.#version) at++;
      else {
        at = this.#lowerBound(shortChannelId + 1n);
        version = this.#version;
      }
    }
    return undefined;
  }

  #grow(): void {
    const capacity = 2 * this.#ids.length;
    const ids = new BigInt64Array(capacity);
    ids.set(this.#ids);
    this.#ids = ids;
    this.#knownSince = doubled(this.#knownSince);
    this.#timestamps = doubled(this.#timestamps);
    this.#checksums = doubled(this.#checksums);
  }
}

function doubled(old: Uint32Array): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(2 * old.length);
  larger.set(old);
  return larger;
}
