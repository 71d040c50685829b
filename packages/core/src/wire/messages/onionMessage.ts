import { bytesWithLength, point } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';

/** Carries an onion that is no payment (BOLT 4, `option_onion_messages`). */
export const onionMessage = defineMessage({
  type: 'onion_message',
  number: 513,
  fields: { pathKey: point, onionMessagePacket: bytesWithLength },
});

export type OnionMessage = MessageOf<typeof onionMessage>;
