import { bytes32, bytesWithLength } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';

/** Fails one channel, or all with this peer when `channelId` is zero (BOLT 1). `data` may be any bytes. */
export const errorMessage = defineMessage({
  type: 'error',
  number: 17,
  fields: { channelId: bytes32, data: bytesWithLength },
});

export type ErrorMessage = MessageOf<typeof errorMessage>;

/** Tells of a problem without failing a channel (BOLT 1). */
export const warningMessage = defineMessage({
  type: 'warning',
  number: 1,
  fields: { channelId: bytes32, data: bytesWithLength },
});

export type WarningMessage = MessageOf<typeof warningMessage>;

/** The `data` of an error or a warning as text that is safe to log: what is not printable becomes `?`. */
export function printableData(data: Uint8Array): string {
  // BOLT 1: data that is not all printable ASCII (32 to 126) SHOULD NOT be printed verbatim.
  let text = '';
  for (const byte of data) text += byte >= 32 && byte <= 126 ? String.fromCharCode(byte) : '?';
  return text;
}
