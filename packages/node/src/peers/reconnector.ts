import { type BackoffOptions, reconnectDelayMs } from './backoff.js';
import type { CancelTimer, Scheduler } from './scheduler.js';

export interface PeerAddress {
  readonly host: string;
  readonly port: number;
}

export interface ReconnectOptions extends BackoffOptions {
  /** A connection that held this long was a good one: the next wait starts small again. */
  readonly stableAfterMs: number;
}

interface Entry {
  /** `undefined` for a peer that only ever came to us. */
  address: PeerAddress | undefined;
  failures: number;
  connectedAt: number | undefined;
  suspended: boolean;
  cancel: CancelTimer;
}

/** Dials the peers that we want to stay connected to, again and again, ever more slowly. */
export class Reconnector {
  readonly #given: {
    scheduler: Scheduler;
    random: () => number;
    options: ReconnectOptions;
    connect: (target: PeerAddress & { nodeId: string }) => Promise<unknown>;
  };
  readonly #entries = new Map<string, Entry>();
  #stopped = false;

  constructor(given: {
    scheduler: Scheduler;
    random: () => number;
    options: ReconnectOptions;
    connect: (target: PeerAddress & { nodeId: string }) => Promise<unknown>;
  }) {
    this.#given = given;
  }

  has(nodeId: string): boolean {
    return this.#entries.has(nodeId);
  }

  /** Keeps a peer from now on, or gives it another address. */
  keep(nodeId: string, state: { address: PeerAddress | undefined; connected: boolean }): void {
    const existing = this.#entries.get(nodeId);
    if (existing !== undefined) {
      existing.address = state.address ?? existing.address;
      return;
    }
    const entry: Entry = {
      address: state.address,
      failures: 0,
      connectedAt: state.connected ? this.#given.scheduler.now() : undefined,
      suspended: false,
      cancel: () => {},
    };
    this.#entries.set(nodeId, entry);
    if (!state.connected) this.#schedule(nodeId, entry);
  }

  forget(nodeId: string): void {
    this.#entries.get(nodeId)?.cancel();
    this.#entries.delete(nodeId);
  }

  /** A person asked for the disconnection: leave the peer alone until it is connected again. */
  suspend(nodeId: string): void {
    const entry = this.#entries.get(nodeId);
    if (entry === undefined) return;
    entry.suspended = true;
    entry.cancel();
  }

  connected(nodeId: string): void {
    const entry = this.#entries.get(nodeId);
    if (entry === undefined) return;
    entry.cancel();
    entry.suspended = false;
    entry.connectedAt = this.#given.scheduler.now();
  }

  disconnected(nodeId: string): void {
    const entry = this.#entries.get(nodeId);
    if (entry === undefined) return;
    const { scheduler, options } = this.#given;
    const stable =
      entry.connectedAt !== undefined && scheduler.now() - entry.connectedAt >= options.stableAfterMs;
    entry.failures = stable ? 0 : entry.failures + 1;
    entry.connectedAt = undefined;
    this.#schedule(nodeId, entry);
  }

  stop(): void {
    this.#stopped = true;
    for (const { cancel } of this.#entries.values()) cancel();
  }

  #schedule(nodeId: string, entry: Entry): void {
    entry.cancel();
    if (this.#stopped || entry.suspended || entry.address === undefined) return;
    const { scheduler, options, random } = this.#given;
    entry.cancel = scheduler.schedule(reconnectDelayMs(entry.failures, { ...options, random }), () =>
      this.#attempt(nodeId, entry),
    );
  }

  #attempt(nodeId: string, entry: Entry): void {
    if (entry.address === undefined) return;
    this.#given.connect({ nodeId, ...entry.address }).catch(() => {
      if (this.#entries.get(nodeId) !== entry || entry.connectedAt !== undefined) return;
      entry.failures++;
      this.#schedule(nodeId, entry);
    });
  }
}
