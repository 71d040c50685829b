/** Something that waits, and whose it is. */
export interface Queued<T> {
  readonly peer: string;
  readonly item: T;
}

interface PeerQueue<T> {
  readonly items: { readonly item: T; readonly size: number }[];
  /** Items before it are taken. */
  head: number;
  size: number;
}

/**
 * A queue for each peer, and one is taken from each in turn: what one peer sends too much of is dropped to its own
 * cost alone. Where all together hold too much, what is newest with the peer that holds most is dropped.
 */
export class FairQueue<T> {
  readonly #sizeOf: (item: T) => number;
  readonly #maxPeerSize: number;
  readonly #maxSize: number;
  readonly #peers = new Map<string, PeerQueue<T>>();
  #size = 0;
  #count = 0;
  #dropped = 0;

  constructor(options: { sizeOf: (item: T) => number; maxPeerSize: number; maxSize: number }) {
    this.#sizeOf = options.sizeOf;
    this.#maxPeerSize = options.maxPeerSize;
    this.#maxSize = options.maxSize;
  }

  get size(): number {
    return this.#size;
  }

  get count(): number {
    return this.#count;
  }

  /** How many items had no room so far. */
  get dropped(): number {
    return this.#dropped;
  }

  countOf(peer: string): number {
    const queue = this.#peers.get(peer);
    return queue === undefined ? 0 : queue.items.length - queue.head;
  }

  /** Appends an item; `false` where there is no room for it. */
  push(peer: string, item: T): boolean {
    const size = this.#sizeOf(item);
    const queue = this.#peers.get(peer) ?? { items: [], head: 0, size: 0 };
    if (queue.size + size > this.#maxPeerSize) {
      this.#dropped++;
      return false;
    }
    this.#peers.set(peer, queue);
    queue.items.push({ item, size });
    queue.size += size;
    this.#size += size;
    this.#count++;
    let kept = true;
    while (this.#size > this.#maxSize) kept = this.#dropNewest() !== queue && kept;
    return kept;
  }

  /** Takes the next item of the peer that has waited longest for its turn, of those that may have one. */
  next(mayTake: (peer: string) => boolean): Queued<T> | undefined {
    for (const [peer, queue] of this.#peers) {
      if (!mayTake(peer)) continue;
      const entry = queue.items[queue.head] as { item: T; size: number };
      queue.items[queue.head] = undefined as never;
      queue.head++;
      this.#took(queue, entry.size);
      this.#peers.delete(peer);
      if (queue.head < queue.items.length) this.#peers.set(peer, compacted(queue));
      return { peer, item: entry.item };
    }
    return undefined;
  }

  /** Forgets what a peer has waiting. */
  drop(peer: string): void {
    const queue = this.#peers.get(peer);
    if (queue === undefined) return;
    this.#peers.delete(peer);
    this.#size -= queue.size;
    this.#count -= queue.items.length - queue.head;
  }

  #took(queue: PeerQueue<T>, size: number): void {
    queue.size -= size;
    this.#size -= size;
    this.#count--;
  }

  #dropNewest(): PeerQueue<T> {
    let most: [string, PeerQueue<T>] | undefined;
    for (const entry of this.#peers) if (most === undefined || entry[1].size > most[1].size) most = entry;
    const [peer, queue] = most as [string, PeerQueue<T>];
    const { size } = queue.items.pop() as { size: number };
    this.#took(queue, size);
    this.#dropped++;
    if (queue.head === queue.items.length) this.#peers.delete(peer);
    return queue;
  }
}

/** Gives the memory of taken items back, now and then. */
function compacted<T>(queue: PeerQueue<T>): PeerQueue<T> {
  if (queue.head < 1024 || queue.head * 2 < queue.items.length) return queue;
  return { items: queue.items.slice(queue.head), head: 0, size: queue.size };
}
