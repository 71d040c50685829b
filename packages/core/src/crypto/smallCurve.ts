import { bytesToHex, hexToBytes } from '../bytes/hex.js';
import { CryptoError } from './cryptoError.js';
import type { PublicCurve } from './publicCurve.js';

/** y² = x³ + 7 over the integers modulo p, with a group of n points (SEC 2, secp256k1). */
const p = 2n ** 256n - 2n ** 32n - 977n;
const n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

/** In Jacobian coordinates: the point (x/z², y/z³); infinity where z is 0. */
interface Point {
  readonly x: bigint;
  readonly y: bigint;
  readonly z: bigint;
}

const infinity: Point = { x: 1n, y: 1n, z: 0n };
const generator: Point = {
  x: 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n,
  y: 0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n,
  z: 1n,
};

function mod(value: bigint, modulus = p): bigint {
  const rest = value % modulus;
  return rest < 0n ? rest + modulus : rest;
}

/** By Euclid's extended algorithm; of what is not 0. */
function inverse(value: bigint, modulus = p): bigint {
  let [a, b] = [mod(value, modulus), modulus];
  let [u, v] = [1n, 0n];
  while (a !== 1n) {
    const quotient = b / a;
    [a, b] = [b - quotient * a, a];
    [u, v] = [v - quotient * u, u];
  }
  return mod(u, modulus);
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let [square, left] = [base, exponent]; left > 0n; left >>= 1n) {
    if (left & 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}

/** The point of this x whose y is odd or even; `undefined` where there is none. */
function pointAt(x: bigint, odd: boolean): Point | undefined {
  if (x >= p) return undefined;
  const square = mod(x * x * x + 7n);
  // p is 3 modulo 4
  const root = power(square, (p + 1n) / 4n);
  if (mod(root * root) !== square) return undefined;
  return { x, y: (root & 1n) === (odd ? 1n : 0n) ? root : p - root, z: 1n };
}

function double({ x, y, z }: Point): Point {
  const ySquared = mod(y * y);
  const s = mod(4n * x * ySquared);
  const m = mod(3n * x * x);
  const doubledX = mod(m * m - 2n * s);
  return { x: doubledX, y: mod(m * (s - doubledX) - 8n * ySquared * ySquared), z: mod(2n * y * z) };
}

function add(a: Point, b: Point): Point {
  if (a.z === 0n) return b;
  if (b.z === 0n) return a;
  const aSquared = mod(a.z * a.z);
  const bSquared = mod(b.z * b.z);
  const aX = mod(a.x * bSquared);
  const aY = mod(a.y * bSquared * b.z);
  const h = mod(b.x * aSquared - aX);
  const r = mod(b.y * aSquared * a.z - aY);
  if (h === 0n) return r === 0n ? double(a) : infinity;
  const hSquared = mod(h * h);
  const hCubed = mod(hSquared * h);
  const v = mod(aX * hSquared);
  const x = mod(r * r - hCubed - 2n * v);
  return { x, y: mod(r * (v - x) - aY * hCubed), z: mod(a.z * b.z * h) };
}

/** a·G + b·point. Takes as long as the numbers have ones: for what everybody may know. */
function sumOfProducts(a: bigint, b: bigint, point: Point): Point {
  const both = add(generator, point);
  let sum = infinity;
  for (let bit = 255n; bit >= 0n; bit--) {
    sum = double(sum);
    const [inA, inB] = [(a >> bit) & 1n, (b >> bit) & 1n];
    if (inA && inB) sum = add(sum, both);
    else if (inA) sum = add(sum, generator);
    else if (inB) sum = add(sum, point);
  }
  return sum;
}

function toAffine({ x, y, z }: Point): { x: bigint; y: bigint } {
  const inverted = inverse(z);
  const squared = mod(inverted * inverted);
  return { x: mod(x * squared), y: mod(y * squared * inverted) };
}

function integer(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytesToHex(bytes)}`);
}

function readPoint(publicKey: Uint8Array): Point | undefined {
  const first = publicKey[0];
  if (publicKey.length !== 33 || (first !== 2 && first !== 3)) return undefined;
  return pointAt(integer(publicKey.subarray(1)), first === 3);
}

/** r and s, each from 1 to n - 1. */
function readSignature(signature: Uint8Array): { r: bigint; s: bigint } | undefined {
  if (signature.length !== 64) return undefined;
  const [r, s] = [integer(signature.subarray(0, 32)), integer(signature.subarray(32))];
  return r > 0n && r < n && s > 0n && s < n ? { r, s } : undefined;
}

/**
 * What everybody may compute of the curve, in little code, for where a whole implementation is too much to load
 * (browsers). It knows no secrets, so that the time that it takes tells none: 2 to 10 milliseconds.
 */
export const smallCurve: PublicCurve = {
  isPublicKey: (publicKey) => publicKey instanceof Uint8Array && readPoint(publicKey) !== undefined,

  verify(signature, hash, publicKey) {
    const numbers = readSignature(signature);
    const point = readPoint(publicKey);
    if (numbers === undefined || point === undefined || hash.length !== 32) return false;
    const { r, s } = numbers;
    if (s > n / 2n) return false;
    const w = inverse(s, n);
    const found = sumOfProducts(mod(integer(hash) * w, n), mod(r * w, n), point);
    return found.z !== 0n && mod(toAffine(found).x, n) === r;
  },

  recover(signature, recovery, hash) {
    if (hash.length !== 32) throw new CryptoError('hash_invalid', 'recover: the hash is not 32 bytes');
    const numbers = readSignature(signature);
    if (numbers !== undefined && [0, 1, 2, 3].includes(recovery)) {
      const { r, s } = numbers;
      const nonce = pointAt(recovery & 2 ? r + n : r, (recovery & 1) === 1);
      if (nonce !== undefined) {
        const w = inverse(r, n);
        const key = sumOfProducts(mod(-integer(hash) * w, n), mod(s * w, n), nonce);
        if (key.z !== 0n) {
          const { x, y } = toAffine(key);
          return hexToBytes(`${y & 1n ? '03' : '02'}${x.toString(16).padStart(64, '0')}`);
        }
      }
    }
    throw new CryptoError('signature_invalid', 'recover: no key can have made this signature');
  },
};
