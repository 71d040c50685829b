import type { HtlcDirection } from '../channel/htlc.js';
import type { HtlcPackageItem, Outpoint, SweepInput, Transaction } from '../tx/index.js';

/** What an output of a commitment, or of a transaction that spends one, is to us. */
export type ClaimPurpose =
  /** Our balance on our own commitment, after its delay. */
  | 'to_local'
  /** Our balance on the peer's commitment. */
  | 'to_remote'
  /** An HTLC that we received, with its preimage. */
  | 'htlc_success'
  /** An HTLC that we offered, once it has expired. */
  | 'htlc_timeout'
  /** An HTLC that we received and whose preimage we do not know. */
  | 'htlc_pending'
  /** What an HTLC transaction of ours paid us, after its delay. */
  | 'htlc_delayed'
  /** The peer's balance on a commitment that it had revoked. */
  | 'revoked_to_local'
  /** An HTLC of either direction on a commitment that the peer had revoked. */
  | 'revoked_htlc'
  /** What an HTLC transaction of a revoked commitment paid the peer. */
  | 'revoked_htlc_delayed';

/** The HTLC that an output belongs to, as we see it. */
export interface ClaimedHtlc {
  readonly direction: HtlcDirection;
  readonly id: bigint;
  readonly amountMsat: bigint;
  readonly paymentHash: Uint8Array;
  readonly cltvExpiry: number;
}

/** How the output is taken. */
type ClaimMethod =
  /** By an input of any transaction of ours: several of them go into one (buildSweep). */
  | { readonly how: 'input'; readonly input: SweepInput }
  /** By this very transaction, which pays its own fee: the peer's signature covers all of it. */
  | { readonly how: 'transaction'; complete(): Transaction }
  /**
   * By an HTLC transaction without fee (option_anchors): with inputs of the wallet that pay for it, and
   * others of the same locktime (buildHtlcPackage). `weight` is what it adds to the package, at most.
   */
  | {
      readonly how: 'package';
      readonly item: HtlcPackageItem;
      readonly weight: number;
      readonly lockTime: number;
    }
  /** Not by us, as things stand: its spending is watched, and a preimage can still make it ours. */
  | { readonly how: 'wait' };

/** An output that is ours, may become ours, or whose spending tells us something. */
export type Claim = ClaimMethod & {
  readonly outpoint: Outpoint;
  readonly valueSat: bigint;
  readonly purpose: ClaimPurpose;
  /** Blocks that the output must have (its own one counts) for the claim's transaction to be mined next. */
  readonly confirmations: number;
  /** The height that the chain must have for the claim's transaction to be mined next. */
  readonly lockHeight: number;
  /** Someone else can spend the output too, now or from the deadline on. */
  readonly contested: boolean;
  /** From this height on the other side can take the output. */
  readonly deadlineHeight?: number;
  /** Once the output has this many blocks, the other side can take it. */
  readonly deadlineConfirmations?: number;
  readonly htlc?: ClaimedHtlc;
};

/** The least height of the chain at which the claim can be broadcast; `createdHeight` is its output's. */
export function matureHeight(claim: Claim, createdHeight: number): number {
  // BIP 68 and BIP 113: a transaction is checked as part of the block after the tip
  return Math.max(claim.lockHeight, createdHeight + Math.max(claim.confirmations, 1) - 1);
}

/** The height from which on the other side can take the output too; `undefined` where that has no limit. */
export function deadlineHeight(claim: Claim, createdHeight: number): number | undefined {
  if (claim.deadlineHeight !== undefined) return claim.deadlineHeight;
  const { deadlineConfirmations } = claim;
  return deadlineConfirmations === undefined ? undefined : createdHeight + deadlineConfirmations - 1;
}
