import { bytesToHex, concatBytes, hexToBytes } from '@rivulet/core/bytes';
import { signatureFromText, signatureToText } from './signatureBytes.js';

const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

/** The same signature in its other form, which is as good for the curve. */
export function withHighS(signature: string): string {
  const bytes = signatureFromText(signature)!;
  const s = order - BigInt(`0x${bytesToHex(bytes.subarray(33))}`);
  const header = 31 + ((bytes[0]! - 31) ^ 1);
  return signatureToText(
    concatBytes(Uint8Array.of(header), bytes.subarray(1, 33), hexToBytes(s.toString(16).padStart(64, '0'))),
  );
}
