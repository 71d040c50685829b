import * as z from 'zod/mini';
import { KeysendError } from '../keysendError.js';
import type { JudgedHash } from './judgedHashes.js';
import type { BucketLevel } from './tokenBucket.js';

/** What a policy remembers, as plain JSON. */
export interface PolicyState {
  readonly version: 1;
  readonly channels: readonly (readonly [string, BucketLevel])[];
  readonly total?: BucketLevel | undefined;
  readonly judged: readonly JudgedHash[];
}

const level = z.object({ payments: z.number(), msat: z.number(), atMs: z.number() });
const policyState = z.object({
  version: z.literal(1),
  channels: z.array(z.tuple([z.string(), level])),
  total: z.optional(level),
  judged: z.array(
    z.object({
      paymentHash: z.string(),
      amountMsat: z.string(),
      channelId: z.string(),
      verdict: z.discriminatedUnion('action', [
        z.object({ action: z.literal('accept') }),
        z.object({ action: z.literal('hold'), rule: z.string(), untilMs: z.number() }),
      ]),
      atMs: z.number(),
    }),
  ),
});

/** State out of a store's JSON. @throws KeysendError `store_invalid`: begin without one. */
export function readPolicyState(json: unknown): PolicyState {
  const parsed = policyState.safeParse(json);
  if (parsed.success) return parsed.data;
  const field = parsed.error.issues[0]?.path.join('.') ?? '';
  throw new KeysendError(
    'store_invalid',
    `The stored state of the policy is damaged at "${field}": begin without it`,
  );
}
