import type { ReceivedBoost } from './receivedBoost.js';

export type BoostListener = (boost: ReceivedBoost) => void;

/** Tells whoever listens what has come in: after it is stored, in the order of its numbers. */
export class BoostFeed {
  readonly #listeners = new Set<BoostListener>();
  readonly #onError: (error: unknown) => void;

  /** @param onError is told what listeners throw; the others hear of the boost all the same. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  get isHeard(): boolean {
    return this.#listeners.size > 0;
  }

  /** @returns what ends it. */
  subscribe(listener: BoostListener): () => void {
    // Once for each subscription, the same function twice included.
    const own: BoostListener = (boost) => listener(boost);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  publish(boosts: readonly ReceivedBoost[]): void {
    for (const boost of boosts) {
      for (const listener of [...this.#listeners]) {
        try {
          listener(boost);
        } catch (error) {
          this.#onError(error);
        }
      }
    }
  }
}
