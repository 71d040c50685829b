import { grownCapacity, grownInt32 } from './growable.js';

/** A channel's outward direction of a node, the other way may be used: `entry & inwardUsable`. */
export const inwardUsable = 1;
/** The direction from the node to the other end may be used. */
export const outwardUsable = 2;

/**
 * Each node's channels as one slice of a pool: pairs of an entry and the other end's index. An entry is
 * `outward << 2 | flags`, where `outward` is the directed channel (2 * channel + direction) from this node to
 * the other; the one towards this node is `outward ^ 1`. Slices grow by moving to the pool's end.
 */
export class Adjacency {
  pool = new Int32Array(64);
  /** Where a node's slice begins in the pool. */
  starts = new Int32Array(0);
  /** How many pairs it has. */
  lengths = new Int32Array(0);
  #rooms = new Int32Array(0);
  /** By directed channel: where the entry at its beginning is. */
  #positions = new Int32Array(0);
  #end = 0;
  #garbage = 0;

  reserveNodes(count: number): void {
    if (count <= this.starts.length) return;
    this.starts = grownInt32(this.starts, count);
    this.lengths = grownInt32(this.lengths, count);
    this.#rooms = grownInt32(this.#rooms, count);
  }

  reserveChannels(count: number): void {
    if (2 * count > this.#positions.length) this.#positions = grownInt32(this.#positions, 2 * count);
  }

  add(node: number, { outward, other }: { outward: number; other: number }): void {
    const length = this.lengths[node] as number;
    if (length === this.#rooms[node]) this.#moveToEnd(node, Math.max(2, Math.ceil(length * 1.5)));
    const position = (this.starts[node] as number) + 2 * length;
    this.pool[position] = outward << 2;
    this.pool[position + 1] = other;
    this.#positions[outward] = position;
    this.lengths[node] = length + 1;
  }

  /** Takes the channel out of the slice of `node`, where the directed channel `outward` begins. */
  remove(node: number, outward: number): void {
    const last = (this.lengths[node] as number) - 1;
    const lastPosition = (this.starts[node] as number) + 2 * last;
    const position = this.#positions[outward] as number;
    const moved = this.pool[lastPosition] as number;
    this.pool[position] = moved;
    this.pool[position + 1] = this.pool[lastPosition + 1] as number;
    this.#positions[moved >> 2] = position;
    this.lengths[node] = last;
    if (last > 0) return;
    this.#garbage += 2 * (this.#rooms[node] as number);
    this.#rooms[node] = 0;
  }

  /** Says at both ends whether the directed channel may be used. */
  setUsable(directed: number, usable: boolean): void {
    this.#setFlag(this.#positions[directed] as number, outwardUsable, usable);
    this.#setFlag(this.#positions[directed ^ 1] as number, inwardUsable, usable);
  }

  #setFlag(position: number, flag: number, value: boolean): void {
    const entry = this.pool[position] as number;
    this.pool[position] = value ? entry | flag : entry & ~flag;
  }

  #moveToEnd(node: number, room: number): void {
    if (this.#end + 2 * room > this.pool.length) this.#makeRoom(2 * room);
    const start = this.starts[node] as number;
    const length = this.lengths[node] as number;
    const target = this.#end;
    this.pool.copyWithin(target, start, start + 2 * length);
    for (let i = 0; i < length; i++)
      this.#positions[(this.pool[target + 2 * i] as number) >> 2] = target + 2 * i;
    this.#garbage += 2 * (this.#rooms[node] as number);
    this.starts[node] = target;
    this.#rooms[node] = room;
    this.#end = target + 2 * room;
  }

  /** Grows the pool; leaves out what nodes moved away from, where that is much. */
  #makeRoom(needed: number): void {
    if (4 * this.#garbage < this.#end) {
      this.pool = grownInt32(this.pool, grownCapacity(this.pool.length, this.#end + needed));
      return;
    }
    const live = this.#end - this.#garbage;
    const pool = new Int32Array(grownCapacity(live, live + needed));
    let end = 0;
    for (let node = 0; node < this.starts.length; node++) {
      const room = this.#rooms[node] as number;
      if (room === 0) continue;
      const start = this.starts[node] as number;
      const length = this.lengths[node] as number;
      for (let i = 0; i < 2 * length; i++) pool[end + i] = this.pool[start + i] as number;
      for (let i = 0; i < length; i++) this.#positions[(pool[end + 2 * i] as number) >> 2] = end + 2 * i;
      this.starts[node] = end;
      end += 2 * room;
    }
    this.pool = pool;
    this.#end = end;
    this.#garbage = 0;
  }
}
