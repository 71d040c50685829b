import { z } from 'zod';
import { hex, msat, nodeId, records, timeMs } from './fields.js';

/** A payment that was received, or sent, or is under way. */
export const payment = z.object({
  /** Its place in the list: counts up from 1. */
  sequence: z.int().min(1),
  direction: z.enum(['incoming', 'outgoing']),
  /** Of an incoming payment: whether it paid an invoice of this node. Older daemons do not say. */
  kind: z.enum(['keysend', 'invoice']).optional(),
  status: z.enum(['pending', 'succeeded', 'failed']),
  paymentHash: hex(32),
  /** Once it is known. */
  preimage: hex(32).optional(),
  /** The destination of an outgoing payment; the sender of an incoming one if it says so. */
  nodeId: nodeId.optional(),
  amountMsat: msat,
  /** On top of the amount; 0 for an incoming payment. */
  feeMsat: msat,
  channelId: hex(32).optional(),
  createdAtMs: timeMs,
  settledAtMs: timeMs.optional(),
  /** In how many parts it is under way, or arrived. */
  parts: z.int().min(1).optional(),
  idempotencyKey: z.string().optional(),
  failure: z.object({ code: z.string(), message: z.string() }).optional(),
  /** All custom records but the keysend preimage. */
  records,
  /** What the records say: written by the sender, verified by nobody. */
  message: z.string().optional(),
  senderName: z.string().optional(),
});

export type Payment = z.output<typeof payment>;
