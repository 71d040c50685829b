import type { Logger } from '../logging/logger.js';
import type { CancelTimer, Scheduler } from '../peers/index.js';

/** Space that is kept aside and given free when the disk is full, so that what must be stored can be. */
interface DiskReserve {
  readonly held: boolean;
  release(): void;
  /** Takes it again where there is room. */
  restore(): void;
}

export type DiskState =
  | 'ok'
  /** Room is short: nothing is refused yet. */
  | 'low'
  /** Nothing new is taken: what is under way can still be stored and ended. */
  | 'stopped';

export interface DiskStatus {
  readonly state: DiskState;
  readonly freeBytes: number | undefined;
  readonly reserveHeld: boolean;
}

export interface DiskGuardOptions {
  /** Of the disk that has the database; `undefined` where the system does not say. */
  readonly freeBytes: () => number | undefined;
  readonly reserve: DiskReserve;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  /** From here down a warning is given. */
  readonly lowBytes: number;
  /** From here down nothing new is taken. */
  readonly stopBytes: number;
}

const intervalMs = 10_000;

/**
 * Watches the room that the database has. New HTLCs stop before durability does: with the last room what is
 * under way is settled, failed or closed.
 */
export class DiskGuard {
  readonly #options: DiskGuardOptions;
  #state: DiskState = 'ok';
  #freeBytes: number | undefined;
  /** A write failed for want of room: until there is more than enough, nothing is taken, whatever the system says. */
  #wasFull = false;
  #cancel: CancelTimer = () => {};

  constructor(options: DiskGuardOptions) {
    this.#options = options;
    this.check();
  }

  start(): void {
    this.#cancel();
    this.#cancel = this.#options.scheduler.schedule(intervalMs, () => {
      this.start();
      try {
        this.#recover();
        this.check();
      } catch (err) {
        // A disk that answers nothing at all: whatever is written to it finds out.
        this.#options.logger.error({ err }, 'the disk does not say how much room there is');
      }
    });
  }

  stop(): void {
    this.#cancel();
  }

  get status(): DiskStatus {
    return { state: this.#state, freeBytes: this.#freeBytes, reserveHeld: this.#options.reserve.held };
  }

  /** Whether new HTLCs and channels may begin. */
  get accepting(): boolean {
    return this.#state !== 'stopped';
  }

  /** The database could not write: what is kept aside is given free at once. */
  onDiskFull(): void {
    this.#wasFull = true;
    try {
      this.#options.reserve.release();
    } catch (err) {
      this.#options.logger.error({ err }, 'the room that was put aside cannot be given free');
    }
    this.check();
  }

  /** Takes the reserve again where there is room: that proves that there is, also where the system does not say. */
  #recover(): void {
    const { freeBytes, lowBytes, reserve } = this.#options;
    if ((freeBytes() ?? Number.POSITIVE_INFINITY) <= lowBytes) return;
    try {
      if (!reserve.held) reserve.restore();
    } catch (err) {
      this.#options.logger.warn({ err }, 'no room could be put aside for a day when the disk is full');
    }
    if (reserve.held) this.#wasFull = false;
  }

  /** Looks now. */
  check(): void {
    const { freeBytes, lowBytes, stopBytes } = this.#options;
    this.#freeBytes = freeBytes();
    const free = this.#freeBytes ?? Number.POSITIVE_INFINITY;
    this.#become(this.#wasFull || free <= stopBytes ? 'stopped' : free <= lowBytes ? 'low' : 'ok');
  }

  #become(state: DiskState): void {
    const before = this.#state;
    if (state === before) return;
    this.#state = state;
    const fields = { freeBytes: this.#freeBytes };
    const { logger } = this.#options;
    switch (state) {
      case 'stopped':
        logger.error(fields, 'the disk is (nearly) full: no new payments or channels until there is room');
        return;
      case 'low':
        logger.warn(fields, 'the disk is filling up: make room before payments have to stop');
        return;
      case 'ok':
        logger.info(fields, 'there is room on the disk again');
        return;
      default:
        state satisfies never;
    }
  }
}
