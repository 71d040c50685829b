/** Calls `run` once, after at least `delayMs` milliseconds; what it returns ends a call that has not happened. */
export type Schedule = (delayMs: number, run: () => void) => () => void;

/** The timers of the machine. */
export const systemSchedule: Schedule = (delayMs, run) => {
  const timer = setTimeout(run, delayMs);
  return () => clearTimeout(timer);
};

/** Resolves after a time, or at once when the signal aborts. */
export function pause(schedule: Schedule, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const cancel = schedule(delayMs, done);
    signal?.addEventListener('abort', done, { once: true });
    function done(): void {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    }
  });
}
