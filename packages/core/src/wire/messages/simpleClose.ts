import { bytes32, bytesWithLength, signature, u32, u64 } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';
import { tlv } from '../tlvFields.js';

const fields = {
  channelId: bytes32,
  closerScriptpubkey: bytesWithLength,
  closeeScriptpubkey: bytesWithLength,
  feeSat: u64,
  locktime: u32,
};

/** Signatures for the closing transactions that the two may agree on, by the outputs that remain. */
const closingTlvs = {
  closerOutputOnly: tlv(1, signature),
  closeeOutputOnly: tlv(2, signature),
  closerAndCloseeOutputs: tlv(3, signature),
};

/** The closer proposes closing transactions and pays their fee (BOLT 2, `option_simple_close`). */
export const closingComplete = defineMessage({
  type: 'closing_complete',
  number: 40,
  fields,
  tlvs: closingTlvs,
});

export type ClosingComplete = MessageOf<typeof closingComplete>;

/** The closee signs one of the transactions of a `closing_complete` (BOLT 2, `option_simple_close`). */
export const closingSig = defineMessage({ type: 'closing_sig', number: 41, fields, tlvs: closingTlvs });

export type ClosingSig = MessageOf<typeof closingSig>;
