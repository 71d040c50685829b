import { memoryStore } from '../../store/memoryStore.js';
import type { ToolkitStore } from '../../store/toolkitStore.js';

/** What is known of the payment that a key names. */
export type Remembered =
  /** It was about to be asked for; whether that arrived is not known until the id is. */
  | { readonly state: 'asking' }
  /** Eclair's id of it. */
  | { readonly state: 'asked'; readonly id: string };

/**
 * Which of Eclair's payments is which of ours. Eclair chooses the preimage itself, and finds payments by its own ids
 * and hashes alone, not by the `externalId` that it was given: what it answered has to be kept here.
 */
export class EclairMemory {
  readonly #store: ToolkitStore;
  /** What is remembered outlives this process. */
  readonly durable: boolean;

  constructor(store: ToolkitStore | undefined) {
    this.#store = store ?? memoryStore();
    this.durable = store !== undefined;
  }

  get(key: string): Remembered | undefined {
    return parse(this.#store.get(nameOf(key)));
  }

  /**
   * Says that a payment is about to be asked for, unless another try has begun since `seen` was read.
   * @returns what is there instead.
   */
  begin(key: string, seen: Remembered | undefined): Remembered | undefined {
    return this.#store.transaction((tx) => {
      const now = parse(tx.get(nameOf(key)));
      const same =
        now?.state === seen?.state && (now?.state !== 'asked' || now.id === (seen as typeof now).id);
      if (!same) return now;
      const entry: Remembered = { state: 'asking' };
      tx.put(nameOf(key), JSON.stringify(entry));
      return undefined;
    });
  }

  asked(key: string, id: string): void {
    const entry: Remembered = { state: 'asked', id };
    this.#store.transaction((tx) => tx.put(nameOf(key), JSON.stringify(entry)));
  }

  /** It certainly was not carried out. */
  forget(key: string): void {
    this.#store.transaction((tx) => tx.delete(nameOf(key)));
  }
}

function nameOf(key: string): string {
  return `eclair-payment/${key}`;
}

function parse(text: string | undefined): Remembered | undefined {
  return text === undefined ? undefined : (JSON.parse(text) as Remembered);
}
