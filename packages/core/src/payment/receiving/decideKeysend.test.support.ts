import type { Htlc, Settlement } from '../../channel/index.js';
import { createFailureOnion, type FailureMessage } from '../../onion/index.js';
import { judgeFinal, type ReceivePolicy, type RefusalCause, readIncoming, unknownDetails } from './index.js';

interface IncomingKeysend {
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

/** What becomes of an HTLC that a peer offers: a keysend to us in one part, or a failure. As the node puts it together. */
export function decideIncoming(input: IncomingInput): IncomingDecision {
  const { htlc, nodePrivateKey, blockHeight, policy, isSeen } = input;
  const incoming = readIncoming({ htlc, nodePrivateKey });
  switch (incoming.type) {
    case 'malformed':
      return { type: 'refuse', cause: 'onion_malformed', settlement: incoming.settlement };
    case 'invalid':
      return refuse(incoming.sharedSecret, { cause: 'payload_invalid', failure: incoming.failure });
    case 'forward':
      return refuse(incoming.sharedSecret, {
        cause: 'not_for_us',
        failure: { type: 'unknown_next_peer' },
      });
    case 'final': {
      const judged = judgeFinal({
        htlc,
        payload: incoming.payload,
        policy: { ...policy, acceptKeysendParts: false },
        blockHeight,
        // Keysends do not expire.
        nowMs: 0,
        isSeen,
      });
      if (judged.type === 'refuse') return refuse(incoming.sharedSecret, judged);
      const { paymentHash, amountMsat, customRecords, preimage } = judged.set;
      if (preimage === undefined) {
        // Only the invoices of which there are none here lack it.
        const failure = unknownDetails(amountMsat, blockHeight);
        return refuse(incoming.sharedSecret, { cause: 'no_keysend_record', failure });
      }
      return {
        type: 'accept',
        payment: { paymentHash, preimage, amountMsat, customRecords },
        settlement: { type: 'fulfill', preimage },
      };
    }
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
