import { equalBytes } from '../bytes/index.js';
import type { Htlc, Settlement } from '../channel/index.js';
import { sha256 } from '../crypto/index.js';
import {
  createFailureOnion,
  type FailureMessage,
  type FinalPayload,
  failureCode,
  HopPayloadError,
  peelOnion,
  readFinalPayload,
} from '../onion/index.js';
import { keysendRecordType } from './keysend.js';

/** BOLT 2: the time that a final node needs to claim on chain, 2R+G+S. */
const minFinalCltvDelta = 18;

/** What the receiver's owner allows. */
export interface ReceivePolicy {
  /** Keysend is opt-in. */
  readonly acceptKeysend: boolean;
  readonly minAmountMsat: bigint;
}

/** Why an HTLC is refused: for the log; the sender learns what BOLT 4 lets it. */
export type RefusalCause =
  | 'keysend_disabled'
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
  | 'not_for_us';

export interface IncomingKeysend {
  readonly paymentHash: Uint8Array;
  readonly preimage: Uint8Array;
  readonly amountMsat: bigint;
  /** Every record of the sender but the preimage. */
  readonly customRecords: ReadonlyMap<bigint, Uint8Array>;
}

export type IncomingDecision =
  | { readonly type: 'accept'; readonly payment: IncomingKeysend; readonly settlement: Settlement }
  | { readonly type: 'refuse'; readonly cause: RefusalCause; readonly settlement: Settlement };

export interface IncomingInput {
  /** Irrevocably committed. */
  readonly htlc: Htlc;
  readonly nodePrivateKey: Uint8Array;
  readonly blockHeight: number;
  readonly policy: ReceivePolicy;
  /** Whether a payment with this hash, or this preimage, was ever received or sent. */
  readonly isSeen: (paymentHash: Uint8Array) => boolean;
}

/** Decides what becomes of an HTLC that a peer offers: a keysend to us, or a failure. */
export function decideIncoming(input: IncomingInput): IncomingDecision {
  const { htlc, nodePrivateKey } = input;
  const peeled = peelOnion({
    privateKey: nodePrivateKey,
    packet: htlc.onion,
    associatedData: htlc.paymentHash,
  });
  switch (peeled.type) {
    case 'malformed': {
      const { failure } = peeled;
      return {
        type: 'refuse',
        cause: 'onion_malformed',
        settlement: {
          type: 'fail_malformed',
          sha256OfOnion: failure.sha256OfOnion,
          failureCode: failureCode(failure),
        },
      };
    }
    case 'invalid':
      return refuse(peeled.sharedSecret, { cause: 'payload_invalid', failure: peeled.failure });
    case 'forward':
      return refuse(peeled.sharedSecret, { cause: 'not_for_us', failure: { type: 'unknown_next_peer' } });
    case 'final':
      return decideFinal(input, peeled);
  }
}

function refuse(
  sharedSecret: Uint8Array,
  { cause, failure }: { cause: RefusalCause; failure: FailureMessage },
): IncomingDecision {
  return {
    type: 'refuse',
    cause,
    settlement: { type: 'fail', reason: createFailureOnion({ sharedSecret, failure }) },
  };
}

function decideFinal(
  input: IncomingInput,
  { payload, sharedSecret }: { payload: Uint8Array; sharedSecret: Uint8Array },
): IncomingDecision {
  const { htlc, blockHeight } = input;
  let final: FinalPayload;
  try {
    final = readFinalPayload(payload);
  } catch (error) {
    if (!(error instanceof HopPayloadError)) throw error;
    return refuse(sharedSecret, { cause: 'payload_invalid', failure: error.failure });
  }
  // BOLT 4: final node: the HTLC must be worth what the sender told us, and last as long
  if (htlc.amountMsat < final.amountToForwardMsat) {
    return refuse(sharedSecret, {
      cause: 'amount_incorrect',
      failure: { type: 'final_incorrect_htlc_amount', incomingHtlcMsat: htlc.amountMsat },
    });
  }
  if (htlc.cltvExpiry < final.outgoingCltvValue) {
    return refuse(sharedSecret, {
      cause: 'expiry_incorrect',
      failure: { type: 'final_incorrect_cltv_expiry', cltvExpiry: htlc.cltvExpiry },
    });
  }
  const judged = judgeKeysend(input, final);
  if (typeof judged === 'string') {
    // bLIP 3, receiver: one answer, whatever the cause, so that nobody can probe for it
    const failure: FailureMessage = {
      type: 'incorrect_or_unknown_payment_details',
      htlcMsat: htlc.amountMsat,
      height: blockHeight,
    };
    return refuse(sharedSecret, { cause: judged, failure });
  }
  const customRecords = new Map(final.customRecords);
  customRecords.delete(keysendRecordType);
  return {
    type: 'accept',
    payment: { paymentHash: htlc.paymentHash, preimage: judged, amountMsat: htlc.amountMsat, customRecords },
    settlement: { type: 'fulfill', preimage: judged },
  };
}

/** The preimage of a keysend that we take, or why we do not. */
function judgeKeysend(input: IncomingInput, final: FinalPayload): Uint8Array | RefusalCause {
  const { htlc, blockHeight, policy } = input;
  // The hash comes first: a preimage is never given out because of what another HTLC looks like (threat 3).
  const preimage = final.customRecords.get(keysendRecordType);
  if (preimage === undefined) return 'no_keysend_record';
  if (!policy.acceptKeysend) return 'keysend_disabled';
  if (preimage.length !== 32) return 'preimage_length';
  if (!equalBytes(sha256(preimage), htlc.paymentHash)) return 'preimage_mismatch';
  if (htlc.mustFail !== undefined) return htlc.mustFail;
  if (final.paymentData !== undefined && final.paymentData.totalMsat > htlc.amountMsat)
    return 'partial_payment';
  if (htlc.amountMsat < policy.minAmountMsat) return 'amount_below_minimum';
  // BOLT 4: cltv_expiry too near for the final node is incorrect_or_unknown_payment_details as well
  if (htlc.cltvExpiry < blockHeight + minFinalCltvDelta + 1) return 'expiry_too_soon';
  if (input.isSeen(htlc.paymentHash)) return 'hash_seen_before';
  return preimage;
}
