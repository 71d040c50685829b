import { type ChannelUpdate, encodeMessage } from '../wire/index.js';
import { crc32c } from './crc32c.js';

/** Where the chain hash begins: behind the type number and the signature. */
const SIGNED = 2 + 64;
/** Where the timestamp begins: behind chain hash and short channel id. */
const TIMESTAMP = SIGNED + 32 + 8;
const AFTER_TIMESTAMP = TIMESTAMP + 4;

/**
 * The checksum of a `channel_update` for `reply_channel_range` (BOLT 7): CRC32C of it without type number,
 * signature and timestamp, so that two updates with the same terms have the same.
 */
export function channelUpdateChecksum(update: ChannelUpdate): number {
  const encoded = encodeMessage(update);
  return crc32c(encoded.subarray(SIGNED, TIMESTAMP), encoded.subarray(AFTER_TIMESTAMP));
}
