import { bytes32, bytesWithLength } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';

/** Starts a cooperative close that pays the sender to `scriptpubkey` (BOLT 2). */
export const shutdown = defineMessage({
  type: 'shutdown',
  number: 38,
  fields: { channelId: bytes32, scriptpubkey: bytesWithLength },
});

export type Shutdown = MessageOf<typeof shutdown>;
