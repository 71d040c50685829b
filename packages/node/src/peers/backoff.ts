export interface BackoffOptions {
  readonly firstDelayMs: number;
  readonly maximumDelayMs: number;
}

/**
 * How long to wait before a reconnection: doubles with every attempt that failed, up to a maximum, and is
 * drawn from its upper half, so that two nodes that lost each other do not dial in step.
 * @param random from 0 (inclusive) to 1 (exclusive).
 */
export function reconnectDelayMs(
  failedAttempts: number,
  options: BackoffOptions & { random: () => number },
): number {
  const { firstDelayMs, maximumDelayMs, random } = options;
  const full = Math.min(maximumDelayMs, firstDelayMs * 2 ** Math.min(failedAttempts, 30));
  return full / 2 + (random() * full) / 2;
}
