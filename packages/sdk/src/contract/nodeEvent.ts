import { z } from 'zod';
import { channel } from './channel.js';
import { hex, nodeId } from './fields.js';
import { invoice } from './invoice.js';
import { heldKeysend } from './keysends.js';
import { payment } from './payment.js';

/** One line of the event stream. */
export const nodeEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('payment_received'), payment }),
  z.object({ type: z.literal('payment_sent'), payment }),
  z.object({ type: z.literal('payment_failed'), payment }),
  /** A hold invoice is paid in full and waits to be settled or cancelled. */
  z.object({ type: z.literal('invoice_held'), invoice }),
  /** A keysend waits for a decision, as its policy wants. */
  z.object({ type: z.literal('keysend_held'), keysend: heldKeysend }),
  z.object({ type: z.literal('channel_changed'), channel }),
  z.object({ type: z.literal('peer_connected'), nodeId }),
  z.object({ type: z.literal('peer_disconnected'), nodeId, reason: z.string() }),
  z.object({ type: z.literal('block'), height: z.int().min(0), blockHash: hex(32) }),
]);

/** What the server itself says on the stream: alive; or that this reader was too slow and missed events. */
export const streamEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('heartbeat') }),
  z.object({ type: z.literal('lagged') }),
]);

export type NodeEvent = z.output<typeof nodeEvent>;
