/** Undoes what was changed since the last commit. */
export interface Undoable {
  commit(): void;
  rollBack(): void;
}

/** A durable map of immutable values: what was not committed is gone after a crash. */
export class Table<V> implements Undoable {
  readonly #rows = new Map<string, V>();
  readonly #before = new Map<string, V | undefined>();

  get size(): number {
    return this.#rows.size;
  }

  get(key: string): V | undefined {
    return this.#rows.get(key);
  }

  has(key: string): boolean {
    return this.#rows.has(key);
  }

  set(key: string, value: V): void {
    this.#note(key);
    this.#rows.set(key, value);
  }

  delete(key: string): void {
    this.#note(key);
    this.#rows.delete(key);
  }

  entries(): [string, V][] {
    return [...this.#rows];
  }

  values(): IterableIterator<V> {
    return this.#rows.values();
  }

  #note(key: string): void {
    if (!this.#before.has(key)) this.#before.set(key, this.#rows.get(key));
  }

  commit(): void {
    this.#before.clear();
  }

  rollBack(): void {
    for (const [key, value] of this.#before) {
      if (value === undefined) this.#rows.delete(key);
      else this.#rows.set(key, value);
    }
    this.#before.clear();
  }
}
