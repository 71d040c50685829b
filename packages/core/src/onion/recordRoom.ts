import { encodeHopPayload, type HopPayload } from './hopPayload.js';
import { onionBytesLeft, paymentPayloadsLength } from './onionPacket.js';

/**
 * The longest value that a custom record of the final node may have on this route, in bytes; negative when
 * not even an empty record fits.
 * @param forwardPayloadLengths the lengths of the forwarding hops' payloads, as encoded.
 * @param finalPayload the final node's payload; a record of this type in it does not count.
 */
export function customRecordRoom({
  forwardPayloadLengths,
  finalPayload,
  recordType,
}: {
  forwardPayloadLengths: readonly number[];
  finalPayload: HopPayload;
  recordType: bigint;
}): number {
  const others = new Map(finalPayload.customRecords);
  const left = (valueLength: number): number => {
    others.set(recordType, new Uint8Array(valueLength));
    const final = encodeHopPayload({ ...finalPayload, customRecords: others }).length;
    return onionBytesLeft([...forwardPayloadLengths, final]);
  };
  const leftWhenEmpty = left(0);
  if (leftWhenEmpty < 0) return leftWhenEmpty;
  // Length prefixes grow with what they count, so the room is at most a few bytes less than what is left.
  let room = Math.min(leftWhenEmpty, paymentPayloadsLength);
  while (left(room) < 0) room--;
  return room;
}
