import { z } from 'zod';
import { hex, msat, nodeId, timeMs } from './fields.js';

/** One channel of a route: what is sent into it, and where it leads. */
const routeHop = z.object({
  nodeId,
  /** As the node calls itself; anybody can choose any name. */
  alias: z.string().optional(),
  shortChannelId: z.string(),
  /** What the HTLC in this channel is worth. */
  amountMsat: msat,
  /** What the node that this channel starts from takes for forwarding; 0 for our own. */
  feeMsat: msat,
  /** Blocks until the HTLC in this channel expires. */
  delayBlocks: z.int().min(0),
});

/** A way to the destination for the amount, or for a part of it. */
export const route = z.object({
  hops: z.array(routeHop),
  amountMsat: msat,
  feeMsat: msat,
  delayBlocks: z.int().min(0),
  /** The estimate that every channel carries it: 0 to 1. */
  probability: z.number().min(0).max(1),
});

/** What a payment may cost and how it may go; all have defaults. */
export const sendingLimits = {
  /** The most that the nodes on the way may take. By default all of an amount up to 1,000 sat, else 5 %. */
  maxFeeMsat: msat.optional(),
  /** The most blocks that the payment may be locked. */
  maxDelayBlocks: z.int().min(1).max(2_016).optional(),
  /** In how many parts it may be split, where the receiver takes parts. */
  maxParts: z.int().min(1).max(64).optional(),
};

/** Our own terms for what others send through a channel. */
export const forwardingPolicy = z.object({
  feeBaseMsat: z.int().min(0).max(0xffff_ffff),
  feeProportionalMillionths: z.int().min(0).max(0xffff_ffff),
  cltvExpiryDelta: z.int().min(1).max(2_016),
  htlcMinimumMsat: msat,
  htlcMaximumMsat: msat,
});

/** What another node announces of its direction of a channel: whatever fits into a `channel_update` (BOLT 7). */
export const announcedPolicy = forwardingPolicy.extend({
  cltvExpiryDelta: z.int().min(0).max(0xffff),
  disabled: z.boolean(),
});

/** What was forwarded in one hour from one channel to another. */
export const forwardTotal = z.object({
  /** The beginning of the hour. */
  fromMs: timeMs,
  incomingChannelId: hex(32),
  outgoingChannelId: hex(32),
  settled: z.int().min(0),
  failed: z.int().min(0),
  amountMsat: msat,
  feeMsat: msat,
});

export type RouteInfo = z.output<typeof route>;
export type ForwardingPolicyInfo = z.output<typeof forwardingPolicy>;
export type ForwardTotalInfo = z.output<typeof forwardTotal>;
