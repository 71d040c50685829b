import { z } from 'zod';
import { hex, msat, nodeId, timeMs } from './fields.js';

/** An invoice that this node made. */
export const invoice = z.object({
  /** Its place in the list: counts up from 1. */
  sequence: z.int().min(1),
  /** `held`: paid in full and waiting to be settled or cancelled. */
  state: z.enum(['open', 'held', 'settled', 'cancelled', 'expired']),
  paymentHash: hex(32),
  /** Once it was paid. */
  preimage: hex(32).optional(),
  /** The text that is given to the payer (BOLT 11). */
  invoice: z.string(),
  description: z.string(),
  /** Absent where the payer chooses. */
  amountMsat: msat.optional(),
  receivedMsat: msat.optional(),
  createdAtMs: timeMs,
  expiresAtMs: timeMs,
  settledAtMs: timeMs.optional(),
});

/** A forwarding node behind which an unannounced channel begins (BOLT 11, field `r`). */
export const hintHop = z.object({
  nodeId,
  shortChannelId: z
    .string()
    .regex(/^\d{1,8}x\d{1,8}x\d{1,5}$/, 'expected a short channel id, as in 800000x1200x1'),
  feeBaseMsat: z.int().min(0).max(0xffff_ffff),
  feeProportionalMillionths: z.int().min(0).max(0xffff_ffff),
  cltvExpiryDelta: z.int().min(0).max(0xffff),
});

/** What an invoice of anybody says (BOLT 11). Written by a stranger: the description is no promise. */
export const decodedInvoice = z.object({
  network: z.enum(['regtest', 'signet', 'testnet', 'mainnet']),
  nodeId,
  paymentHash: hex(32),
  amountMsat: msat.optional(),
  description: z.string().optional(),
  descriptionHash: hex(32).optional(),
  createdAtMs: timeMs,
  expiresAtMs: timeMs,
  expired: z.boolean(),
  minFinalCltvDelta: z.int().min(0),
  /** Feature bits. */
  features: hex(),
  /** Whether it can be paid in several parts. */
  takesParts: z.boolean(),
  /** Ways over unannounced channels. */
  hints: z.array(z.array(hintHop)),
});

export type Invoice = z.output<typeof invoice>;
export type HintHopInfo = z.output<typeof hintHop>;
export type DecodedInvoice = z.output<typeof decodedInvoice>;
