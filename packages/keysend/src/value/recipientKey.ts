import type { Recipient } from './recipient.js';

/**
 * What says that two rows pay the same account: everything that decides where the money lands, and not the name.
 * Stable: carried dues are kept under it.
 */
export function recipientKey(recipient: Recipient): string {
  return JSON.stringify([
    recipient.type,
    recipient.address,
    recipient.customKey ?? '',
    recipient.customValue ?? '',
  ]);
}

/** The recipient alone, without what a row says of its share. */
export function plainRecipient(recipient: Recipient): Recipient {
  return {
    ...(recipient.name === undefined ? {} : { name: recipient.name }),
    type: recipient.type,
    address: recipient.address,
    ...(recipient.customKey === undefined ? {} : { customKey: recipient.customKey }),
    ...(recipient.customValue === undefined ? {} : { customValue: recipient.customValue }),
  };
}
