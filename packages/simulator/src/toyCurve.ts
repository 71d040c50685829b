import { bytesToHex, concatBytes, equalBytes, hexToBytes } from '@rivulet/core/bytes';
import { type Secp256k1, sha256 } from '@rivulet/core/crypto';

/** The order of secp256k1's group. */
const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const prefix = Uint8Array.of(0x02);

function scalarOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytesToHex(bytes.length === 33 ? bytes.subarray(1) : bytes)}`);
}

/** A "point" is the number that it is a multiple of the generator by. */
function pointOf(scalar: bigint): Uint8Array {
  const reduced = scalar % order;
  if (reduced === 0n) throw new Error('the sum of two keys is zero, which practically never happens');
  return concatBytes(prefix, hexToBytes(reduced.toString(16).padStart(64, '0')));
}

function signatureOf(scalar: Uint8Array, hash: Uint8Array): Uint8Array {
  const signature = concatBytes(sha256(concatBytes(scalar, hash)), sha256(concatBytes(hash, scalar)));
  // Below the order, and S in its lower half.
  signature[0] = (signature[0] as number) & 0x7f;
  signature[32] = (signature[32] as number) & 0x3f;
  return signature;
}

export type CurvePart = Pick<
  Secp256k1,
  | 'isPublicKey'
  | 'publicKey'
  | 'publicKeyCombine'
  | 'publicKeyAdd'
  | 'publicKeyMultiply'
  | 'ecdh'
  | 'sign'
  | 'verify'
>;

/**
 * A group of the same order in which logarithms are no secret: public keys are the private ones. All that the
 * protocol derives, signs and checks has the same relations as on the curve, and a wrong key, hash or signature
 * is as wrong; it protects nothing. For networks whose number of signatures no machine here can make.
 */
export const toyCurve: CurvePart = {
  isPublicKey: (key) => key.length === 33 && key[0] === 0x02 && scalarOf(key) < order && scalarOf(key) !== 0n,
  publicKey: (privateKey) => concatBytes(prefix, privateKey),
  publicKeyCombine: (keys) => pointOf(keys.reduce((sum, key) => sum + scalarOf(key), 0n)),
  publicKeyAdd: (key, tweak) => pointOf(scalarOf(key) + scalarOf(tweak)),
  publicKeyMultiply: (key, tweak) => pointOf(scalarOf(key) * scalarOf(tweak)),
  ecdh: (key, privateKey) => sha256(pointOf(scalarOf(key) * scalarOf(privateKey))),
  sign: (hash, privateKey) => signatureOf(privateKey, hash),
  verify: (signature, hash, key) => equalBytes(signature, signatureOf(key.subarray(1), hash)),
};
