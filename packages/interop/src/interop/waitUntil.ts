import { RivuletError } from '@rivulet/core/bytes';

/** Something that did not happen, or was not as expected. */
export class InteropError extends RivuletError<'interop_timeout' | 'interop_unexpected'> {}

/** @throws InteropError when the condition does not hold. */
export function expectThat(condition: boolean, what: string): void {
  if (!condition) throw new InteropError('interop_unexpected', `expected: ${what}`);
}

/** @throws InteropError with both values. Bytes are compared as hex by the caller. */
export function expectSame<T extends bigint | number | string | boolean | undefined>(
  actual: T,
  expected: T,
  what: string,
): void {
  expectThat(actual === expected, `${what}: ${String(expected)}, not ${String(actual)}`);
}

export interface ChangeSource {
  /** Calls the listener whenever something may have changed, until the returned function is called. */
  onChange(listener: () => void): () => void;
}

export interface Wait<T> {
  /** Named in the error when it does not happen. */
  readonly what: string;
  readonly check: () => T | Promise<T>;
  readonly sources: readonly ChangeSource[];
  readonly timeoutMs?: number;
  /** More of the story for that error. */
  readonly context?: () => Promise<string>;
}

/** What `check` gives once it holds. */
export type Found<T> = Exclude<T, undefined | null | false>;

/** For what no source tells of, such as a transaction that enters the mempool. */
const lookAgainMs = 100;

/**
 * Asks `check` now and after every change until it gives something other than undefined or false.
 * @throws InteropError `interop_timeout`, which says what was awaited.
 */
export async function waitUntil<T>(wait: Wait<T>): Promise<Found<T>> {
  const { what, check, sources, timeoutMs = 30_000 } = wait;
  let wake: () => void = () => {};
  let changed = false;
  const onChange = () => {
    changed = true;
    wake();
  };
  const stops = sources.map((source) => source.onChange(onChange));
  const again = setInterval(onChange, lookAgainMs);
  const deadline = performance.now() + timeoutMs;
  try {
    for (;;) {
      changed = false;
      const value = await check();
      if (value !== undefined && value !== null && value !== false) return value as Found<T>;
      if (performance.now() > deadline) break;
      if (changed) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    clearInterval(again);
    for (const stop of stops) stop();
  }
  const context = (await wait.context?.()) ?? '';
  throw new InteropError('interop_timeout', `${what}: not within ${timeoutMs} ms\n${context}`);
}
