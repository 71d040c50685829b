/** Ends a scheduled call that has not happened; does nothing afterwards. */
export type CancelTimer = () => void;

/** Time as the peers see it: given, so that tests need not wait. */
export interface Scheduler {
  /** Milliseconds that never go back, from an arbitrary start. */
  now(): number;
  /** Calls `run` once, after at least `delayMs` milliseconds. */
  schedule(delayMs: number, run: () => void): CancelTimer;
}

/** The machine's monotonic clock. Its timers do not keep the process alive. */
export const systemScheduler: Scheduler = {
  now: () => performance.now(),
  schedule(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
