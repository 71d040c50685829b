import { RivuletError } from './rivuletError.js';

export class HexError extends RivuletError<'hex_invalid'> {
  constructor(message: string) {
    super('hex_invalid', message);
  }
}

const pairs = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Lower-case hexadecimal. */
export function bytesToHex(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i++) text += pairs[bytes[i] as number];
  return text;
}

function nibble(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  if (code >= 97 && code <= 102) return code - 87;
  if (code >= 65 && code <= 70) return code - 55;
  return -1;
}

/**
 * Reads hexadecimal of either case.
 * @throws HexError on an odd length or a character that is no hex digit.
 */
export function hexToBytes(text: string): Uint8Array {
  if (text.length % 2 !== 0) throw new HexError('hex text has an odd number of digits');
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    const high = nibble(text.charCodeAt(2 * i));
    const low = nibble(text.charCodeAt(2 * i + 1));
    if (high < 0 || low < 0) throw new HexError(`hex text has an invalid digit near position ${2 * i}`);
    bytes[i] = (high << 4) | low;
  }
  return bytes;
}
