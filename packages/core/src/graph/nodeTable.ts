import { GraphError } from './graphError.js';
import { grownCapacity, grownUint8 } from './growable.js';
import { HashIndex, hashWords } from './hashIndex.js';

const idLength = 33;

/** Node ids by index: all in one array. Indices of removed nodes are given again. */
export class NodeTable {
  /** All indices are below it. */
  high = 0;
  #ids = new Uint8Array(0);
  readonly #free: number[] = [];
  readonly #index = new HashIndex((index) => hashAt(this.#ids, index * idLength));

  get count(): number {
    return this.#index.count;
  }

  /** -1 where there is no such node. */
  find(nodeId: Uint8Array): number {
    if (nodeId.length !== idLength) return -1;
    return this.#index.find(hashAt(nodeId, 0), (index) => {
      const start = index * idLength;
      for (let i = 0; i < idLength; i++) if (this.#ids[start + i] !== nodeId[i]) return false;
      return true;
    });
  }

  /** Adds a node that is not there. @throws GraphError `node_id_invalid` */
  add(nodeId: Uint8Array): number {
    if (nodeId.length !== idLength) {
      throw new GraphError('node_id_invalid', `a node id has 33 bytes, not ${nodeId.length}`);
    }
    const index = this.#free.pop() ?? this.high++;
    if ((index + 1) * idLength > this.#ids.length) {
      this.#ids = grownUint8(this.#ids, grownCapacity(this.#ids.length / idLength, index + 1) * idLength);
    }
    this.#ids.set(nodeId, index * idLength);
    this.#index.add(index);
    return index;
  }

  remove(index: number): void {
    this.#index.remove(index);
    this.#free.push(index);
  }

  /** A copy. */
  idOf(index: number): Uint8Array {
    return this.#ids.slice(index * idLength, (index + 1) * idLength);
  }
}

/** Keys are random already; eight bytes of them, so that a key made to collide costs something. */
function hashAt(bytes: Uint8Array, start: number): number {
  return hashWords(wordAt(bytes, start + 1), wordAt(bytes, start + 17));
}

function wordAt(bytes: Uint8Array, start: number): number {
  return (
    ((bytes[start] as number) << 24) |
    ((bytes[start + 1] as number) << 16) |
    ((bytes[start + 2] as number) << 8) |
    (bytes[start + 3] as number)
  );
}
