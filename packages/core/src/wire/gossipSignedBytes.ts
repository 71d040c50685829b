import { RivuletError } from '../bytes/index.js';

/** Asked for the signed part of something that is no signed gossip message. */
export class GossipBytesError extends RivuletError<'gossip_bytes_invalid'> {
  constructor(message: string) {
    super('gossip_bytes_invalid', message);
  }
}

/** How many signatures of 64 bytes each signed message starts with, by its type number. */
const signatureCounts: Readonly<Record<number, number>> = { 256: 4, 257: 1, 258: 1 };

/**
 * The part of an encoded `channel_announcement`, `node_announcement` or `channel_update` (BOLT 7) that its
 * signatures cover: all after the last signature, unknown bytes too. What is signed is its sha256d.
 * Before signing, encode the message with zeros for signatures.
 * @param encoded the whole message, as encodeMessage makes it or as it came.
 * @throws GossipBytesError
 */
export function gossipSignedBytes(encoded: Uint8Array): Uint8Array {
  const typeNumber = ((encoded[0] ?? 0) << 8) | (encoded[1] ?? 0);
  const signatures = signatureCounts[typeNumber];
  if (signatures === undefined) throw new GossipBytesError(`message ${typeNumber} is not signed gossip`);
  const start = 2 + 64 * signatures;
  if (encoded.length <= start) throw new GossipBytesError(`message ${typeNumber} ends inside its signatures`);
  return encoded.subarray(start);
}
