import { bytes32, bytesWithLength, fixedBytes, u16, u64 } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';
import { tlv } from '../tlvFields.js';

/** 20 hold times of 4 bytes and 210 truncated HMACs of 4 bytes, still obfuscated (BOLT 4). */
const attributionData = tlv(1, fixedBytes(20 * 4 + 210 * 4));

/** Settles an HTLC with its preimage (BOLT 2). `attributionData`: 920 bytes, see BOLT 4. */
export const updateFulfillHtlc = defineMessage({
  type: 'update_fulfill_htlc',
  number: 130,
  fields: { channelId: bytes32, id: u64, paymentPreimage: bytes32 },
  tlvs: { attributionData },
});

export type UpdateFulfillHtlc = MessageOf<typeof updateFulfillHtlc>;

/** Fails an HTLC (BOLT 2). `reason`: an encrypted failure onion. `attributionData`: 920 bytes, see BOLT 4. */
export const updateFailHtlc = defineMessage({
  type: 'update_fail_htlc',
  number: 131,
  fields: { channelId: bytes32, id: u64, reason: bytesWithLength },
  tlvs: { attributionData },
});

export type UpdateFailHtlc = MessageOf<typeof updateFailHtlc>;

/** Fails an HTLC whose onion could not be read (BOLT 2). */
export const updateFailMalformedHtlc = defineMessage({
  type: 'update_fail_malformed_htlc',
  number: 135,
  fields: { channelId: bytes32, id: u64, sha256OfOnion: bytes32, failureCode: u16 },
});

export type UpdateFailMalformedHtlc = MessageOf<typeof updateFailMalformedHtlc>;
