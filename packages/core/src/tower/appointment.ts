import { ByteWriter, bytesToHex, utf8ToBytes } from '../bytes/index.js';
import { CryptoError, decryptAead, encryptAead, sha256 } from '../crypto/index.js';
import { decodeTransaction, encodeTransaction, type Transaction, TransactionError } from '../tx/index.js';

/**
 * What a tower is given for one revoked commitment: the beginning of its txid, by which the tower finds it in
 * a block, and the penalty transaction, which only the whole txid opens (the protocol of The Eye of Satoshi,
 * after the draft of a watchtower BOLT).
 */
export interface Appointment {
  /** 16 bytes. */
  readonly locator: Uint8Array;
  readonly encryptedBlob: Uint8Array;
  /** The delay of the cheater's own output, in blocks; u32. */
  readonly toSelfDelay: number;
}

export const locatorBytes = 16;
/** What one slot of a subscription holds of a blob. */
export const slotBytes = 2048;

const nonce = new Uint8Array(12);

/** The first half of a txid in internal byte order. */
export function locatorOf(txid: Uint8Array): Uint8Array {
  return txid.slice(0, locatorBytes);
}

/** The penalty under the hash of the txid (internal byte order): ChaCha20-Poly1305 with a nonce of zeros. */
export function encryptPenalty(penalty: Transaction, disputeTxid: Uint8Array): Uint8Array {
  return encryptAead({ key: sha256(disputeTxid), nonce, plaintext: encodeTransaction(penalty) });
}

/** `undefined` where the txid does not open the blob, or no transaction is in it. */
export function decryptPenalty(encryptedBlob: Uint8Array, disputeTxid: Uint8Array): Transaction | undefined {
  try {
    return decodeTransaction(decryptAead({ key: sha256(disputeTxid), nonce, ciphertext: encryptedBlob }));
  } catch (error) {
    if (error instanceof CryptoError || error instanceof TransactionError) return undefined;
    throw error;
  }
}

/** The slots that a blob takes of a subscription. */
export function slotsOf(blobLength: number): number {
  return Math.ceil(blobLength / slotBytes);
}

/** What the user signs to add an appointment. */
export function appointmentMessage({ locator, encryptedBlob, toSelfDelay }: Appointment): Uint8Array {
  return new ByteWriter(locator.length + encryptedBlob.length + 4)
    .bytes(locator)
    .bytes(encryptedBlob)
    .u32(toSelfDelay)
    .finish();
}

/** What the user signs to ask for an appointment of its own. */
export function getAppointmentMessage(locator: Uint8Array): Uint8Array {
  return utf8ToBytes(`get appointment ${bytesToHex(locator)}`);
}

/** What the user signs to ask for its subscription. */
export const subscriptionMessage = utf8ToBytes('get subscription info');
