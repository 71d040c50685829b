import { hexToBytes, reverseBytes } from '@rivulet/core/bytes';
import { ChainError } from '../chainError.js';

/** Bytes from a server's hex. @throws ChainError */
export function bytesFromHex(hex: string): Uint8Array {
  try {
    return hexToBytes(hex);
  } catch (cause) {
    throw new ChainError('chain_bad_response', 'the chain server sent hex that is none', { cause });
  }
}

/** A hash in internal byte order from the hex that people see. @throws ChainError */
export function hashFromHex(hex: string): Uint8Array {
  const bytes = bytesFromHex(hex);
  if (bytes.length !== 32) throw new ChainError('chain_bad_response', 'a hash has not 32 bytes');
  return reverseBytes(bytes);
}

/** Satoshis from the number of bitcoin in Bitcoin Core's JSON, exactly. @throws ChainError */
export function satoshis(bitcoins: number): bigint {
  const value = Math.round(bitcoins * 1e8);
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new ChainError('chain_bad_response', 'the chain server sent an impossible amount');
  }
  return BigInt(value);
}
