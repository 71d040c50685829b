import type { ChainHealth, ChainState, ServerHealth } from '../chainHealth.js';

export interface HealthOptions {
  /** Milliseconds since 1970. Default: Date.now */
  readonly now?: () => number;
  /** The newest block may be as old as this, in milliseconds, before the chain counts as stalled. Default: any age */
  readonly stallMs?: number;
}

interface Finding {
  readonly state: ChainState;
  readonly detail: string;
  readonly servers?: readonly ServerHealth[];
}

const unasked: Finding = { state: 'behind', detail: 'it was not asked for anything yet' };

/** Keeps what a backend finds out about its servers, since when it is so, and tells of changes. */
export class HealthTracker {
  readonly now: () => number;
  readonly #stallMs: number;
  readonly #listeners = new Set<(health: ChainHealth) => void>();
  #finding: Finding = unasked;
  #sinceMs: number;
  #tip: { readonly height: number; readonly timeMs: number | undefined; readonly seenMs: number } | undefined;
  #told: string;

  constructor({ now = Date.now, stallMs = 0 }: HealthOptions) {
    this.now = now;
    this.#stallMs = stallMs;
    this.#sinceMs = now();
    this.#told = signature(unasked);
  }

  /** What is so now; a chain may have stalled without anything that happened. */
  get health(): ChainHealth {
    const tipHeight = this.#tip?.height;
    const tipTimeMs = this.#tip?.timeMs;
    const base = { ...this.#finding, sinceMs: this.#sinceMs, tipHeight, tipTimeMs };
    const stalledAt = this.#stalledAt();
    if (stalledAt === undefined || base.state === 'unreachable') return base;
    const hours = Math.floor((this.now() - stalledAt + this.#stallMs) / 3_600_000);
    const detail = `no new block for ${hours} hours: the source of blocks may be cut off from the network`;
    return { ...base, state: 'stalled', sinceMs: stalledAt, detail };
  }

  #stalledAt(): number | undefined {
    if (this.#stallMs <= 0 || this.#tip === undefined) return undefined;
    const { timeMs, seenMs } = this.#tip;
    // A header's time may be two hours ahead: then what counts is when we saw it.
    const at = Math.min(timeMs ?? seenMs, seenMs) + this.#stallMs;
    return this.now() > at ? at : undefined;
  }

  /** The newest block: its height, and its header's time in milliseconds where that is known. */
  sawTip(tip: { height: number; timeMs: number | undefined }): void {
    const { height, timeMs } = tip;
    if (this.#tip?.height === height && this.#tip.timeMs === timeMs) return;
    this.#tip = { height, timeMs, seenMs: this.now() };
  }

  set(finding: Finding): void {
    if (finding.state !== this.#finding.state || this.#finding === unasked) this.#sinceMs = this.now();
    this.#finding = finding;
    const told = signature(finding);
    if (told === this.#told) return;
    this.#told = told;
    const { health } = this;
    for (const listener of [...this.#listeners]) listener(health);
  }

  onChange(listener: (health: ChainHealth) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** What listeners care for: the states, and not each new tip. */
function signature({ state, servers = [] }: Finding): string {
  return [state, ...servers.map((server) => server.state)].join();
}
