import { z } from 'zod';
import { hex, msat, records, timeMs } from './fields.js';

/** A keysend that has arrived and waits: its policy wants somebody to decide. */
export const heldKeysend = z.object({
  paymentHash: hex(32),
  amountMsat: msat,
  channelId: hex(32),
  /** All custom records but the preimage. */
  records,
  /** What the records say: written by the sender, verified by nobody. */
  message: z.string().optional(),
  senderName: z.string().optional(),
  /** Of the policy: why it waits. */
  rule: z.string(),
  heldAtMs: timeMs,
  /** Then it goes back. */
  untilMs: timeMs,
});

export type HeldKeysendInfo = z.output<typeof heldKeysend>;

/** Endpoints of what the policy of keysends holds. */
export const keysendEndpoints = {
  heldKeysends: {
    method: 'GET',
    path: '/v1/held-keysends',
    request: z.strictObject({}),
    response: z.object({ keysends: z.array(heldKeysend) }),
  },
  decideKeysend: {
    method: 'POST',
    path: '/v1/decide-keysend',
    request: z.strictObject({ paymentHash: hex(32), accept: z.boolean() }),
    response: z.object({}),
  },
} as const;
