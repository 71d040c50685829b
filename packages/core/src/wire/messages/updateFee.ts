import { bytes32, u32 } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';

/** The funder changes the feerate of the commitments, in satoshi per 1000 weight (BOLT 2). */
export const updateFee = defineMessage({
  type: 'update_fee',
  number: 134,
  fields: { channelId: bytes32, feeratePerKw: u32 },
});

export type UpdateFee = MessageOf<typeof updateFee>;
