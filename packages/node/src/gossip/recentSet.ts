/** Remembers ids, the latest so many. */
export class RecentSet {
  readonly #maxSize: number;
  readonly #ids = new Set<bigint>();

  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  has(id: bigint): boolean {
    return this.#ids.has(id);
  }

  add(id: bigint): void {
    this.#ids.delete(id);
    this.#ids.add(id);
    if (this.#ids.size <= this.#maxSize) return;
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest);
      return;
    }
  }

  delete(id: bigint): void {
    this.#ids.delete(id);
  }

  clear(): void {
    this.#ids.clear();
  }
}
