import { concatBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';

/** Random numbers that follow from a seed alone (sfc32). Not for secrets of real money. */
export class Random {
  readonly #seed: Uint8Array;
  #a: number;
  #b: number;
  #c: number;
  #counter: number;

  constructor(seed: Uint8Array | string) {
    this.#seed = sha256(typeof seed === 'string' ? utf8ToBytes(seed) : seed);
    const view = new DataView(this.#seed.buffer, this.#seed.byteOffset, 32);
    this.#a = view.getUint32(0) | 0;
    this.#b = view.getUint32(4) | 0;
    this.#c = view.getUint32(8) | 0;
    this.#counter = view.getUint32(12) | 0;
    for (let i = 0; i < 12; i++) this.u32();
  }

  /** Numbers of their own for one purpose: what is drawn there changes nothing here. */
  fork(label: string): Random {
    return new Random(concatBytes(this.#seed, utf8ToBytes(label)));
  }

  u32(): number {
    const t = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + t) | 0;
    return t >>> 0;
  }

  /** From 0 to below 1. */
  next(): number {
    return this.u32() / 2 ** 32;
  }

  /** An integer from 0 to below `limit`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  between(least: number, most: number): number {
    return least + this.next() * (most - least);
  }

  /** Each order of magnitude is as likely as any other. */
  logUniform(least: number, most: number): number {
    return Math.exp(this.between(Math.log(least), Math.log(most)));
  }

  logNormal(median: number, sigma: number): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
    return median * Math.exp(sigma * radius * Math.cos(2 * Math.PI * this.next()));
  }

  exponential(mean: number): number {
    return -mean * Math.log(1 - this.next());
  }

  /** @throws Error for an empty list. */
  pick<T>(from: readonly T[]): T {
    if (from.length === 0) throw new Error('there is nothing to pick from');
    return from[this.below(from.length)] as T;
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let i = 0; i < count; i++) bytes[i] = this.u32() & 0xff;
    return bytes;
  }

  privateKey(): Uint8Array {
    for (;;) {
      const key = this.bytes(32);
      if (secp256k1.isPrivateKey(key)) return key;
    }
  }
}
