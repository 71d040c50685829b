import type { BroadcastResult } from '@rivulet/chain';
import type { ArchivedHtlc, Channel } from '@rivulet/core/channel';
import type { ChannelSigner } from '@rivulet/core/keys';
import type { ClaimedHtlc } from '@rivulet/core/monitor';
import type { SweepInput, Transaction } from '@rivulet/core/tx';
import type { Logger } from '../logging/index.js';

/** What the sweeper needs of the wallet. */
export interface SweepWallet {
  /** A fresh output script for money that comes back. */
  newScript(): Promise<Uint8Array>;
  /**
   * Confirmed outputs of the wallet that pay at the feerate for `weight`, for themselves and for an output
   * with the change; kept from other uses until `release` of the same id. Asked again with the same id the answer replaces the
   * earlier one and should contain its outputs. `undefined` when the wallet cannot pay now.
   */
  reserveFeeInputs(request: {
    readonly id: string;
    readonly weight: number;
    readonly feeratePerKw: number;
  }): Promise<readonly SweepInput[] | undefined>;
  release(id: string): void;
}

export interface SweeperOptions {
  broadcast(tx: Transaction): Promise<BroadcastResult>;
  /** Satoshis a 1000 weight units for confirmation within so many blocks; `undefined` without an estimate. */
  estimateFeeratePerKw(targetBlocks: number): Promise<number | undefined>;
  readonly wallet: SweepWallet;
  readonly logger: Logger;
  readonly policy?: Partial<SweepPolicy>;
}

export interface SweepPolicy {
  /** Blocks on top of each other (its own one counts) after which a transaction is taken as final. */
  readonly finalDepth: number;
  /** What is paid where the backend has no estimate. */
  readonly fallbackFeeratePerKw: number;
  /** Whatever the estimate says, no transaction pays more than this. */
  readonly maxFeeratePerKw: number;
  /** Targets of fee estimation. */
  readonly contestedTargetBlocks: number;
  readonly uncontestedTargetBlocks: number;
  /** An output nearer to its deadline than this goes into a transaction of its own (BOLT 5: security_delay). */
  readonly urgentBlocks: number;
  /** An output too small to pay for its own spending is given up after so many blocks. */
  readonly giveUpAfterBlocks: number;
}

export const defaultSweepPolicy: SweepPolicy = {
  finalDepth: 6,
  fallbackFeeratePerKw: 2_500,
  maxFeeratePerKw: 250_000,
  contestedTargetBlocks: 2,
  uncontestedTargetBlocks: 12,
  urgentBlocks: 18,
  giveUpAfterBlocks: 2016,
};

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

/**
 * What blocks mean for the node's own state. An event can come again after a restart or a reorganisation:
 * handling one twice must change nothing.
 */
export type SweepEvent =
  /** The peer took an HTLC that we offered with its preimage: the payment is fulfilled. */
  | {
      readonly type: 'preimage';
      readonly channelId: Uint8Array;
      readonly htlc: ClaimedHtlc;
      readonly preimage: Uint8Array;
    }
  /** An HTLC that we offered is ours again for good, or never had an output: the payment failed. */
  | {
      readonly type: 'htlcFailed';
      readonly channelId: Uint8Array;
      readonly htlc: ClaimedHtlc;
      readonly reason: 'timed_out' | 'not_in_commitment';
    }
  /** All that concerned us is final. The channel is not tracked any more. */
  | { readonly type: 'resolved'; readonly channelId: Uint8Array }
  /** The transaction that spent the funding output is unconfirmed again. The channel is not tracked any more. */
  | { readonly type: 'spendUndone'; readonly channelId: Uint8Array };
