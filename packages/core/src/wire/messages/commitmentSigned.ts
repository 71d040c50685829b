import { arrayWithCount, bytes32, signature } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';
import { tlv } from '../tlvFields.js';

/**
 * Signs the receiver's next commitment and its HTLC transactions, in the order of their outputs (BOLT 2).
 * `fundingTxid`: which funding, where a splice leaves several.
 */
export const commitmentSigned = defineMessage({
  type: 'commitment_signed',
  number: 132,
  fields: { channelId: bytes32, signature, htlcSignatures: arrayWithCount(signature) },
  tlvs: { fundingTxid: tlv(1, bytes32) },
});

export type CommitmentSigned = MessageOf<typeof commitmentSigned>;
