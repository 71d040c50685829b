import { bytes32, u16 } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';
import { tlv } from '../tlvFields.js';

/** The next `batchSize` messages belong together (BOLT 2, splicing). */
export const startBatch = defineMessage({
  type: 'start_batch',
  number: 127,
  fields: { channelId: bytes32, batchSize: u16 },
  tlvs: { messageType: tlv(1, u16) },
});

export type StartBatch = MessageOf<typeof startBatch>;
