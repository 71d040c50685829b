import type { Schedule, StreamSession } from '@rivulet/keysend';

export interface PlayItem {
  readonly session: Pick<StreamSession, 'playing' | 'paused' | 'positionSeconds'>;
  /** Where it ends. */
  readonly toSeconds: number;
  /** Of content for each second of the clock. */
  readonly speed: number;
  /** Milliseconds that never go back. */
  readonly clock: () => number;
  readonly schedule: Schedule;
  readonly signal: AbortSignal;
  readonly onPosition?: (positionSeconds: number) => void;
}

/** How often the player says where it is. */
const tickMs = 200;

/**
 * Plays an item without a sound: the clock goes, and the session hears. Begins where the session is.
 * @returns whether the end was reached; else it was stopped, and what was heard is stored.
 */
export function playItem(options: PlayItem): Promise<boolean> {
  const { session, toSeconds, speed, clock, schedule, signal, onPosition } = options;
  const fromSeconds = session.positionSeconds;
  const startedMs = clock();
  const position = (): number => Math.min(toSeconds, fromSeconds + ((clock() - startedMs) / 1_000) * speed);
  return new Promise((resolve, reject) => {
    let over = false;
    let cancel = (): void => {};
    const leave = (): void => {
      over = true;
      cancel();
      signal.removeEventListener('abort', stop);
    };
    const end = (reached: boolean): void => {
      leave();
      resolve(reached);
    };
    const guarded = (act: () => void): void => {
      try {
        act();
      } catch (error) {
        leave();
        reject(error);
      }
    };
    const stop = (): void =>
      guarded(() => {
        session.paused(position());
        end(false);
      });
    const tick = (): void =>
      guarded(() => {
        const at = position();
        session.playing(at);
        onPosition?.(at);
        if (over) return;
        if (at >= toSeconds) end(true);
        else cancel = schedule(tickMs, tick);
      });
    guarded(() => session.playing(fromSeconds));
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    else tick();
  });
}
