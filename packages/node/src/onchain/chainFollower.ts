import {
  type ChainBackend,
  type ChainBlock,
  ChainError,
  type ChainHealth,
  type ChainTip,
  isCurrent,
} from '@rivulet/chain';
import { equalBytes, RivuletError } from '@rivulet/core/bytes';
import type { CancelTimer, Scheduler } from '../peers/scheduler.js';

export interface ChainFollowerOptions {
  readonly backend: Pick<ChainBackend, 'getTip' | 'getBlock' | 'getBlockHash' | 'onTip'> &
    Partial<Pick<ChainBackend, 'health' | 'onHealth'>>;
  readonly scheduler: Scheduler;
  /** The last block that was handled. Without it following begins after the chain's present tip. */
  readonly start?: ChainTip | undefined;
  /** Hashes of the blocks before `start`, the newest last: with them a reorganisation can be undone. */
  readonly recentHashes?: readonly Uint8Array[];
  /**
   * Handles one block. Called in order, never twice at a time, once for each block; only when it throws,
   * the same block comes again later, so a handler should take a block wholly or not at all.
   */
  readonly onBlock: (block: ChainBlock) => void | Promise<void>;
  /** Takes back the block that was handled last: a reorganisation has removed it from the chain. */
  readonly onUndo: (block: ChainTip) => void | Promise<void>;
  /** All blocks that the backend has are handled: after every one or several new ones, and at the start. */
  readonly onCaughtUp?: (tip: ChainTip) => void | Promise<void>;
  /** Something failed; it is tried again after `retryInMs`, or never where that is absent. */
  readonly onError: (error: unknown, retryInMs?: number) => void;
  /** The state of following has changed, that of the backend included: see `health`. */
  readonly onHealth?: (health: ChainHealth) => void;
  /** Milliseconds since 1970, for `health`. Default: Date.now */
  readonly now?: () => number;
}

/** As many blocks as a reorganisation may undo: a day's. */
const keptHashes = 144;

/** The chain left our last block further back than the hashes that are kept: nothing can be undone safely. */
class ReorgTooDeepError extends RivuletError<'reorg_too_deep'> {
  constructor(height: number) {
    super(
      'reorg_too_deep',
      `the chain has replaced block ${height} and more than the ${keptHashes} before it, which is as far as blocks can be undone: ` +
        'check that the chain backend is on the right chain; if it is, restore this node from its backup',
    );
  }
}

const firstRetryMs = 500;
const longestRetryMs = 60_000;
/** How often a backend that has fewer blocks than were handled is looked at, beside its own news. */
const behindRetryMs = 5_000;
/** Fewer blocks than this are taken, or taken back, without a word: that is how a chain grows. */
const manyBlocks = 3;
/** A chain stalls without an event: this often it is looked at. */
const healthCheckMs = 30_000;

/**
 * Follows the chain of a backend: hands over every block in order, exactly once, from where it had got to,
 * and takes blocks back when the chain leaves them. Store `tip` and `recentHashes` together with
 * what the handlers store, and give them to the next follower.
 */
export class ChainFollower {
  readonly #options: ChainFollowerOptions;
  #tip: ChainTip | undefined;
  #recent: Uint8Array[];
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #failures = 0;
  #caughtUpAt: Uint8Array | undefined;
  #cancelRetry: CancelTimer | undefined;
  /** The next look at a backend that is behind. */
  #cancelLook: CancelTimer = () => {};
  #unsubscribe: (() => void) | undefined;
  #waiting: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  #fatal: RivuletError | undefined;
  /** What failed last, until a pass goes well again. */
  #failure: { readonly error: unknown; readonly sinceMs: number } | undefined;
  #isCaughtUp = false;
  /** The height from which blocks are being taken back. */
  #undoneFrom: number | undefined;
  #health: ChainHealth;
  /** The state that `onHealth` heard last; it begins with what every start is. */
  #told: ChainHealth['state'] = 'behind';
  #cancelHealthCheck: CancelTimer | undefined;
  #unsubscribeHealth: (() => void) | undefined;

  constructor(options: ChainFollowerOptions) {
    this.#options = options;
    this.#tip = options.start;
    this.#recent = (options.recentHashes ?? []).slice(-keptHashes);
    this.#health = {
      state: 'behind',
      sinceMs: this.#now(),
      tipHeight: undefined,
      tipTimeMs: undefined,
      detail: 'the chain was not looked at yet',
    };
  }

  #now(): number {
    return (this.#options.now ?? Date.now)();
  }

  /**
   * Whether every block that the backend has was handled, and the backend is in touch with the network. Not so
   * while it is away or has stalled, nor before several blocks are handled that came at once.
   */
  get synced(): boolean {
    return this.#isCaughtUp && isCurrent(this.health);
  }

  /** For how long it has not been synced, in milliseconds; 0 while it is. */
  get blindForMs(): number {
    return this.synced ? 0 : Math.max(0, this.#now() - this.health.sinceMs);
  }

  /** How following is doing: what is wrong with the backend, or else with the handling of its blocks. */
  get health(): ChainHealth {
    const own = this.#ownHealth();
    if (own.state !== this.#health.state) {
      const sinceMs = own.sinceMs ?? this.#now();
      this.#health = { ...own, sinceMs };
    } else this.#health = { ...own, sinceMs: this.#health.sinceMs };
    return this.#health;
  }

  #ownHealth(): Omit<ChainHealth, 'sinceMs'> & { sinceMs?: number } {
    const backend = this.#options.backend.health?.();
    const height = this.#tip?.height;
    const seen = {
      tipHeight: backend?.tipHeight ?? height,
      tipTimeMs: backend?.tipTimeMs,
      ...(backend?.servers === undefined ? {} : { servers: backend.servers }),
    };
    if (this.#fatal !== undefined) return { ...seen, state: 'disagreeing', detail: this.#fatal.message };
    if (backend !== undefined && !isCurrent(backend)) return backend;
    if (this.#failure !== undefined) {
      const { error, sinceMs } = this.#failure;
      const detail = error instanceof Error ? error.message : String(error);
      if (error instanceof ChainError) return { ...seen, state: 'unreachable', sinceMs, detail };
      return {
        ...seen,
        state: 'behind',
        sinceMs,
        detail: `block ${(height ?? 0) + 1} is not taken: ${detail}`,
      };
    }
    if (!this.#isCaughtUp) {
      return {
        ...seen,
        state: 'behind',
        detail: `${height ?? 0} of ${seen.tipHeight ?? 'all'} blocks are read`,
      };
    }
    return backend ?? { ...seen, state: 'ok', detail: 'all blocks are read' };
  }

  /** Tells what has changed. */
  #tellHealth(): void {
    const { health } = this;
    if (health.state === this.#told) return;
    this.#told = health.state;
    this.#options.onHealth?.(health);
  }

  /** The last block that was handled; `undefined` before the first answer of the backend. */
  get tip(): ChainTip | undefined {
    return this.#tip;
  }

  /** Hashes of the blocks before `tip`, the newest last. */
  get recentHashes(): readonly Uint8Array[] {
    return [...this.#recent];
  }

  /** Begins to follow. */
  start(): void {
    if (this.#unsubscribe !== undefined || this.#stopped) return;
    const { backend, onHealth } = this.#options;
    this.#unsubscribe = backend.onTip(() => this.#wake());
    this.#unsubscribeHealth = backend.onHealth?.(({ state }) => {
      this.#tellHealth();
      if (state === 'unreachable' || this.#cancelRetry === undefined) return;
      // It is back: there is no need to wait for the next attempt.
      this.#cancelRetry();
      this.#cancelRetry = undefined;
      this.#wake();
    });
    if (onHealth !== undefined) this.#checkHealthLater();
    this.#wake();
  }

  #checkHealthLater(): void {
    this.#cancelHealthCheck = this.#options.scheduler.schedule(healthCheckMs, () => {
      this.#tellHealth();
      this.#checkHealthLater();
    });
  }

  /**
   * Resolves when every block that the backend has from now on until then is handled. Waits through
   * failures of the backend; rejects when the follower is stopped or cannot go on.
   */
  waitUntilSynced(): Promise<void> {
    if (this.#fatal !== undefined) return Promise.reject(this.#fatal);
    if (this.#stopped) return Promise.reject(new FollowerStoppedError());
    const promise = new Promise<void>((resolve, reject) => this.#waiting.push({ resolve, reject }));
    if (this.#unsubscribe !== undefined && this.#cancelRetry === undefined) this.#wake();
    return promise;
  }

  /** Ends following; resolves when the handler that runs has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unsubscribe?.();
    this.#unsubscribeHealth?.();
    this.#cancelHealthCheck?.();
    this.#cancelLook();
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    for (const { reject } of this.#waiting.splice(0)) reject(new FollowerStoppedError());
    await this.#running;
  }

  #wake(): void {
    if (this.#stopped || this.#fatal !== undefined) return;
    if (this.#running !== undefined) {
      this.#again = true;
      return;
    }
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      if (this.#again && this.#cancelRetry === undefined) this.#wake();
    });
  }

  async #run(): Promise<void> {
    try {
      do {
        this.#again = false;
        const waiting = this.#waiting.length;
        await this.#catchUp();
        if (this.#stopped) return;
        // Who came during the pass may know of blocks that the pass did not see.
        for (const { resolve } of this.#waiting.splice(0, waiting)) resolve();
        if (this.#waiting.length > 0) this.#again = true;
      } while (this.#again && !this.#stopped);
      this.#failures = 0;
      this.#failure = undefined;
    } catch (error) {
      this.#fail(error);
    }
    if (!this.#stopped) this.#tellHealth();
  }

  #fail(error: unknown): void {
    if (this.#stopped) return;
    this.#isCaughtUp = false;
    if (error instanceof ReorgTooDeepError) {
      this.#fatal = error;
      this.#unsubscribe?.();
      this.#unsubscribeHealth?.();
      for (const { reject } of this.#waiting.splice(0)) reject(error);
      this.#options.onError(error);
      return;
    }
    const retryInMs = Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(this.#failures, 20));
    this.#failures++;
    this.#failure = { error, sinceMs: this.#failure?.sinceMs ?? this.#now() };
    this.#cancelRetry = this.#options.scheduler.schedule(retryInMs, () => {
      this.#cancelRetry = undefined;
      this.#wake();
    });
    this.#options.onError(error, retryInMs);
  }

  async #catchUp(): Promise<void> {
    const { backend, onBlock, onCaughtUp } = this.#options;
    if (this.#tip === undefined) {
      const { height, hash } = await backend.getTip();
      this.#tip = { height, hash };
    }
    for (let changes = 0; ; changes++) {
      if (this.#stopped) return;
      if (changes >= manyBlocks && this.#isCaughtUp) {
        this.#isCaughtUp = false;
        this.#tellHealth();
      }
      const tip: ChainTip = this.#tip;
      const block = await backend.getBlock(tip.height + 1);
      if (this.#stopped) return;
      if (block !== undefined && equalBytes(block.header.previousHash, tip.hash)) {
        await onBlock(block);
        this.#recent = [...this.#recent, tip.hash].slice(-keptHashes);
        this.#tip = { height: block.height, hash: block.hash };
        this.#undoneFrom = undefined;
        this.#failures = 0;
        this.#failure = undefined;
        continue;
      }
      const active = await backend.getBlockHash(tip.height);
      if (this.#stopped) return;
      // A backend that is behind us is still fetching: there is nothing to undo until it has another block.
      if (active === undefined) {
        this.#isCaughtUp = false;
        // It may be where it was before anybody notices, and then tells of no new tip.
        this.#cancelLook();
        this.#cancelLook = this.#options.scheduler.schedule(behindRetryMs, () => this.#wake());
        return;
      }
      if (!equalBytes(active, tip.hash)) await this.#undo(tip);
      else if (block === undefined) break;
    }
    this.#isCaughtUp = true;
    this.#failure = undefined;
    this.#tellHealth();
    if (this.#caughtUpAt !== undefined && equalBytes(this.#caughtUpAt, this.#tip.hash)) return;
    await onCaughtUp?.(this.#tip);
    this.#caughtUpAt = this.#tip.hash;
  }

  /** Undoing begins only where it can end: what is remembered has to reach back to the fork. */
  async #checkDepth(tip: ChainTip): Promise<void> {
    const [oldest] = this.#recent;
    if (oldest === undefined || this.#recent.length < keptHashes) return;
    const active = await this.#options.backend.getBlockHash(tip.height - this.#recent.length);
    if (active !== undefined && !equalBytes(active, oldest)) throw new ReorgTooDeepError(tip.height);
  }

  /** Takes the last handled block back: it is no part of the backend's chain any more. */
  async #undo(tip: ChainTip): Promise<void> {
    const { backend, onUndo } = this.#options;
    if (this.#undoneFrom === undefined) {
      await this.#checkDepth(tip);
      this.#undoneFrom = tip.height;
    }
    const tooDeep = this.#undoneFrom - tip.height >= keptHashes;
    const previous = tooDeep
      ? undefined
      : (this.#recent.at(-1) ?? (await backend.getBlock(tip.hash))?.header.previousHash);
    if (previous === undefined) throw new ReorgTooDeepError(tip.height);
    if (this.#stopped) return;
    await onUndo(tip);
    this.#recent = this.#recent.slice(0, -1);
    this.#tip = { height: tip.height - 1, hash: previous };
  }
}

/** Waiting for the chain ended because the follower was stopped. */
class FollowerStoppedError extends RivuletError<'follower_stopped'> {
  constructor() {
    super('follower_stopped', 'following the chain has ended; start the node again to go on');
  }
}
