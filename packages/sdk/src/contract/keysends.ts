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

/** By what keysends are judged before they settle, and what became of them since the start. */
const policyAnswer = z.object({
  /** Settings of `ReceivePolicy` of @rivulet/keysend: version 1, amounts as digits; what is absent limits nothing. */
  policy: z.record(z.string(), z.unknown()),
  statistics: z.object({
    accepted: z.int().min(0),
    held: z.int().min(0),
    refused: z.int().min(0),
    refusedBy: z.record(z.string(), z.int()),
    heldBy: z.record(z.string(), z.int()),
  }),
});

/** Endpoints of what the policy of keysends holds. */
export const keysendEndpoints = {
  heldKeysends: {
    method: 'GET',
    path: '/v1/held-keysends',
    request: z.strictObject({}),
    response: z.object({ keysends: z.array(heldKeysend) }),
  },
  keysendPolicy: {
    method: 'GET',
    path: '/v1/keysend-policy',
    request: z.strictObject({}),
    response: policyAnswer,
  },
  setKeysendPolicy: {
    method: 'POST',
    path: '/v1/set-keysend-policy',
    request: z.strictObject({ policy: z.record(z.string(), z.unknown()) }),
    response: policyAnswer,
  },
  decideKeysend: {
    method: 'POST',
    path: '/v1/decide-keysend',
    request: z.strictObject({ paymentHash: hex(32), accept: z.boolean() }),
    response: z.object({}),
  },
} as const;
