import { compareBytes, hexToBytes } from '@rivulet/core/bytes';
import { decodeZbase32, encodeZbase32 } from '@rivulet/core/tower';

/** The first byte (31 + recovery id), r and s. */
export const signatureLength = 65;
/** In zbase32, with nothing left over: each signature has one text. */
const signatureLetters = 104;

/** The 65 bytes of a signature in zbase32; `undefined` for any other text. */
export function signatureFromText(text: string): Uint8Array | undefined {
  return text.length === signatureLetters ? decodeZbase32(text) : undefined;
}

/** What the functions of a node take and give: 104 characters. */
export function signatureToText(bytes: Uint8Array): string {
  if (bytes.length !== signatureLength) throw new RangeError(`a signature has ${signatureLength} bytes`);
  return encodeZbase32(bytes);
}

/** Half the order of secp256k1, rounded down: the largest s that is made. */
const highestS = hexToBytes('7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0');

export function isLowS(signature: Uint8Array): boolean {
  return compareBytes(signature.subarray(33), highestS) <= 0;
}
