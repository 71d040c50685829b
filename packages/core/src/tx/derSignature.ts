import type { SighashType } from './sighash.js';
import { TransactionError } from './transactionError.js';

/** Where the value of a 32-byte big-endian integer starts, without its leading zeros. */
function firstByte(signature: Uint8Array, from: number): number {
  let start = from;
  while (start < from + 31 && signature[start] === 0) start++;
  return start;
}

/** A 64-byte compact signature as a witness holds it: DER with the sighash byte behind. */
export function signatureToDer(signature: Uint8Array, sighashType: SighashType): Uint8Array {
  const rStart = firstByte(signature, 0);
  const sStart = firstByte(signature, 32);
  const rPad = (signature[rStart] as number) >= 0x80 ? 1 : 0;
  const sPad = (signature[sStart] as number) >= 0x80 ? 1 : 0;
  const rLength = 32 - rStart + rPad;
  const sLength = 64 - sStart + sPad;
  const der = new Uint8Array(7 + rLength + sLength);
  der.set([0x30, 4 + rLength + sLength, 0x02, rLength]);
  der.set(signature.subarray(rStart, 32), 4 + rPad);
  der.set([0x02, sLength], 4 + rLength);
  der.set(signature.subarray(sStart, 64), 6 + rLength + sPad);
  der[6 + rLength + sLength] = sighashType;
  return der;
}

/** Copies the DER integer at `offset` into 32 bytes; returns the offset behind it. */
function readInteger({
  der,
  offset,
  target,
}: {
  der: Uint8Array;
  offset: number;
  target: Uint8Array;
}): number {
  const length = der[offset + 1] as number;
  const end = offset + 2 + length;
  const value = der.subarray(offset + 2, end);
  const padded = value[0] === 0 && length > 1;
  const canonical =
    der[offset] === 0x02 &&
    length > 0 &&
    value.length === length &&
    (value[0] as number) < 0x80 &&
    (!padded || (value[1] as number) >= 0x80);
  const digits = padded ? value.subarray(1) : value;
  if (!canonical || digits.length > 32) throw new TransactionError('the signature is no strict DER (BIP 66)');
  target.set(digits, 32 - digits.length);
  return end;
}

/**
 * Reads a witness's signature: strict DER (BIP 66) and the sighash byte.
 * @throws TransactionError when it is malformed.
 */
export function signatureFromDer(der: Uint8Array): { signature: Uint8Array; sighashType: number } {
  const length = der.length;
  if (length < 9 || length > 73 || der[0] !== 0x30 || der[1] !== length - 3) {
    throw new TransactionError('the signature is no strict DER (BIP 66)');
  }
  const body = der.subarray(0, length - 1);
  const signature = new Uint8Array(64);
  const middle = readInteger({ der: body, offset: 2, target: signature.subarray(0, 32) });
  const end = readInteger({ der: body, offset: middle, target: signature.subarray(32) });
  if (end !== length - 1) throw new TransactionError('the signature is no strict DER (BIP 66)');
  return { signature, sighashType: der[length - 1] as number };
}
