import { RivuletError } from '../../bytes/index.js';
import type { RouteHop } from '../../graph/index.js';
import { type ChannelUpdate, decodeMessage } from '../../wire/index.js';
import type { LearnedPolicy } from './sending.js';

const typeNumber = Uint8Array.of(1, 2);

/**
 * The terms that a failure brings for the channel that the HTLC should have gone into; nothing where they are
 * absent, unreadable or of another channel. The signature is not looked at, nor the timestamp: the channel's
 * owner is proved to have written the failure, and nobody but this payment is told (BOLT 4: MUST NOT expose
 * the `channel_update` to third-parties).
 */
export function readPolicy(channelUpdate: Uint8Array, hop: RouteHop): LearnedPolicy | undefined {
  const update = readUpdate(channelUpdate);
  if (update === undefined) return undefined;
  // BOLT 4: MUST set `short_channel_id` to the `short_channel_id` used by the incoming onion
  if (update.shortChannelId !== hop.shortChannelId) return undefined;
  if ((update.channelFlags & 1) !== hop.direction) return undefined;
  const { feeBaseMsat, feeProportionalMillionths, cltvExpiryDelta, htlcMinimumMsat, htlcMaximumMsat } =
    update;
  if (htlcMinimumMsat > htlcMaximumMsat) return undefined;
  return { feeBaseMsat, feeProportionalMillionths, cltvExpiryDelta, htlcMinimumMsat, htlcMaximumMsat };
}

/** Some nodes leave out the type that a message begins with. */
function readUpdate(bytes: Uint8Array): ChannelUpdate | undefined {
  return decodeUpdate(bytes) ?? decodeUpdate(Uint8Array.of(...typeNumber, ...bytes));
}

function decodeUpdate(bytes: Uint8Array): ChannelUpdate | undefined {
  if (bytes[0] !== typeNumber[0] || bytes[1] !== typeNumber[1]) return undefined;
  try {
    const message = decodeMessage(bytes);
    return message.type === 'channel_update' ? message : undefined;
  } catch (error) {
    if (error instanceof RivuletError) return undefined;
    throw error;
  }
}
