import { bech32 } from '@scure/base';

/** 8-bit bytes as 5-bit words, padded with 0 bits. */
export function bytesToWords(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bech32.toWords(bytes));
}

/**
 * 5-bit words as bytes. `undefined` where what is left over is a whole word or not zeros: BOLT 11, writer:
 * MUST pad field data to a multiple of 5 bits, using 0s.
 */
export function wordsToBytes(words: Uint8Array): Uint8Array | undefined {
  const bits = words.length * 5;
  const bytes = wordsToPaddedBytes(words);
  const whole = bits >> 3;
  if ((bits & 7) >= 5 || (bytes[whole] ?? 0) !== 0) return undefined;
  return bytes.subarray(0, whole);
}

/** 5-bit words as bytes, 0 bits appended to the last: the form that is hashed. */
export function wordsToPaddedBytes(words: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.ceil((words.length * 5) / 8));
  for (let i = 0, bit = 0; i < words.length; i++, bit += 5) {
    // A word reaches over two bytes at most.
    const shifted = (words[i] as number) << (11 - (bit & 7));
    (bytes[bit >> 3] as number) |= shifted >> 8;
    if ((shifted & 0xff) !== 0) (bytes[(bit >> 3) + 1] as number) |= shifted & 0xff;
  }
  return bytes;
}

/** Big endian, no leading zero words: 0 has none. `value` is a whole number of at most 53 bits. */
export function integerToWords(value: number): Uint8Array {
  const words: number[] = [];
  for (let left = value; left > 0; left = Math.floor(left / 32)) words.unshift(left % 32);
  return Uint8Array.from(words);
}

/** Big endian. `undefined` above 2^53 - 1. */
export function wordsToInteger(words: Uint8Array): number | undefined {
  let value = 0;
  for (const word of words) {
    value = value * 32 + word;
    if (!Number.isSafeInteger(value)) return undefined;
  }
  return value;
}

/** The words of a big endian bit vector, no leading zero words. */
export function bitsToWords(bits: Uint8Array): Uint8Array {
  const count = Math.ceil((bits.length * 8) / 5);
  const words = new Uint8Array(count);
  for (let bit = 0; bit < bits.length * 8; bit++) {
    const byte = bits[bits.length - 1 - (bit >> 3)] as number;
    const at = count - 1 - Math.floor(bit / 5);
    (words[at] as number) |= ((byte >> (bit & 7)) & 1) << (bit % 5);
  }
  const first = words.findIndex((word) => word !== 0);
  return first < 0 ? new Uint8Array(0) : words.slice(first);
}

/** The shortest big endian bit vector of these words. */
export function wordsToBits(words: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.ceil((words.length * 5) / 8));
  for (let bit = 0; bit < words.length * 5; bit++) {
    const word = words[words.length - 1 - Math.floor(bit / 5)] as number;
    const at = bytes.length - 1 - (bit >> 3);
    (bytes[at] as number) |= ((word >> (bit % 5)) & 1) << (bit & 7);
  }
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? new Uint8Array(0) : bytes.slice(first);
}
