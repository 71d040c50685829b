import type { Htlc, HtlcDirection } from './htlc.js';

const chunkBits = 5n;
const chunkSize = 32;

type Chunk = readonly (Htlc | undefined)[];
type Chunks = ReadonlyMap<bigint, Chunk>;

/**
 * The HTLCs of a channel that are not over, immutable: a change makes a new table and copies one chunk of
 * 32 and the list of chunks, not every HTLC that is pending beside it.
 */
export class HtlcTable {
  /** A table without HTLCs. A getter: TypeScript 7.0.2 compiles a static field here to code that throws. */
  static get empty(): HtlcTable {
    return new HtlcTable(new Map(), new Map(), 0, 0);
  }

  readonly #offered: Chunks;
  readonly #received: Chunks;
  readonly offeredCount: number;
  readonly receivedCount: number;

  private constructor(offered: Chunks, received: Chunks, offeredCount: number, receivedCount: number) {
    this.#offered = offered;
    this.#received = received;
    this.offeredCount = offeredCount;
    this.receivedCount = receivedCount;
  }

  static from(htlcs: Iterable<Htlc>): HtlcTable {
    let table = HtlcTable.empty;
    for (const htlc of htlcs) table = table.with(htlc);
    return table;
  }

  get size(): number {
    return this.offeredCount + this.receivedCount;
  }

  get(direction: HtlcDirection, id: bigint): Htlc | undefined {
    const chunks = direction === 'offered' ? this.#offered : this.#received;
    return chunks.get(id >> chunkBits)?.[Number(id & 31n)];
  }

  /** The table with this HTLC added, or put in place of the one with the same direction and id. */
  with(htlc: Htlc): HtlcTable {
    const added = this.get(htlc.direction, htlc.id) === undefined ? 1 : 0;
    return this.#replace(htlc.direction, htlc.id, htlc, added);
  }

  without(direction: HtlcDirection, id: bigint): HtlcTable {
    if (this.get(direction, id) === undefined) return this;
    return this.#replace(direction, id, undefined, -1);
  }

  #replace(direction: HtlcDirection, id: bigint, htlc: Htlc | undefined, change: number): HtlcTable {
    const chunks = new Map(direction === 'offered' ? this.#offered : this.#received);
    const key = id >> chunkBits;
    const chunk = (chunks.get(key) ?? new Array<Htlc | undefined>(chunkSize).fill(undefined)).slice();
    chunk[Number(id & 31n)] = htlc;
    if (htlc === undefined && chunk.every((entry) => entry === undefined)) chunks.delete(key);
    else chunks.set(key, chunk);
    return direction === 'offered'
      ? new HtlcTable(chunks, this.#received, this.offeredCount + change, this.receivedCount)
      : new HtlcTable(this.#offered, chunks, this.offeredCount, this.receivedCount + change);
  }

  /**
   * Maps every HTLC at once; `undefined` removes it, the same object leaves it as it is. Where nothing
   * changes the table itself is returned.
   */
  update(change: (htlc: Htlc) => Htlc | undefined): HtlcTable {
    const offered = updateChunks(this.#offered, change);
    const received = updateChunks(this.#received, change);
    if (offered.chunks === this.#offered && received.chunks === this.#received) return this;
    return new HtlcTable(
      offered.chunks,
      received.chunks,
      this.offeredCount - offered.removed,
      this.receivedCount - received.removed,
    );
  }

  /** Offered HTLCs first, then received ones. Within a direction in the order of their ids. */
  *[Symbol.iterator](): IterableIterator<Htlc> {
    yield* this.direction('offered');
    yield* this.direction('received');
  }

  *direction(direction: HtlcDirection): IterableIterator<Htlc> {
    const chunks = direction === 'offered' ? this.#offered : this.#received;
    const keys = [...chunks.keys()];
    if (!isSorted(keys)) keys.sort((a, b) => (a < b ? -1 : 1));
    for (const key of keys) {
      for (const htlc of chunks.get(key) as Chunk) if (htlc !== undefined) yield htlc;
    }
  }

  /** Visits every HTLC, without an iterator's cost: for what runs at each commitment. */
  forEach(visit: (htlc: Htlc) => void): void {
    for (const chunks of [this.#offered, this.#received]) {
      for (const chunk of chunks.values()) {
        for (let i = 0; i < chunk.length; i++) {
          const htlc = chunk[i];
          if (htlc !== undefined) visit(htlc);
        }
      }
    }
  }
}

function isSorted(keys: readonly bigint[]): boolean {
  for (let i = 1; i < keys.length; i++) if ((keys[i] as bigint) < (keys[i - 1] as bigint)) return false;
  return true;
}

function updateChunks(
  chunks: Chunks,
  change: (htlc: Htlc) => Htlc | undefined,
): { chunks: Chunks; removed: number } {
  let changed: Map<bigint, Chunk> | undefined;
  let removed = 0;
  for (const [key, chunk] of chunks) {
    let copy: (Htlc | undefined)[] | undefined;
    let left = 0;
    for (let i = 0; i < chunk.length; i++) {
      const htlc = chunk[i];
      if (htlc === undefined) continue;
      const next = change(htlc);
      if (next !== undefined) left++;
      if (next === htlc) continue;
      copy ??= chunk.slice();
      copy[i] = next;
      if (next === undefined) removed++;
    }
    if (copy === undefined) continue;
    changed ??= new Map(chunks);
    if (left === 0) changed.delete(key);
    else changed.set(key, copy);
  }
  return { chunks: changed ?? chunks, removed };
}
