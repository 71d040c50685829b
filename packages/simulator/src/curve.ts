import { secp256k1 } from '@rivulet/core/crypto';
import { type CurvePart, toyCurve } from './toyCurve.js';

/** How many results each generation holds. */
const generationSize = 40_000;

/** The results that were asked for last: at least one generation of them, at most two. */
class Memo<T> {
  #young = new Map<string, T>();
  #old = new Map<string, T>();

  get(key: string): T | undefined {
    const found = this.#young.get(key);
    if (found !== undefined) return found;
    const older = this.#old.get(key);
    if (older !== undefined) this.set(key, older);
    return older;
  }

  set(key: string, value: T): void {
    if (this.#young.size >= generationSize) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }
}

function text(...parts: readonly Uint8Array[]): string {
  let key = '';
  for (const part of parts) key += `${String.fromCharCode.apply(null, part as unknown as number[])}|`;
  return key;
}

/** The same curve, with what both ends of a channel compute computed once. */
function memoized(curve: CurvePart): CurvePart {
  const { isPublicKey, publicKey, publicKeyCombine, publicKeyAdd, publicKeyMultiply, ecdh, sign, verify } =
    curve;
  const memo = new Memo<Uint8Array>();
  const signed = new Memo<true>();
  const once = (key: string, compute: () => Uint8Array): Uint8Array => {
    const known = memo.get(key);
    if (known !== undefined) return known.slice();
    const result = compute();
    memo.set(key, result);
    return result.slice();
  };
  const memoPublicKey = (key: Uint8Array) => once(`p${text(key)}`, () => publicKey(key));
  return {
    isPublicKey,
    publicKey: memoPublicKey,
    publicKeyCombine: (keys) => once(`c${text(...keys)}`, () => publicKeyCombine(keys)),
    publicKeyAdd: (key, tweak) => once(`a${text(key, tweak)}`, () => publicKeyAdd(key, tweak)),
    publicKeyMultiply: (key, tweak) => once(`m${text(key, tweak)}`, () => publicKeyMultiply(key, tweak)),
    ecdh: (key, privateKey) => once(`e${text(key, privateKey)}`, () => ecdh(key, privateKey)),
    sign(hash, privateKey) {
      const signature = sign(hash, privateKey);
      // Made here with that key over that hash: it need not be verified to be known as valid.
      signed.set(text(signature, hash, memoPublicKey(privateKey)), true);
      return signature;
    },
    verify: (signature, hash, key) =>
      signed.get(text(signature, hash, key)) === true || verify(signature, hash, key),
  };
}

/** `real` is secp256k1; see `toyCurve` for what `toy` is. */
export type CurveKind = 'real' | 'toy';

/**
 * Puts a memory of the curve's results in its place: in one process both ends of each channel derive the same
 * keys, and one verifies what the other has just signed. All results are as they were; half of the curve's work
 * is saved, and that is most of a simulation's time. Nothing else must use the curve meanwhile where it is the toy.
 * @returns what puts the curve back.
 */
export function replaceCurve(kind: CurveKind): () => void {
  const { isPublicKey, publicKey, publicKeyCombine, publicKeyAdd, publicKeyMultiply } = secp256k1;
  const { ecdh, sign, verify } = secp256k1;
  const before: CurvePart = {
    isPublicKey,
    publicKey,
    publicKeyCombine,
    publicKeyAdd,
    publicKeyMultiply,
    ecdh,
    sign,
    verify,
  };
  Object.assign(secp256k1, kind === 'toy' ? toyCurve : memoized(before));
  return () => Object.assign(secp256k1, before);
}
