/** When something that failed is tried again. */
export interface RetryPolicy {
  /** Tries in all. */
  readonly attempts: number;
  readonly firstDelayMs: number;
  /** Each delay is this many times the one before. */
  readonly factor: number;
  readonly maxDelayMs: number;
}

/** About 40 seconds: no route now is often a route a moment later. */
export const paymentRetries: RetryPolicy = {
  attempts: 5,
  firstDelayMs: 1_000,
  factor: 3,
  maxDelayMs: 60_000,
};

/** About two minutes: a wallet that is restarted is there again by then. */
export const lookupRetries: RetryPolicy = {
  attempts: 8,
  firstDelayMs: 500,
  factor: 2,
  maxDelayMs: 60_000,
};

/** How long to wait after the n-th try (from 1); `undefined` where it was the last. */
export function retryDelayMs(policy: RetryPolicy, tried: number): number | undefined {
  if (tried >= policy.attempts) return undefined;
  return Math.min(policy.firstDelayMs * policy.factor ** (tried - 1), policy.maxDelayMs);
}
