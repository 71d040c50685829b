import { bytes32, signature, u8, u16, u32, u64 } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';

/**
 * One end's terms for relaying through a channel (BOLT 7). Encodes to exactly the bytes it came from.
 * `channelFlags` bit 0: direction, bit 1: disabled. `messageFlags` bit 1: do not forward. `timestamp`:
 * seconds. `feeBaseMsat` is a `u32`, and so a number.
 */
export const channelUpdate = defineMessage({
  type: 'channel_update',
  number: 258,
  fields: {
    signature,
    chainHash: bytes32,
    shortChannelId: u64,
    timestamp: u32,
    messageFlags: u8,
    channelFlags: u8,
    cltvExpiryDelta: u16,
    htlcMinimumMsat: u64,
    feeBaseMsat: u32,
    feeProportionalMillionths: u32,
    htlcMaximumMsat: u64,
  },
  extension: 'raw',
});

export type ChannelUpdate = MessageOf<typeof channelUpdate>;
