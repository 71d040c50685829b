import { equalBytes } from '@rivulet/core/bytes';
import type { ChainTip } from '../chainBackend.js';
import type { HttpClient } from './httpClient.js';

/** After a failed look at the tip. */
const errorPauseMs = 1000;

/**
 * Follows a server's tip while anyone listens. `next` answers with the tip, at once or when it has changed;
 * a server that fails is asked again later, so that listeners hear of the tip after the outage.
 */
export class TipWatcher {
  readonly #client: HttpClient;
  readonly #next: (last: ChainTip | undefined) => Promise<ChainTip>;
  readonly #listeners = new Set<(tip: ChainTip) => void>();
  #running = false;

  constructor(client: HttpClient, next: (last: ChainTip | undefined) => Promise<ChainTip>) {
    this.#client = client;
    this.#next = next;
  }

  add(listener: (tip: ChainTip) => void): () => void {
    this.#listeners.add(listener);
    if (!this.#running) {
      this.#running = true;
      void this.#run();
    }
    return () => this.#listeners.delete(listener);
  }

  async #run(): Promise<void> {
    let last: ChainTip | undefined;
    while (this.#listeners.size > 0 && !this.#client.signal.aborted) {
      let tip: ChainTip;
      try {
        tip = await this.#next(last);
      } catch {
        await this.#client.pause(errorPauseMs);
        continue;
      }
      // The first tip is told as well: it may be newer than what the listener saw before it subscribed.
      const changed = last === undefined || !equalBytes(last.hash, tip.hash);
      last = tip;
      if (changed) for (const listener of [...this.#listeners]) listener(tip);
    }
    this.#running = false;
  }
}
