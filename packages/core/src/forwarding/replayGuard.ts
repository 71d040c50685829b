import { bytesToHex } from '../bytes/index.js';
import { sha256 } from '../crypto/index.js';

interface Seen {
  readonly htlcKey: string;
  readonly expiry: number;
}

/** About 20 MB at most. */
const defaultCapacity = 100_000;

/**
 * Knows the onions that were taken, so that the same one is not taken again (BOLT 4, onion decryption: a packet
 * that was received before). A replay costs us nothing, as its payment hash cannot be changed and a preimage
 * that we know settles it; but who may try again and again sees where the payment goes. Therefore what is
 * forgotten is no danger to funds: the oldest when there are too many, and all at a restart, but for those of
 * pending HTLCs, which are told again.
 */
export class ReplayGuard {
  readonly #capacity: number;
  /** By the first half of the secret's hash, oldest first: the secrets themselves are not kept. */
  readonly #seen = new Map<string, Seen>();

  constructor(capacity = defaultCapacity) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#seen.size;
  }

  /**
   * Whether another HTLC had this onion before; if not, it is remembered. The same HTLC may ask again, as after
   * a restart.
   * @param sharedSecret of the onion, from `peelOnion`: no other onion has it.
   * @param htlcKey names the HTLC for good, for example its channel and id.
   * @param expiry the payload's `outgoing_cltv_value`, which a replay cannot change: once it is past, the onion
   * is refused for it.
   */
  isReplay({
    sharedSecret,
    htlcKey,
    expiry,
  }: {
    sharedSecret: Uint8Array;
    htlcKey: string;
    expiry: number;
  }): boolean {
    const digest = bytesToHex(sha256(sharedSecret).subarray(0, 16));
    const seen = this.#seen.get(digest);
    if (seen !== undefined) return seen.htlcKey !== htlcKey;
    if (this.#seen.size >= this.#capacity) {
      const [oldest] = this.#seen.keys();
      if (oldest !== undefined) this.#seen.delete(oldest);
    }
    this.#seen.set(digest, { htlcKey, expiry });
    return false;
  }

  /** Forgets what would be refused for its expiry at this height. Once a block is enough. */
  prune(blockHeight: number): void {
    for (const [digest, { expiry }] of this.#seen) if (expiry <= blockHeight) this.#seen.delete(digest);
  }
}
