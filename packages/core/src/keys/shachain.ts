import { ByteReader, ByteWriter, equalBytes, RivuletError } from '../bytes/index.js';
import { sha256 } from '../crypto/index.js';

const indexBits = 48;
/** The index of a channel's first per-commitment secret: 2^48 - 1. From there it counts down. */
export const firstShachainIndex = 281_474_976_710_655n;

/**
 * `shachain_inconsistent`: the peer's secret does not belong to the seed of its earlier ones.
 * `shachain_order`: a secret other than the next one. `shachain_invalid`: stored bytes that are no store.
 */
export class ShachainError extends RivuletError<
  'shachain_inconsistent' | 'shachain_order' | 'shachain_invalid'
> {}

/** BOLT 3: derive_secret. The secret at `index` from one whose index differs in the lowest `bits` bits only. */
function deriveSecret({ base, bits, index }: { base: Uint8Array; bits: number; index: bigint }): Uint8Array {
  let secret = base;
  for (let bit = bits - 1; bit >= 0; bit--) {
    if (((index >> BigInt(bit)) & 1n) === 0n) continue;
    const flipped = Uint8Array.from(secret);
    const position = bit >> 3;
    flipped[position] = (flipped[position] as number) ^ (1 << (bit & 7));
    secret = sha256(flipped);
  }
  return secret;
}

/** BOLT 3: generate_from_seed. The per-commitment secret at an index of 48 bits. */
export function perCommitmentSecret(seed: Uint8Array, index: bigint): Uint8Array {
  return deriveSecret({ base: seed, bits: indexBits, index });
}

/** The index of the per-commitment secret of a commitment number: the first commitment is number 0. */
export function shachainIndex(commitmentNumber: bigint): bigint {
  return firstShachainIndex - commitmentNumber;
}

/** BOLT 3: where_to_put_secret. The number of trailing zero bits. */
function bucketOf(index: bigint): number {
  for (let bit = 0; bit < indexBits; bit++) if (((index >> BigInt(bit)) & 1n) === 1n) return bit;
  return indexBits;
}

interface Entry {
  readonly index: bigint;
  readonly secret: Uint8Array;
}

/** The indexes that the buckets hold once all from the first down to `lowest` were inserted. */
function bucketIndexes(lowest: bigint): bigint[] {
  const indexes: bigint[] = [];
  for (let bucket = 0; bucket <= indexBits; bucket++) {
    const step = 1n << BigInt(bucket);
    let index = ((lowest + step - 1n) / step) * step;
    // A multiple of the step with more trailing zeros belongs into a later bucket.
    if (bucket < indexBits && bucketOf(index) !== bucket) index += step;
    if (index > firstShachainIndex) break;
    indexes.push(index);
  }
  return indexes;
}

/**
 * A peer's revealed per-commitment secrets, in at most 49 entries (BOLT 3: Efficient Per-commitment
 * Secret Storage). Immutable: `insert` returns a new store.
 */
export class ShachainStore {
  static readonly empty = new ShachainStore([], firstShachainIndex + 1n);

  readonly #entries: readonly Entry[];
  readonly #lowest: bigint;

  private constructor(entries: readonly Entry[], lowest: bigint) {
    this.#entries = entries;
    this.#lowest = lowest;
  }

  /** The index that the next inserted secret must have. */
  get nextIndex(): bigint {
    return this.#lowest - 1n;
  }

  /**
   * The store with one more secret.
   * @throws ShachainError `shachain_inconsistent` when it does not match the ones before, which the
   * store keeps; `shachain_order` when `index` is not `nextIndex`.
   */
  insert(index: bigint, secret: Uint8Array): ShachainStore {
    if (index !== this.nextIndex || index < 0n) {
      throw new ShachainError(
        'shachain_order',
        `per-commitment secret ${index} came, ${this.nextIndex} is next`,
      );
    }
    const bucket = bucketOf(index);
    for (const known of this.#entries.slice(0, bucket)) {
      // BOLT 3: insert_secret: all that the new secret covers must derive from it
      if (!equalBytes(deriveSecret({ base: secret, bits: bucket, index: known.index }), known.secret)) {
        throw new ShachainError(
          'shachain_inconsistent',
          `per-commitment secret ${index} does not derive secret ${known.index} that the peer gave before`,
        );
      }
    }
    const entries = [...this.#entries];
    entries[bucket] = { index, secret: Uint8Array.from(secret) };
    return new ShachainStore(entries, index);
  }

  /** The secret at an index; `undefined` when it was not received yet. */
  lookup(index: bigint): Uint8Array | undefined {
    if (index < this.#lowest || index > firstShachainIndex) return undefined;
    for (const [bucket, entry] of this.#entries.entries()) {
      if (index >> BigInt(bucket) === entry.index >> BigInt(bucket)) {
        return deriveSecret({ base: entry.secret, bits: bucket, index });
      }
    }
    return undefined;
  }

  /** The stored form: the lowest index (u64) and the secrets by bucket; their indexes follow from it. */
  encode(): Uint8Array {
    const writer = new ByteWriter(8 + 32 * this.#entries.length).u64(this.#lowest);
    for (const { secret } of this.#entries) writer.bytes(secret);
    return writer.finish();
  }

  /** @throws ShachainError `shachain_invalid` when the bytes are no encoded store. */
  static decode(bytes: Uint8Array): ShachainStore {
    const lowest = bytes.length >= 8 ? new ByteReader(bytes).u64() : firstShachainIndex + 2n;
    if (lowest > firstShachainIndex + 1n) {
      throw new ShachainError('shachain_invalid', 'stored per-commitment secrets have no valid lowest index');
    }
    const indexes = bucketIndexes(lowest);
    if (bytes.length !== 8 + 32 * indexes.length) {
      throw new ShachainError(
        'shachain_invalid',
        `stored per-commitment secrets have ${bytes.length} bytes, ${8 + 32 * indexes.length} belong to their index`,
      );
    }
    const entries = indexes.map((index, bucket) => ({
      index,
      secret: bytes.slice(8 + 32 * bucket, 40 + 32 * bucket),
    }));
    return new ShachainStore(entries, lowest);
  }
}
