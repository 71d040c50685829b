const alphabet = 'ybndrfg8ejkmcpqxot1uwisza345h769';
const values = new Map([...alphabet].map((letter, value) => [letter, value]));

/** Zooko's base 32: five bits a letter, the highest first; the last letter is filled with zero bits. */
export function encodeZbase32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let count = 0;
  for (const byte of bytes) {
    bits = ((bits << 8) | byte) & 0xfff;
    count += 8;
    while (count >= 5) {
      count -= 5;
      text += alphabet[(bits >> count) & 31];
    }
  }
  return count === 0 ? text : text + alphabet[(bits << (5 - count)) & 31];
}

/** The bytes of a text, without the bits that fill its last letter; `undefined` for any other letter. */
export function decodeZbase32(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array((text.length * 5) >> 3);
  let bits = 0;
  let count = 0;
  let length = 0;
  for (const letter of text) {
    const value = values.get(letter);
    if (value === undefined) return undefined;
    bits = ((bits << 5) | value) & 0xfff;
    count += 5;
    if (count < 8) continue;
    count -= 8;
    bytes[length++] = (bits >> count) & 0xff;
  }
  return bytes;
}
