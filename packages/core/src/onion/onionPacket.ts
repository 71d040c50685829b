/** What `hop_payloads` of a payment's onion has (BOLT 4). */
export const paymentPayloadsLength = 1300;
/** The version byte and the ephemeral public key. */
export const packetHeaderLength = 34;
export const hmacLength = 32;
/** What a packet has besides its hop payloads. */
export const packetOverhead = packetHeaderLength + hmacLength;

/** The bytes that a hop's payload takes in the onion, with its length prefix and its HMAC. */
export function hopLength(payloadLength: number): number {
  const prefix = payloadLength < 0xfd ? 1 : payloadLength < 0x1_0000 ? 3 : 5;
  return prefix + payloadLength + hmacLength;
}

/**
 * How many bytes of the onion are left over when its hops have payloads of these lengths (each without
 * length prefix and HMAC); negative when they do not fit.
 */
export function onionBytesLeft(
  payloadLengths: readonly number[],
  payloadsLength: number = paymentPayloadsLength,
): number {
  return payloadLengths.reduce((left, length) => left - hopLength(length), payloadsLength);
}
