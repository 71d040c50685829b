const letters = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const generator = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
const checksumLength = 6;

/** BIP 173: the checksum's state after one more word. */
function step(state: number, word: number): number {
  let next = ((state & 0x1ff_ffff) << 5) ^ word;
  for (const [bit, factor] of generator.entries()) if ((state >> (25 + bit)) & 1) next ^= factor;
  return next;
}

/**
 * The words of a text in Bech32 without its checksum; `undefined` where that is wrong. What only reads has no use for
 * the library that also writes.
 * @param text in lower case and of printable ASCII; after `separator`, letters of Bech32 alone, six or more.
 */
export function bech32Words(text: string, separator: number): Uint8Array | undefined {
  let state = 1;
  for (let at = 0; at < separator; at++) state = step(state, text.charCodeAt(at) >> 5);
  state = step(state, 0);
  for (let at = 0; at < separator; at++) state = step(state, text.charCodeAt(at) & 31);
  const words = Uint8Array.from(text.slice(separator + 1), (letter) => letters.indexOf(letter));
  for (const word of words) state = step(state, word);
  return state === 1 ? words.subarray(0, -checksumLength) : undefined;
}
