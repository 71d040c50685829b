import { bytesWithLength, u16 } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';

/** Asks for a `pong` with `numPongBytes` bytes; from 65532 on, for no answer at all (BOLT 1). */
export const ping = defineMessage({
  type: 'ping',
  number: 18,
  fields: { numPongBytes: u16, ignored: bytesWithLength },
});

export type Ping = MessageOf<typeof ping>;

/** The answer to a `ping` (BOLT 1). */
export const pong = defineMessage({ type: 'pong', number: 19, fields: { ignored: bytesWithLength } });

export type Pong = MessageOf<typeof pong>;
