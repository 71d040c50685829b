import { secp256k1 } from '@rivulet/core/crypto';

const curveOrder = 0xffff_ffff_ffff_ffff_ffff_ffff_ffff_fffe_baae_dce6_af48_a03b_bfd2_5e8c_d036_4141n;
const fieldPrime = 2n ** 256n - 2n ** 32n - 977n;

function toBigInt(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}

function toBytes32(value: bigint): Uint8Array {
  const bytes = new Uint8Array(32);
  let left = value;
  for (let i = 31; i >= 0; i--) {
    bytes[i] = Number(left & 0xffn);
    left >>= 8n;
  }
  return bytes;
}

/** One DER integer that is positive and as short as possible (BIP 66). */
function isStrictInteger(bytes: Uint8Array): boolean {
  const [first, second] = bytes;
  if (first === undefined || (first & 0x80) !== 0) return false;
  return !(first === 0 && second !== undefined && (second & 0x80) === 0);
}

/** The r and s of a signature as transactions carry it: strict DER (BIP 66), then the hash type. */
export function parseDerSignature(bytes: Uint8Array): { r: bigint; s: bigint } | undefined {
  if (bytes.length < 9 || bytes.length > 73) return undefined;
  if (bytes[0] !== 0x30 || bytes[1] !== bytes.length - 3) return undefined;
  const rLength = bytes[3] as number;
  const sAt = 4 + rLength;
  if (bytes[2] !== 0x02 || bytes[sAt] !== 0x02) return undefined;
  const sLength = bytes[sAt + 1];
  if (sLength === undefined || rLength + sLength + 7 !== bytes.length) return undefined;
  const r = bytes.subarray(4, sAt);
  const s = bytes.subarray(sAt + 2, sAt + 2 + sLength);
  if (!isStrictInteger(r) || !isStrictInteger(s)) return undefined;
  return { r: toBigInt(r), s: toBigInt(s) };
}

/** Whether s is in the lower half of the group (BIP 146). */
export function isLowS(s: bigint): boolean {
  return s <= curveOrder / 2n;
}

export function isCompressedPublicKey(bytes: Uint8Array): boolean {
  return bytes.length === 33 && (bytes[0] === 2 || bytes[0] === 3);
}

export function isUncompressedPublicKey(bytes: Uint8Array): boolean {
  return bytes.length === 65 && bytes[0] === 4;
}

/** The compressed form; `undefined` for bytes that are no point on the curve. */
function compress(publicKey: Uint8Array): Uint8Array | undefined {
  if (isCompressedPublicKey(publicKey)) return publicKey;
  const prefix = publicKey[0];
  const hybrid = prefix === 6 || prefix === 7;
  if (publicKey.length !== 65 || (prefix !== 4 && !hybrid)) return undefined;
  const x = toBigInt(publicKey.subarray(1, 33));
  const y = toBigInt(publicKey.subarray(33));
  if (x >= fieldPrime || y >= fieldPrime) return undefined;
  if ((y * y - x * x * x - 7n) % fieldPrime !== 0n) return undefined;
  const odd = Number(y & 1n);
  if (hybrid && prefix !== 6 + odd) return undefined;
  const compressed = publicKey.slice(0, 33);
  compressed[0] = 2 + odd;
  return compressed;
}

/** Consensus' check of an ECDSA signature: unlike policy and secp256k1.verify it allows a high S. */
export function verifyDerSignature(options: {
  signature: Uint8Array;
  hash: Uint8Array;
  publicKey: Uint8Array;
}): boolean {
  const parsed = parseDerSignature(options.signature);
  const publicKey = compress(options.publicKey);
  if (parsed === undefined || publicKey === undefined) return false;
  const { r } = parsed;
  if (r === 0n || parsed.s === 0n || r >= curveOrder || parsed.s >= curveOrder) return false;
  const compact = new Uint8Array(64);
  compact.set(toBytes32(r));
  compact.set(toBytes32(isLowS(parsed.s) ? parsed.s : curveOrder - parsed.s), 32);
  return secp256k1.verify(compact, options.hash, publicKey);
}
