import { ByteWriter, equalBytes, utf8ToBytes } from '../bytes/index.js';
import { recoverMessageKey } from './signedMessage.js';

/** What a tower signs when it takes a user on; the numbers are u32, and heights of blocks. */
export interface RegistrationReceipt {
  /** 33 bytes. */
  readonly userId: Uint8Array;
  readonly availableSlots: number;
  readonly subscriptionStart: number;
  readonly subscriptionExpiry: number;
}

/** What a tower signs when it takes an appointment. */
export interface AppointmentReceipt {
  /** The user's own signature of the appointment, as it was sent. */
  readonly userSignature: string;
  /** The height from which on the tower watches; u32. */
  readonly startBlock: number;
}

export function registrationReceiptMessage(receipt: RegistrationReceipt): Uint8Array {
  return new ByteWriter(45)
    .bytes(receipt.userId)
    .u32(receipt.availableSlots)
    .u32(receipt.subscriptionStart)
    .u32(receipt.subscriptionExpiry)
    .finish();
}

export function appointmentReceiptMessage({ userSignature, startBlock }: AppointmentReceipt): Uint8Array {
  return new ByteWriter(108).bytes(utf8ToBytes(userSignature)).u32(startBlock).finish();
}

/** Whether a receipt was signed by this tower (33 bytes). */
export function isReceiptSigned(
  message: Uint8Array,
  { signature, towerId }: { signature: string; towerId: Uint8Array },
): boolean {
  const signer = recoverMessageKey(message, signature);
  return signer !== undefined && equalBytes(signer, towerId);
}
