/** Calls `run` once, after at least `delayMs` milliseconds; the result ends a call that has not happened. */
export type Schedule = (delayMs: number, run: () => void) => () => void;

/** Resolves after a time, or at once when the signal aborts. */
export function pause(schedule: Schedule, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = (): void => {
      cancel();
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const cancel = schedule(delayMs, end);
    signal?.addEventListener('abort', end);
  });
}
