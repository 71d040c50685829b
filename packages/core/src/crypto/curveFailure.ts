import { secp256k1 as noble } from '@noble/curves/secp256k1.js';
import { compareBytes } from '../bytes/bytes.js';
import { hexToBytes } from '../bytes/hex.js';
import { CryptoError } from './cryptoError.js';

/** The arguments of a curve operation that failed, for finding out which of them was at fault. */
export interface CurveArguments {
  readonly privateKey?: Uint8Array;
  readonly publicKeys?: readonly Uint8Array[];
  readonly tweak?: Uint8Array;
  readonly hash?: Uint8Array;
  readonly signature?: Uint8Array;
  readonly auxiliary?: Uint8Array;
}

const order = hexToBytes('fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141');
const zero = new Uint8Array(32);

/** Whether these are the 32 bytes of an integer below the curve's order; `false` for anything else. */
function isScalar(bytes: Uint8Array): boolean {
  return bytes instanceof Uint8Array && bytes.length === 32 && compareBytes(bytes, order) < 0;
}

/** Whether these are the 32 bytes of an integer from 1 to the curve's order less one. */
export function isNonZeroScalar(bytes: Uint8Array): boolean {
  return isScalar(bytes) && compareBytes(bytes, zero) !== 0;
}

function isBytes(value: Uint8Array, length: number): boolean {
  return value instanceof Uint8Array && value.length === length;
}

function isPoint(bytes: Uint8Array): boolean {
  return isBytes(bytes, 33) && noble.utils.isValidPublicKey(bytes, true);
}

/**
 * The typed error of a failed operation, the same for every backend. Looks at the arguments only now,
 * so that the operations that succeed do not pay for it.
 */
export function curveFailure(operation: string, given: CurveArguments): CryptoError {
  const { privateKey, publicKeys, tweak, hash, signature, auxiliary } = given;
  if (privateKey !== undefined && !isNonZeroScalar(privateKey)) {
    return new CryptoError(
      'private_key_invalid',
      `${operation}: the private key is not 32 bytes from 1 to n-1`,
    );
  }
  if (publicKeys !== undefined) {
    if (publicKeys.length === 0) {
      return new CryptoError('public_key_invalid', `${operation}: no public key given`);
    }
    const position = publicKeys.findIndex((key) => !isPoint(key));
    if (position >= 0) {
      return new CryptoError(
        'public_key_invalid',
        `${operation}: public key ${position} is not a compressed point (33 bytes) on the curve`,
      );
    }
  }
  if (tweak !== undefined && !isScalar(tweak)) {
    return new CryptoError('tweak_invalid', `${operation}: the tweak is not 32 bytes below the order`);
  }
  if (hash !== undefined && !isBytes(hash, 32)) {
    return new CryptoError('hash_invalid', `${operation}: the hash is not 32 bytes`);
  }
  if (auxiliary !== undefined && !isBytes(auxiliary, 32)) {
    return new CryptoError('auxiliary_invalid', `${operation}: the auxiliary data is not 32 bytes`);
  }
  if (signature !== undefined) {
    return new CryptoError('signature_invalid', `${operation}: no key can have made this signature`);
  }
  return new CryptoError('result_invalid', `${operation}: the result is zero or the point at infinity`);
}
