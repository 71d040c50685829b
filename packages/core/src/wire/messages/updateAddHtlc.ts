import { bytes32, fixedBytes, point, u32, u64 } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';
import { tlv } from '../tlvFields.js';

/** Offers an HTLC (BOLT 2). `pathKey`: the BOLT's `blinded_path` record, inside a blinded route. */
export const updateAddHtlc = defineMessage({
  type: 'update_add_htlc',
  number: 128,
  fields: {
    channelId: bytes32,
    id: u64,
    amountMsat: u64,
    paymentHash: bytes32,
    cltvExpiry: u32,
    onionRoutingPacket: fixedBytes(1366),
  },
  tlvs: { pathKey: tlv(0, point) },
});

export type UpdateAddHtlc = MessageOf<typeof updateAddHtlc>;
