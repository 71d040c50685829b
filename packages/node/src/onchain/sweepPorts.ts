import type { BroadcastResult } from '@rivulet/chain';
import type { ArchivedHtlc, Channel } from '@rivulet/core/channel';
import type { ChannelSigner } from '@rivulet/core/keys';
import type { ClaimedHtlc } from '@rivulet/core/monitor';
import type { Outpoint, SweepInput, Transaction } from '@rivulet/core/tx';
import type { Logger } from '../logging/index.js';

/** What the inputs that pay a fee have to suffice for. */
export interface FeeInputRequest {
  readonly id: string;
  /** What is paid for, beside the inputs themselves. */
  readonly weight: number;
  readonly feeratePerKw: number;
  /** What has to be there on top of that. */
  readonly extraSat?: bigint;
}

/** What is needed of the wallet. */
export interface SweepWallet {
  /** A fresh output script for money that comes back; `forFees` for the change of coins that pay fees. */
  newScript(options?: { readonly forFees?: boolean }): Promise<Uint8Array>;
  /**
   * Confirmed outputs of the wallet that pay at the feerate for `weight` and for themselves; kept from other uses
   * until `release` of the same id. Asked again with the same id the answer replaces the earlier one and should
   * contain its outputs. `undefined` when the wallet cannot pay now.
   */
  reserveFeeInputs(request: FeeInputRequest): Promise<readonly SweepInput[] | undefined>;
  release(id: string): void;
}

/** The highest feerate that was broadcast for an output. */
export interface ClaimFee {
  readonly outpoint: Outpoint;
  readonly feeratePerKw: number;
}

export interface SweeperOptions {
  broadcast(tx: Transaction): Promise<BroadcastResult>;
  /** Satoshis a 1000 weight units for confirmation within so many blocks; `undefined` without an estimate. */
  estimateFeeratePerKw(targetBlocks: number): Promise<number | undefined>;
  readonly wallet: SweepWallet;
  readonly logger: Logger;
  readonly policy?: Partial<SweepPolicy>;
  /** The mempool's transaction that spends an output: where another than ours takes it, and with which preimage. */
  readonly getMempoolSpend?: (outpoint: Outpoint) => Promise<Transaction | undefined>;
  /** From which height on an HTLC that we offered costs us another one: the expiry of the one that came in for it. */
  readonly deadlineOf?: (channelId: Uint8Array, htlc: ClaimedHtlc) => number | undefined;
  /** Stores feerates before they are broadcast. A failure does not keep a claim back. */
  readonly rememberFees?: (fees: readonly ClaimFee[]) => Promise<void>;
  /** A preimage that an unconfirmed transaction shows. Told again as long as it is seen. */
  readonly onUnconfirmedPreimage?: (event: PreimageEvent) => void;
}

export interface SweepPolicy {
  /**
   * Blocks on top of each other (its own one counts) after which a transaction is taken as final: then a payment
   * that it ends has failed (BOLT 5: reasonable depth).
   */
  readonly finalDepth: number;
  /** The same for all of a channel, after which it is not watched any more (BOLT 5: irrevocably resolved, 100). */
  readonly watchDepth: number;
  /** What is paid where the backend has no estimate. */
  readonly fallbackFeeratePerKw: number;
  /** Whatever the estimate says, no transaction pays more than this. */
  readonly maxFeeratePerKw: number;
  /** Targets of fee estimation. */
  readonly contestedTargetBlocks: number;
  readonly uncontestedTargetBlocks: number;
  /** An output nearer to its deadline than this goes into a transaction of its own (BOLT 5: security_delay). */
  readonly urgentBlocks: number;
  /** A contested output that has waited for so long is claimed for whatever it can pay, or given up. */
  readonly patienceBlocks: number;
  /** An output too small to pay for its own spending is given up after so many blocks. */
  readonly giveUpAfterBlocks: number;
}

export const defaultSweepPolicy: SweepPolicy = {
  finalDepth: 6,
  watchDepth: 6,
  fallbackFeeratePerKw: 2_500,
  maxFeeratePerKw: 250_000,
  contestedTargetBlocks: 2,
  uncontestedTargetBlocks: 12,
  urgentBlocks: 18,
  patienceBlocks: 144,
  giveUpAfterBlocks: 2016,
};

/** The peer took an HTLC that we offered with its preimage: the payment is fulfilled. */
export interface PreimageEvent {
  readonly type: 'preimage';
  readonly channelId: Uint8Array;
  readonly htlc: ClaimedHtlc;
  readonly preimage: Uint8Array;
}

/** A channel whose funding output is spent by a confirmed transaction. */
export interface SpentChannel {
  /** As it is now, its phase `spent` or not. */
  readonly channel: Channel;
  readonly signer: ChannelSigner;
  /** Its HTLCs that are over; only a revoked commitment needs them. */
  readonly archived: readonly ArchivedHtlc[];
  readonly by: Transaction;
  /** Of the block that has `by`. */
  readonly height: number;
}

/** A confirmed transaction that spends outputs of a closed channel, and the height of its block. */
export interface ClosingSpend {
  readonly tx: Transaction;
  readonly height: number;
}

/** The same after a restart. */
export interface StoredSpentChannel extends SpentChannel {
  /** What has spent its outputs since, in the order of the chain; absent where that was not stored. */
  readonly spends?: readonly ClosingSpend[] | undefined;
}

export type HtlcFailure = 'timed_out' | 'not_in_commitment' | 'uneconomic';

/**
 * What blocks mean for the node's own state. An event can come again after a restart or a reorganisation:
 * handling one twice must change nothing.
 */
export type SweepEvent =
  | PreimageEvent
  /** A transaction spends what concerns us of a closed channel: stored, it need not be looked for at a restart. */
  | {
      readonly type: 'spends';
      readonly channelId: Uint8Array;
      readonly tx: Transaction;
      readonly height: number;
    }
  /**
   * An HTLC that we offered is ours again for good, or never had an output, or one that is too small to be claimed:
   * the payment failed. Only in the last case a preimage can still come.
   */
  | {
      readonly type: 'htlcFailed';
      readonly channelId: Uint8Array;
      readonly htlc: ClaimedHtlc;
      readonly reason: HtlcFailure;
    }
  /** All that concerned us is final. The channel is not tracked any more, and what is stored of its claims can go. */
  | { readonly type: 'resolved'; readonly channelId: Uint8Array; readonly outpoints: readonly Outpoint[] }
  /** The transaction that spent the funding output is unconfirmed again. The channel is not tracked any more. */
  | { readonly type: 'spendUndone'; readonly channelId: Uint8Array };
