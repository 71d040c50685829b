import { arrayOfRest, bigSize, bytes32, framed, struct, u8, u32, u64 } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';
import { tlv } from '../tlvFields.js';
import { encodedArray } from './encodedArray.js';

/** Asks for the gossip of these channels (BOLT 7). `queryFlags`: what is wanted, one for each channel. */
export const queryShortChannelIds = defineMessage({
  type: 'query_short_channel_ids',
  number: 261,
  fields: { chainHash: bytes32, shortChannelIds: framed(encodedArray(u64)) },
  tlvs: { queryFlags: tlv(1, encodedArray(bigSize)) },
});

export type QueryShortChannelIds = MessageOf<typeof queryShortChannelIds>;

/** Ends the answers to a `query_short_channel_ids` (BOLT 7). `fullInformation`: 0 or 1. */
export const replyShortChannelIdsEnd = defineMessage({
  type: 'reply_short_channel_ids_end',
  number: 262,
  fields: { chainHash: bytes32, fullInformation: u8 },
});

export type ReplyShortChannelIdsEnd = MessageOf<typeof replyShortChannelIdsEnd>;

/** Asks which channels were funded in a range of blocks (BOLT 7). `queryOption` bit 0: timestamps, 1: checksums. */
export const queryChannelRange = defineMessage({
  type: 'query_channel_range',
  number: 263,
  fields: { chainHash: bytes32, firstBlocknum: u32, numberOfBlocks: u32 },
  tlvs: { queryOption: tlv(1, bigSize) },
});

export type QueryChannelRange = MessageOf<typeof queryChannelRange>;

/** Answers a `query_channel_range`, in one message or several (BOLT 7). `syncComplete`: 0 or 1. */
export const replyChannelRange = defineMessage({
  type: 'reply_channel_range',
  number: 264,
  fields: {
    chainHash: bytes32,
    firstBlocknum: u32,
    numberOfBlocks: u32,
    syncComplete: u8,
    shortChannelIds: framed(encodedArray(u64)),
  },
  tlvs: {
    timestamps: tlv(1, encodedArray(struct({ timestampNodeId1: u32, timestampNodeId2: u32 }))),
    checksums: tlv(3, arrayOfRest(struct({ checksumNodeId1: u32, checksumNodeId2: u32 }))),
  },
});

export type ReplyChannelRange = MessageOf<typeof replyChannelRange>;

/** Asks to relay gossip with a timestamp (seconds) in this range from now on (BOLT 7). */
export const gossipTimestampFilter = defineMessage({
  type: 'gossip_timestamp_filter',
  number: 265,
  fields: { chainHash: bytes32, firstTimestamp: u32, timestampRange: u32 },
});

export type GossipTimestampFilter = MessageOf<typeof gossipTimestampFilter>;
