import { bytes32, signature, struct, u64 } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';
import { tlv } from '../tlvFields.js';

/** A proposal in the older fee negotiation of a cooperative close (BOLT 2). */
export const closingSigned = defineMessage({
  type: 'closing_signed',
  number: 39,
  fields: { channelId: bytes32, feeSat: u64, signature },
  tlvs: { feeRange: tlv(1, struct({ minFeeSat: u64, maxFeeSat: u64 })) },
});

export type ClosingSigned = MessageOf<typeof closingSigned>;
