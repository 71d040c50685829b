import { bytes32, u8 } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';

/** "Something fundamental is underway": asks to make the channel quiescent (BOLT 2, `option_quiesce`). */
export const stfu = defineMessage({ type: 'stfu', number: 2, fields: { channelId: bytes32, initiator: u8 } });

export type Stfu = MessageOf<typeof stfu>;
