import type { ChainBackend, ChainBlock, ChainTip } from '@rivulet/chain';
import { equalBytes, RivuletError } from '@rivulet/core/bytes';
import type { CancelTimer, Scheduler } from '../peers/scheduler.js';

export interface ChainFollowerOptions {
  readonly backend: Pick<ChainBackend, 'getTip' | 'getBlock' | 'getBlockHash' | 'onTip'>;
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
}

/** The chain left our last block further back than the hashes that are kept: nothing can be undone safely. */
class ReorgTooDeepError extends RivuletError<'reorg_too_deep'> {
  constructor(height: number) {
    super(
      'reorg_too_deep',
      `the chain has replaced block ${height} and more before it than are remembered; rescan from an earlier height`,
    );
  }
}

/** As many blocks as a reorganisation may undo: a day's. */
const keptHashes = 144;
const firstRetryMs = 500;
const longestRetryMs = 60_000;

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
  #unsubscribe: (() => void) | undefined;
  #waiting: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  #fatal: unknown;

  constructor(options: ChainFollowerOptions) {
    this.#options = options;
    this.#tip = options.start;
    this.#recent = (options.recentHashes ?? []).slice(-keptHashes);
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
    this.#unsubscribe = this.#options.backend.onTip(() => this.#wake());
    this.#wake();
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
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#stopped) return;
    if (error instanceof ReorgTooDeepError) {
      this.#fatal = error;
      this.#unsubscribe?.();
      for (const { reject } of this.#waiting.splice(0)) reject(error);
      this.#options.onError(error);
      return;
    }
    const retryInMs = Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(this.#failures, 20));
    this.#failures++;
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
    for (;;) {
      if (this.#stopped) return;
      const tip: ChainTip = this.#tip;
      const block = await backend.getBlock(tip.height + 1);
      if (this.#stopped) return;
      if (block !== undefined && equalBytes(block.header.previousHash, tip.hash)) {
        await onBlock(block);
        this.#recent = [...this.#recent, tip.hash].slice(-keptHashes);
        this.#tip = { height: block.height, hash: block.hash };
        this.#failures = 0;
        continue;
      }
      const active = await backend.getBlockHash(tip.height);
      if (this.#stopped) return;
      // A backend that is behind us is still fetching: there is nothing to undo until it has another block.
      if (active === undefined) return;
      if (!equalBytes(active, tip.hash)) await this.#undo(tip);
      else if (block === undefined) break;
    }
    if (this.#caughtUpAt !== undefined && equalBytes(this.#caughtUpAt, this.#tip.hash)) return;
    await onCaughtUp?.(this.#tip);
    this.#caughtUpAt = this.#tip.hash;
  }

  /** Takes the last handled block back: it is no part of the backend's chain any more. */
  async #undo(tip: ChainTip): Promise<void> {
    const { backend, onUndo } = this.#options;
    const previous = this.#recent.at(-1) ?? (await backend.getBlock(tip.hash))?.header.previousHash;
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
