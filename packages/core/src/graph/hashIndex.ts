export function highWord(value: bigint): number {
  return Number((value >> 32n) & 0xffff_ffffn);
}

export function lowWord(value: bigint): number {
  return Number(value & 0xffff_ffffn);
}

/** Mixes two words into a hash of 32 bits, unsigned. */
export function hashWords(high: number, low: number): number {
  let hash = Math.imul(high ^ 0x9e37_79b9, 0x85eb_ca6b) ^ low;
  hash = Math.imul(hash ^ (hash >>> 16), 0xc2b2_ae35);
  hash = Math.imul(hash ^ (hash >>> 13), 0x27d4_eb2f);
  return (hash ^ (hash >>> 15)) >>> 0;
}

const leastSlots = 64;

/**
 * From a hash to the index of a row that the owner keeps elsewhere: open addressing with linear probing in
 * one typed array, at most half full. A row's hash must not change while it is in here.
 */
export class HashIndex {
  /** Index + 1; 0 where the slot is empty. */
  slots = new Int32Array(leastSlots);
  count = 0;
  readonly #hashOf: (index: number) => number;

  /** @param hashOf the hash of a row that is in here. */
  constructor(hashOf: (index: number) => number) {
    this.#hashOf = hashOf;
  }

  /** The index of the row with this hash for which `matches` holds, or -1. */
  find(hash: number, matches: (index: number) => boolean): number {
    const { slots } = this;
    const mask = slots.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const index = (slots[at] as number) - 1;
      if (index < 0 || matches(index)) return index;
    }
  }

  add(index: number): void {
    if (2 * (this.count + 1) > this.slots.length) this.#resize(this.slots.length * 2);
    this.#place(index);
    this.count++;
  }

  /** Takes out a row that is in here. */
  remove(index: number): void {
    const { slots } = this;
    const mask = slots.length - 1;
    let hole = this.#hashOf(index) & mask;
    while (slots[hole] !== index + 1) {
      if (slots[hole] === 0) return;
      hole = (hole + 1) & mask;
    }
    this.count--;
    // What follows moves up, so that no probe ends at the hole before it reaches its row.
    for (let at = (hole + 1) & mask; slots[at] !== 0; at = (at + 1) & mask) {
      const home = this.#hashOf((slots[at] as number) - 1) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      slots[hole] = slots[at] as number;
      hole = at;
    }
    slots[hole] = 0;
  }

  #place(index: number): void {
    const { slots } = this;
    const mask = slots.length - 1;
    let at = this.#hashOf(index) & mask;
    while (slots[at] !== 0) at = (at + 1) & mask;
    slots[at] = index + 1;
  }

  #resize(length: number): void {
    const before = this.slots;
    this.slots = new Int32Array(length);
    for (const slot of before) if (slot !== 0) this.#place(slot - 1);
  }
}
