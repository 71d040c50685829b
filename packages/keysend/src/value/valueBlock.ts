import type { Recipient } from './recipient.js';

/** Rows of one block, those of its extra fees included, that are still split. */
export const MAX_VALUE_RECIPIENTS = 10_000;
/** What a split may be at most: 64 bits. */
export const MAX_SPLIT = 0xffff_ffff_ffff_ffffn;

/** `podcast:valueRecipient`: who gets which share. */
export interface ValueRecipient extends Recipient {
  /** Shares, 0 to `MAX_SPLIT`. Of a fee: percent of the whole, or shares, as the fee mode says. */
  readonly split: bigint;
  /** Taken off the top of the whole amount. */
  readonly fee: boolean;
}

/** `podcast:value` of type lightning: who is paid for a feed or an item, and who in which part of it. */
export interface ValueBlock {
  /** `lightning`. */
  readonly type: string;
  /** `keysend`, `lnaddress`, `amp`… in lower case. */
  readonly method: string;
  /** What the feed proposes a minute. */
  readonly suggestedMsat?: bigint;
  readonly recipients: readonly ValueRecipient[];
  readonly timeSplits: readonly ValueTimeSplit[];
}

/** `podcast:valueTimeSplit`: others are paid from `startSeconds` on, for `durationSeconds`. */
export interface ValueTimeSplit {
  readonly startSeconds: number;
  readonly durationSeconds: number;
  /** Where in the remote item the part begins. */
  readonly remoteStartSeconds: number;
  /** 0 to 100: how much of what is left after the fees goes to a remote item's recipients. */
  readonly remotePercentage: number;
  readonly target: TimeSplitTarget;
}

export type TimeSplitTarget =
  | { readonly type: 'recipients'; readonly recipients: readonly ValueRecipient[] }
  | { readonly type: 'remoteItem'; readonly remoteItem: RemoteItem };

/** `podcast:remoteItem`: another feed, or an item of it. */
export interface RemoteItem {
  readonly feedGuid: string;
  readonly feedUrl?: string;
  readonly itemGuid?: string;
  readonly medium?: string;
  readonly title?: string;
}

/** Only who gets what: what a split needs of a block. */
export interface RecipientsBlock {
  readonly recipients: readonly ValueRecipient[];
}
