import { bytes32, signature, u16 } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';

/**
 * Names the funding output and signs the fundee's first commitment (BOLT 2). `fundingTxid` is in internal
 * byte order.
 */
export const fundingCreated = defineMessage({
  type: 'funding_created',
  number: 34,
  fields: { temporaryChannelId: bytes32, fundingTxid: bytes32, fundingOutputIndex: u16, signature },
});

export type FundingCreated = MessageOf<typeof fundingCreated>;

/** Signs the funder's first commitment: the funding transaction may now be published (BOLT 2). */
export const fundingSigned = defineMessage({
  type: 'funding_signed',
  number: 35,
  fields: { channelId: bytes32, signature },
});

export type FundingSigned = MessageOf<typeof fundingSigned>;
