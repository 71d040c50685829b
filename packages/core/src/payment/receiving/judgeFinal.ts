import { bytesToHex, concatBytes, equalBytes, equalBytesConstantTime } from '../../bytes/index.js';
import type { Htlc } from '../../channel/index.js';
import { sha256 } from '../../crypto/index.js';
import type { FailureMessage, FinalPayload } from '../../onion/index.js';
import { keysendRecordType } from '../keysend.js';

/** BOLT 2: the time that a final node needs to claim on chain, 2R+G+S. */
export const minClaimBlocks = 18;

/** What the receiver's owner allows. */
export interface ReceivePolicy {
  /** Keysend is opt-in. */
  readonly acceptKeysend: boolean;
  /** Takes keysends in several HTLCs too, where they come with a payment secret. */
  readonly acceptKeysendParts?: boolean;
  /** The least that a keysend must bring. */
  readonly minAmountMsat: bigint;
}

/** Why an HTLC is refused: for the log; the sender learns what BOLT 4 lets it. */
export type RefusalCause =
  | 'keysend_disabled'
  /** Neither an invoice of ours nor a keysend. */
  | 'no_keysend_record'
  | 'preimage_length'
  | 'preimage_mismatch'
  | 'amount_below_minimum'
  | 'amount_incorrect'
  | 'partial_payment'
  | 'expiry_too_soon'
  | 'expiry_incorrect'
  | 'hash_seen_before'
  | 'dust_exposure'
  | 'onion_malformed'
  | 'payload_invalid'
  | 'not_for_us'
  | 'payment_secret_missing'
  | 'payment_secret_mismatch'
  | 'invoice_expired'
  | 'invoice_settled'
  | 'invoice_cancelled'
  | 'amount_too_small'
  | 'amount_too_large';

/** An invoice of ours, as far as a payment of it is judged. */
export interface KnownInvoice {
  readonly paymentHash: Uint8Array;
  readonly paymentSecret: Uint8Array;
  /** Absent where the payer chooses. */
  readonly amountMsat?: bigint | undefined;
  readonly expiresAtMs: number;
  readonly minFinalCltvDelta: number;
  /** Absent for a hold invoice: its payment is held until its owner decides. */
  readonly preimage?: Uint8Array | undefined;
  /** `held`: paid in full and not yet decided; of later HTLCs there is no need, see PartSets. */
  readonly state: 'open' | 'held' | 'settled' | 'cancelled';
}

/** An HTLC to us that is fine by itself: all of a payment, or a part of it. */
export interface ReceivedPart {
  /** The same for all parts of one payment: made of the payment hash and the payment secret. */
  readonly key: string;
  readonly paymentHash: Uint8Array;
  readonly kind: 'keysend' | 'invoice';
  /** What the sender will send in all parts together. */
  readonly totalMsat: bigint;
  /** What the sender counts this part as: the HTLC is worth so much or more. */
  readonly intendedMsat: bigint;
  /** What the HTLC is worth. */
  readonly amountMsat: bigint;
  readonly cltvExpiry: number;
  /** Not to be given to anybody before all parts are here. Absent for a hold invoice. */
  readonly preimage?: Uint8Array;
  /** Every record of the sender but the preimage. */
  readonly customRecords: ReadonlyMap<bigint, Uint8Array>;
}

export type FinalJudgement =
  | { readonly type: 'part'; readonly set: ReceivedPart }
  | { readonly type: 'refuse'; readonly cause: RefusalCause; readonly failure: FailureMessage };

export interface FinalInput {
  /** Irrevocably committed. */
  readonly htlc: Pick<Htlc, 'amountMsat' | 'paymentHash' | 'cltvExpiry' | 'mustFail'>;
  readonly payload: FinalPayload;
  /** Ours of this payment hash, if there is one. */
  readonly invoice?: KnownInvoice | undefined;
  readonly policy: ReceivePolicy;
  readonly blockHeight: number;
  readonly nowMs: number;
  /** Whether a payment with this hash, or this preimage, was ever received or sent. */
  readonly isSeen: (paymentHash: Uint8Array) => boolean;
}

/**
 * The one answer to whatever is wrong with a payment, so that nobody can probe for what we know (BOLT 4,
 * bLIP 3).
 */
export function unknownDetails(htlcMsat: bigint, height: number): FailureMessage {
  return { type: 'incorrect_or_unknown_payment_details', htlcMsat, height };
}

/**
 * Judges an HTLC of which we are the final node, by itself (BOLT 4, final node; bLIP 3, receiver). Only PartSets
 * knows whether its payment is complete. A payment that was settled has to be known to `invoice` and `isSeen`
 * before the next HTLC is judged.
 */
export function judgeFinal(input: FinalInput): FinalJudgement {
  const { htlc, payload } = input;
  // BOLT 4: final node: the HTLC must be worth what the sender told us, and last as long
  if (htlc.amountMsat < payload.amountToForwardMsat) {
    return {
      type: 'refuse',
      cause: 'amount_incorrect',
      failure: { type: 'final_incorrect_htlc_amount', incomingHtlcMsat: htlc.amountMsat },
    };
  }
  if (htlc.cltvExpiry < payload.outgoingCltvValue) {
    return {
      type: 'refuse',
      cause: 'expiry_incorrect',
      failure: { type: 'final_incorrect_cltv_expiry', cltvExpiry: htlc.cltvExpiry },
    };
  }
  const judged = input.invoice === undefined ? judgeKeysend(input) : judgeInvoice(input, input.invoice);
  if (typeof judged === 'string') {
    return { type: 'refuse', cause: judged, failure: unknownDetails(htlc.amountMsat, input.blockHeight) };
  }
  const customRecords = new Map(payload.customRecords);
  customRecords.delete(keysendRecordType);
  const secret = payload.paymentData?.paymentSecret ?? new Uint8Array(0);
  return {
    type: 'part',
    set: {
      // A hash, so that what is in a log does not let others pay in parts of their own.
      key: bytesToHex(sha256(concatBytes(htlc.paymentHash, secret))),
      paymentHash: htlc.paymentHash,
      totalMsat: totalOf(payload),
      intendedMsat: payload.amountToForwardMsat,
      amountMsat: htlc.amountMsat,
      cltvExpiry: htlc.cltvExpiry,
      customRecords,
      ...judged,
    },
  };
}

// BOLT 4: MUST treat `total_msat` as if it were equal to `amt_to_forward` if it is not present
function totalOf({ paymentData, amountToForwardMsat }: FinalPayload): bigint {
  return paymentData?.totalMsat ?? amountToForwardMsat;
}

type Judged = RefusalCause | Pick<ReceivedPart, 'kind' | 'preimage'>;

/** Whether too few blocks are left, of those that were asked for and those that claiming on chain takes. */
function isTooSoon({ htlc, blockHeight }: FinalInput, minFinalCltvDelta: number): boolean {
  // One more than the margin in which a settled HTLC is claimed on chain, else it would be at once.
  return htlc.cltvExpiry < blockHeight + Math.max(minFinalCltvDelta, minClaimBlocks + 1);
}

function judgeInvoice(input: FinalInput, invoice: KnownInvoice): Judged {
  const { htlc, payload, nowMs } = input;
  const { preimage, amountMsat, state } = invoice;
  // The hash comes first: a preimage is never given out because of what another HTLC looks like (threat 3).
  if (!equalBytes(invoice.paymentHash, htlc.paymentHash)) return 'no_keysend_record';
  if (preimage !== undefined && !equalBytes(sha256(preimage), htlc.paymentHash)) return 'preimage_mismatch';
  // BOLT 4: `payment_secret` does not match, or is required and not present: MUST fail the HTLC
  if (payload.paymentData === undefined) return 'payment_secret_missing';
  if (!equalBytesConstantTime(payload.paymentData.paymentSecret, invoice.paymentSecret)) {
    return 'payment_secret_mismatch';
  }
  // BOLT 4: if the payment hash has already been paid: MAY treat the payment hash as unknown
  if (state === 'settled') return 'invoice_settled';
  if (state === 'cancelled') return 'invoice_cancelled';
  if (htlc.mustFail !== undefined) return htlc.mustFail;
  const totalMsat = totalOf(payload);
  // BOLT 4: the amount paid, which is `total_msat`, is less than expected: MUST fail the HTLC; more than
  // twice: SHOULD
  if (totalMsat < (amountMsat ?? 1n)) return 'amount_too_small';
  if (amountMsat !== undefined && totalMsat > 2n * amountMsat) return 'amount_too_large';
  // What is held was in time when it came; a restart must not find otherwise.
  if (state === 'open') {
    // BOLT 11: a payee: after the `timestamp` plus `expiry` has passed: SHOULD NOT accept a payment
    if (nowMs > invoice.expiresAtMs) return 'invoice_expired';
    // BOLT 4: incoming `cltv_expiry` < `current_block_height` + `min_final_cltv_expiry_delta`: MUST return an error
    if (isTooSoon(input, invoice.minFinalCltvDelta)) return 'expiry_too_soon';
  }
  return { kind: 'invoice', ...(preimage === undefined ? {} : { preimage }) };
}

function judgeKeysend(input: FinalInput): Judged {
  const { htlc, payload, policy } = input;
  const { paymentData, amountToForwardMsat } = payload;
  // The hash comes first: a preimage is never given out because of what another HTLC looks like (threat 3).
  const preimage = payload.customRecords.get(keysendRecordType);
  if (preimage === undefined) return 'no_keysend_record';
  if (!policy.acceptKeysend) return 'keysend_disabled';
  if (preimage.length !== 32) return 'preimage_length';
  if (!equalBytes(sha256(preimage), htlc.paymentHash)) return 'preimage_mismatch';
  if (htlc.mustFail !== undefined) return htlc.mustFail;
  // BOLT 4: basic_mpp: MUST require `payment_secret` for all HTLCs in the set. A total comes with one only.
  const totalMsat = totalOf(payload);
  if (paymentData !== undefined && totalMsat > amountToForwardMsat && policy.acceptKeysendParts !== true) {
    return 'partial_payment';
  }
  if (htlc.amountMsat < policy.minAmountMsat && totalMsat < policy.minAmountMsat)
    return 'amount_below_minimum';
  // BOLT 4: cltv_expiry too near for the final node is incorrect_or_unknown_payment_details as well
  if (isTooSoon(input, minClaimBlocks)) return 'expiry_too_soon';
  if (input.isSeen(htlc.paymentHash)) return 'hash_seen_before';
  return { kind: 'keysend', preimage };
}
