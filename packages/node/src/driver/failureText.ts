import type { Settlement } from '@rivulet/core/channel';
import { secp256k1 } from '@rivulet/core/crypto';
import { decryptFailureOnion, type FailureMessage, failureFromMalformed } from '@rivulet/core/onion';

export interface PaymentFailure {
  /** The name of BOLT 4's failure message, or what else went wrong. */
  readonly code: string;
  /** For people. */
  readonly text: string;
}

const sentences: Partial<Record<FailureMessage['type'], string>> = {
  incorrect_or_unknown_payment_details:
    'the receiver does not take this payment: it may not accept keysend, or not this amount',
  final_incorrect_cltv_expiry: 'the receiver found another expiry than was sent',
  final_incorrect_htlc_amount: 'the receiver found another amount than was sent',
  unknown_next_peer: 'the node took itself for a forwarder and knows no next one',
  invalid_onion_payload: 'the receiver does not understand a record of this payment',
  temporary_node_failure: 'the receiver cannot take payments now; try again later',
  permanent_node_failure: 'the receiver cannot take payments',
  mpp_timeout: 'the receiver waited for more parts than were sent',
};

/** Finds out from a removed HTLC why its payment failed (BOLT 4: Returning Errors). */
export function readPaymentFailure({
  settlement,
  destination,
  sessionKey,
}: {
  settlement: Settlement;
  destination: Uint8Array;
  sessionKey: Uint8Array;
}): PaymentFailure {
  switch (settlement.type) {
    case 'fulfill':
      throw new Error('a fulfilled HTLC has no failure');
    case 'fail_malformed': {
      const failure = failureFromMalformed(settlement.failureCode, settlement.sha256OfOnion);
      return { code: failure.type, text: 'the receiver could not read the onion' };
    }
    case 'fail': {
      const sharedSecrets = [secp256k1.ecdh(destination, sessionKey)];
      const found = decryptFailureOnion({ sharedSecrets, packet: settlement.reason });
      if (found.type === 'unattributable') {
        return { code: 'unattributable', text: 'the payment failed and the reason cannot be read' };
      }
      const type = found.failure?.type ?? 'unknown';
      return { code: type, text: sentences[type] ?? `the receiver failed the payment: ${type}` };
    }
  }
}
