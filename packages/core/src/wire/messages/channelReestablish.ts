import { bytes32, point, struct, u8, u64 } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';
import { tlv } from '../tlvFields.js';

/** Tells after a reconnection what the sender knows of the channel (BOLT 2). */
export const channelReestablish = defineMessage({
  type: 'channel_reestablish',
  number: 136,
  fields: {
    channelId: bytes32,
    nextCommitmentNumber: u64,
    nextRevocationNumber: u64,
    yourLastPerCommitmentSecret: bytes32,
    myCurrentPerCommitmentPoint: point,
  },
  tlvs: {
    nextFunding: tlv(1, struct({ nextFundingTxid: bytes32, retransmitFlags: u8 })),
    myCurrentFundingLocked: tlv(5, struct({ myCurrentFundingLockedTxid: bytes32, retransmitFlags: u8 })),
  },
});

export type ChannelReestablish = MessageOf<typeof channelReestablish>;
