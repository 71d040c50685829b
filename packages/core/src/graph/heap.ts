import { grownCapacity, grownFloat64, grownInt32 } from './growable.js';

/**
 * The least key first: a heap of four children a node, in typed arrays. An item may be in it several times:
 * who takes it out knows by its label whether it is out of date.
 */
export class Heap {
  size = 0;
  keys = new Float64Array(256);
  #items = new Int32Array(256);

  clear(): void {
    this.size = 0;
  }

  push(key: number, item: number): void {
    if (this.size === this.keys.length) {
      const capacity = grownCapacity(this.size, 2 * this.size);
      this.keys = grownFloat64(this.keys, capacity);
      this.#items = grownInt32(this.#items, capacity);
    }
    const keys = this.keys;
    const items = this.#items;
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 2;
      const parentKey = keys[parent] as number;
      if (parentKey <= key) break;
      keys[at] = parentKey;
      items[at] = items[parent] as number;
      at = parent;
    }
    keys[at] = key;
    items[at] = item;
  }

  /** Takes out the item with the least key; the heap must not be empty. The key is `keys[0]` before. */
  pop(): number {
    const keys = this.keys;
    const items = this.#items;
    const top = items[0] as number;
    const size = --this.size;
    const key = keys[size] as number;
    const item = items[size] as number;
    let at = 0;
    for (;;) {
      const first = 4 * at + 1;
      if (first >= size) break;
      const end = Math.min(first + 4, size);
      let least = first;
      let leastKey = keys[first] as number;
      for (let child = first + 1; child < end; child++) {
        const childKey = keys[child] as number;
        if (childKey >= leastKey) continue;
        least = child;
        leastKey = childKey;
      }
      if (leastKey >= key) break;
      keys[at] = leastKey;
      items[at] = items[least] as number;
      at = least;
    }
    keys[at] = key;
    items[at] = item;
    return top;
  }
}
