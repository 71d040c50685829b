import type { Outpoint } from '@rivulet/core/tx';

/**
 * Which channels an outpoint may belong to: by 52 bits of it, so that 50,000 channels take some megabytes. Who finds
 * one compares the whole id of the transaction.
 */
export class FundingIndex {
  readonly #ids = new Map<number, readonly bigint[]>();

  find(outpoint: Outpoint): readonly bigint[] {
    return this.#ids.get(keyOf(outpoint)) ?? [];
  }

  add(outpoint: Outpoint, shortChannelId: bigint): void {
    const key = keyOf(outpoint);
    const known = this.#ids.get(key) ?? [];
    if (!known.includes(shortChannelId)) this.#ids.set(key, [...known, shortChannelId]);
  }

  remove(outpoint: Outpoint, shortChannelId: bigint): void {
    const key = keyOf(outpoint);
    const rest = (this.#ids.get(key) ?? []).filter((id) => id !== shortChannelId);
    if (rest.length === 0) this.#ids.delete(key);
    else this.#ids.set(key, rest);
  }
}

function keyOf({ txid, index }: Outpoint): number {
  let key = 0;
  for (let i = 0; i < 6; i++) key = key * 256 + (txid[i] as number);
  return key * 16 + (index & 15);
}
