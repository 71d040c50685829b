import type { Htlc, Settlement } from '../../channel/index.js';
import { sha256 } from '../../crypto/index.js';
import {
  decodeHopPayload,
  type FailureMessage,
  type FinalPayload,
  type ForwardPayload,
  failureCode,
  HopPayloadError,
  peelOnion,
  readFinalPayload,
  readForwardPayload,
} from '../../onion/index.js';

/** What the onion of an HTLC asks of us. */
export type IncomingOnion =
  /** No secret is shared with the sender: this is all that can be answered. */
  | { readonly type: 'malformed'; readonly settlement: Settlement }
  /** To be failed with `failure`. */
  | { readonly type: 'invalid'; readonly sharedSecret: Uint8Array; readonly failure: FailureMessage }
  | {
      readonly type: 'forward';
      readonly sharedSecret: Uint8Array;
      readonly payload: ForwardPayload;
      readonly nextPacket: Uint8Array;
    }
  | { readonly type: 'final'; readonly sharedSecret: Uint8Array; readonly payload: FinalPayload };

/**
 * Takes our layer off the onion of an HTLC that is irrevocably committed and reads it (BOLT 4). Whatever a
 * peer put there, the result says what to do; nothing is thrown.
 */
export function readIncoming({
  htlc,
  nodePrivateKey,
}: {
  htlc: Pick<Htlc, 'onion' | 'paymentHash' | 'pathKey'>;
  nodePrivateKey: Uint8Array;
}): IncomingOnion {
  if (htlc.pathKey !== undefined) {
    // BOLT 2: `path_key` is set in the incoming update_add_htlc: MUST send an update_fail_malformed_htlc with
    // invalid_onion_blinding for any error. That we take part in no blinded route is one.
    return malformed({ type: 'invalid_onion_blinding', sha256OfOnion: sha256(htlc.onion) });
  }
  const peeled = peelOnion({
    privateKey: nodePrivateKey,
    packet: htlc.onion,
    associatedData: htlc.paymentHash,
  });
  switch (peeled.type) {
    case 'malformed':
      return malformed(peeled.failure);
    case 'invalid':
      return peeled;
    case 'forward':
    case 'final': {
      const { sharedSecret } = peeled;
      try {
        return peeled.type === 'final'
          ? { type: 'final', sharedSecret, payload: readFinalPayload(peeled.payload) }
          : {
              type: 'forward',
              sharedSecret,
              payload: readForwardPayload(peeled.payload),
              nextPacket: peeled.nextPacket,
            };
      } catch (error) {
        if (!(error instanceof HopPayloadError)) throw error;
        if (peeled.type === 'forward' && beginsBlindedRoute(peeled.payload)) {
          // BOLT 4: `current_path_key` is set and it is not the final node: MUST return invalid_onion_blinding
          const failure = { type: 'invalid_onion_blinding', sha256OfOnion: sha256(htlc.onion) } as const;
          return { type: 'invalid', sharedSecret, failure };
        }
        return { type: 'invalid', sharedSecret, failure: error.failure };
      }
    }
  }
}

function malformed(
  failure: Extract<FailureMessage, { readonly sha256OfOnion: Uint8Array }>,
): IncomingOnion & { type: 'malformed' } {
  const { sha256OfOnion } = failure;
  return {
    type: 'malformed',
    settlement: { type: 'fail_malformed', sha256OfOnion, failureCode: failureCode(failure) },
  };
}

function beginsBlindedRoute(payload: Uint8Array): boolean {
  try {
    return decodeHopPayload(payload).currentPathKey !== undefined;
  } catch (error) {
    if (error instanceof HopPayloadError) return false;
    throw error;
  }
}
