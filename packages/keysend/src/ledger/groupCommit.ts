import type { StoreTransaction, ToolkitStore } from '../store/toolkitStore.js';
import type { Schedule } from '../timing/schedule.js';

interface Change {
  readonly body: (tx: StoreTransaction) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Makes the changes of one turn durable together: what costs is the syncing of the disk, and a hundred changes cost
 * no more of it than one.
 */
export class GroupCommit {
  readonly #store: ToolkitStore;
  readonly #schedule: Schedule;
  #changes: Change[] = [];

  constructor({ store, schedule }: { store: ToolkitStore; schedule: Schedule }) {
    this.#store = store;
    this.#schedule = schedule;
  }

  /**
   * Resolves with what the body returns once that is durable; rejects with what it throws, and nothing of it is
   * stored. The body may be run a second time, after a rollback: it changes nothing but the transaction.
   */
  run<T>(body: (tx: StoreTransaction) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#changes.length === 0) this.#schedule(0, () => this.#commit());
      this.#changes.push({ body, resolve: (value) => resolve(value as T), reject });
    });
  }

  #commit(): void {
    const changes = this.#changes;
    this.#changes = [];
    let results: unknown[];
    let running = false;
    try {
      results = this.#store.transaction((tx) => {
        running = true;
        const made = changes.map(({ body }) => body(tx));
        running = false;
        return made;
      });
    } catch (error) {
      // The store is, and would be for each alone: a busy one is waited for once, and not a hundred times.
      if (!running || changes.length === 1) for (const { reject } of changes) reject(error);
      // One of them is to blame: the others are stored without it.
      else for (const change of changes) this.#commitAlone(change);
      return;
    }
    for (const [i, { resolve }] of changes.entries()) resolve(results[i]);
  }

  #commitAlone({ body, resolve, reject }: Change): void {
    try {
      resolve(this.#store.transaction(body));
    } catch (error) {
      reject(error);
    }
  }
}
