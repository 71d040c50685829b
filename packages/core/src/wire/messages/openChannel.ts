import { bytes32, point, restBytes, u8, u16, u32, u64 } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';
import { tlv } from '../tlvFields.js';

/**
 * Proposes a channel (BOLT 2, establishment v1). `fundingSat`, `dustLimitSat`, `channelReserveSat`: the
 * BOLT's `*_satoshis`. `channelFlags` bit 0: announce the channel. `channelType`: a feature bit vector.
 */
export const openChannel = defineMessage({
  type: 'open_channel',
  number: 32,
  fields: {
    chainHash: bytes32,
    temporaryChannelId: bytes32,
    fundingSat: u64,
    pushMsat: u64,
    dustLimitSat: u64,
    maxHtlcValueInFlightMsat: u64,
    channelReserveSat: u64,
    htlcMinimumMsat: u64,
    feeratePerKw: u32,
    toSelfDelay: u16,
    maxAcceptedHtlcs: u16,
    fundingPubkey: point,
    revocationBasepoint: point,
    paymentBasepoint: point,
    delayedPaymentBasepoint: point,
    htlcBasepoint: point,
    firstPerCommitmentPoint: point,
    channelFlags: u8,
  },
  tlvs: { upfrontShutdownScript: tlv(0, restBytes), channelType: tlv(1, restBytes) },
});

export type OpenChannel = MessageOf<typeof openChannel>;
