import { bytes32, point, restBytes, u16, u32, u64 } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';
import { tlv } from '../tlvFields.js';

/** Accepts an `open_channel` (BOLT 2); the limits are those that the sender of this message sets. */
export const acceptChannel = defineMessage({
  type: 'accept_channel',
  number: 33,
  fields: {
    temporaryChannelId: bytes32,
    dustLimitSat: u64,
    maxHtlcValueInFlightMsat: u64,
    channelReserveSat: u64,
    htlcMinimumMsat: u64,
    minimumDepth: u32,
    toSelfDelay: u16,
    maxAcceptedHtlcs: u16,
    fundingPubkey: point,
    revocationBasepoint: point,
    paymentBasepoint: point,
    delayedPaymentBasepoint: point,
    htlcBasepoint: point,
    firstPerCommitmentPoint: point,
  },
  tlvs: { upfrontShutdownScript: tlv(0, restBytes), channelType: tlv(1, restBytes) },
});

export type AcceptChannel = MessageOf<typeof acceptChannel>;
