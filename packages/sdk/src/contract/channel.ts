import { z } from 'zod';
import { hex, msat, nodeId, sat, txidHex } from './fields.js';
import { forwardingPolicy } from './routing.js';

/** The commitment format of a channel. */
export const channelType = z.enum(['anchors', 'static_remotekey']);

/** How far a channel is in its life; `open` may still be offline, see `link`. */
export const channelState = z.enum([
  /** Terms are exchanged, the funding transaction is not out. */
  'opening',
  /** The funding transaction waits for its confirmations. */
  'awaiting_ready',
  'open',
  /** A cooperative close is signed and waits for confirmation. */
  'closing',
  /** It was failed: a commitment is to be on chain. */
  'failed',
  /** We lost data: the peer has to close it. */
  'stale',
  /** The funding is spent; what is ours is being collected. */
  'spent',
  'closed',
]);

export const channel = z.object({
  channelId: hex(32),
  /** `block x transaction x output`, once it is confirmed. */
  shortChannelId: z.string().optional(),
  nodeId,
  state: channelState,
  link: z.enum(['offline', 'syncing', 'online']),
  /** Whether payments can be sent over it now. */
  usable: z.boolean(),
  opener: z.enum(['local', 'remote']),
  channelType,
  announced: z.boolean(),
  capacitySat: sat,
  localMsat: msat,
  remoteMsat: msat,
  /** What can be sent in one payment now: reserve, fees and pending payments are taken off. */
  spendableMsat: msat,
  receivableMsat: msat,
  pendingHtlcs: z.int().min(0),
  feeratePerKw: z.int().min(0),
  fundingTxidHex: txidHex.optional(),
  fundingOutputIndex: z.int().min(0).optional(),
  closingTxidHex: txidHex.optional(),
  /** Our terms for what others send through it. */
  policy: forwardingPolicy.optional(),
  /** Why it failed or what it waits for, in a sentence. */
  note: z.string().optional(),
});

export type ChannelType = z.output<typeof channelType>;
export type ChannelState = z.output<typeof channelState>;
export type ChannelInfo = z.output<typeof channel>;
