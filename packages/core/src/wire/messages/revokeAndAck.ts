import { bytes32, point } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';

/** Revokes the sender's previous commitment (BOLT 2). */
export const revokeAndAck = defineMessage({
  type: 'revoke_and_ack',
  number: 133,
  fields: { channelId: bytes32, perCommitmentSecret: bytes32, nextPerCommitmentPoint: point },
});

export type RevokeAndAck = MessageOf<typeof revokeAndAck>;
