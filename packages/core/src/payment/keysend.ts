import { RivuletError } from '../bytes/index.js';
import type { NewHtlc } from '../channel/index.js';
import { sha256 } from '../crypto/index.js';
import {
  createOnion,
  customRecordRoom,
  encodeHopPayload,
  type HopPayload,
  onionBytesLeft,
} from '../onion/index.js';

/** The onion record that holds the preimage (bLIP 3). */
export const keysendRecordType = 5482373484n;
/** A text message (UTF-8), as the satoshis.stream registry of custom records has it. */
export const messageRecordType = 34349334n;

/**
 * Blocks that the receiver has at least to claim the HTLC. LND asks for 19, Eclair for 30, LDK for 42; the
 * margin is for blocks that arrive on the way.
 */
export const keysendFinalCltvDelta = 80;

export type KeysendErrorCode =
  | 'amount_invalid'
  | 'preimage_invalid'
  | 'records_invalid'
  | 'records_too_large';

export class KeysendError extends RivuletError<KeysendErrorCode> {}

/** A payment that pushes `amountMsat` to a bare public key. */
export interface KeysendRequest {
  /** 33 bytes. */
  readonly destination: Uint8Array;
  readonly amountMsat: bigint;
  /** 32 fresh random bytes, never used before: who knows them can claim the payment. */
  readonly preimage: Uint8Array;
  /** A fresh random private key for the onion. */
  readonly sessionKey: Uint8Array;
  readonly blockHeight: number;
  readonly customRecords: ReadonlyMap<bigint, Uint8Array>;
  readonly finalCltvDelta?: number;
}

export interface Keysend {
  readonly htlc: NewHtlc;
  /** What a failure is decrypted with. */
  readonly sharedSecrets: readonly Uint8Array[];
}

/** All the bitcoin there will ever be: no amount is above. */
const maxAmountMsat = 21_000_000n * 100_000_000n * 1000n;

/**
 * Makes the HTLC of a keysend to a peer that we have a channel with (bLIP 3, sender). One HTLC, no
 * payment_data: the form that every receiver takes.
 * @throws KeysendError where the amount or a record cannot be sent.
 */
export function createKeysend(request: KeysendRequest): Keysend {
  const {
    amountMsat,
    blockHeight,
    customRecords,
    preimage,
    finalCltvDelta = keysendFinalCltvDelta,
  } = request;
  if (amountMsat <= 0n) throw new KeysendError('amount_invalid', 'the amount must be above zero');
  if (amountMsat > maxAmountMsat) {
    throw new KeysendError('amount_invalid', 'the amount is more than all the bitcoin there will be');
  }
  if (preimage.length !== 32) throw new KeysendError('preimage_invalid', 'a preimage has 32 bytes');
  checkRecords(customRecords);
  const cltvExpiry = blockHeight + finalCltvDelta;
  // bLIP 3: MUST include a record of type 5482373484 with the preimage
  const payload: HopPayload = {
    amountToForwardMsat: amountMsat,
    outgoingCltvValue: cltvExpiry,
    customRecords: new Map([...customRecords, [keysendRecordType, preimage]]),
  };
  const encoded = encodeHopPayload(payload);
  if (onionBytesLeft([encoded.length]) < 0) throw tooLarge(payload, customRecords);
  const paymentHash = sha256(preimage);
  const { packet, sharedSecrets } = createOnion({
    sessionKey: request.sessionKey,
    associatedData: paymentHash,
    hops: [{ publicKey: request.destination, payload: encoded }],
  });
  return { htlc: { amountMsat, paymentHash, cltvExpiry, onion: packet }, sharedSecrets };
}

function checkRecords(records: ReadonlyMap<bigint, Uint8Array>): void {
  for (const type of records.keys()) {
    if (type === keysendRecordType) {
      throw new KeysendError('records_invalid', `record ${type} holds the preimage; it is set by Rivulet`);
    }
    // BOLT 4: what is below belongs to the protocol
    if (type < 65536n || type >= 1n << 64n) {
      throw new KeysendError(
        'records_invalid',
        `record ${type}: custom records have types of 65536 and above`,
      );
    }
  }
}

function tooLarge(payload: HopPayload, records: ReadonlyMap<bigint, Uint8Array>): KeysendError {
  const [largest] = [...records].sort(([, a], [, b]) => b.length - a.length);
  if (largest === undefined) return new KeysendError('records_too_large', 'the onion has no room');
  const [type, value] = largest;
  const room = customRecordRoom({ forwardPayloadLengths: [], finalPayload: payload, recordType: type });
  return new KeysendError(
    'records_too_large',
    `the custom records do not fit into the onion: record ${type} has ${value.length} bytes, ` +
      `${room < 0 ? 'none' : room} fit beside the others`,
  );
}
