import { bytesToHex } from '../bytes/index.js';
import { secp256k1 } from '../crypto/index.js';
import { type ChannelBasepoints, type ChannelSecrets, publicBasepoints } from './channelKeys.js';
import { derivePrivateKey, deriveRevocationPrivateKey } from './derivation.js';
import { perCommitmentSecret, shachainIndex } from './shachain.js';

/**
 * The holder of one channel's private keys. It signs hashes with one of the channel's keys and gives
 * out per-commitment points and secrets; which transaction a hash belongs to is decided above (tx/signing.ts).
 * Signatures are 64 bytes compact. A per-commitment point is the one of the commitment whose output is
 * signed: the peer's for its commitments, ours for our own.
 */
export interface ChannelSigner {
  readonly basepoints: ChannelBasepoints;
  /** The point of our own commitment with this number; the first is 0. */
  perCommitmentPoint(commitmentNumber: bigint): Uint8Array;
  /**
   * The secret of our own commitment with this number: giving it out revokes that commitment. Only
   * for a commitment that will never be published.
   */
  perCommitmentSecret(commitmentNumber: bigint): Uint8Array;
  /** Commitments, closing transactions, anchors. */
  signWithFundingKey(hash: Uint8Array): Uint8Array;
  /** HTLC transactions and outputs: one signature for each hash, in order. */
  signWithHtlcKey(perCommitmentPoint: Uint8Array, hashes: readonly Uint8Array[]): Uint8Array[];
  /** Our own `to_local` and second-stage outputs after their delay. */
  signWithDelayedPaymentKey(perCommitmentPoint: Uint8Array, hash: Uint8Array): Uint8Array;
  /** Our `to_remote` output on the peer's commitments. */
  signWithPaymentKey(hash: Uint8Array): Uint8Array;
  /** Outputs of a commitment that the peer has revoked by giving out `secret`. */
  signWithRevocationKey(secret: Uint8Array, hash: Uint8Array): Uint8Array;
}

const cachedKeys = 8;

/** Makes room for one entry more in a cache. */
function dropOldest<Key>(cache: Map<Key, unknown>): void {
  const oldest = cache.keys().next();
  if (cache.size >= cachedKeys && !oldest.done) cache.delete(oldest.value);
}

/** A ChannelSigner that keeps the secrets in memory. */
export class InMemoryChannelSigner implements ChannelSigner {
  readonly basepoints: ChannelBasepoints;
  readonly #secrets: ChannelSecrets;
  /** HTLC private keys by per-commitment point: a commitment signs hundreds of times with the same one. */
  readonly #htlcKeys = new Map<string, Uint8Array>();
  /** Each commitment of ours is asked for three times: as the next one, as the current one, and to revoke it. */
  readonly #commitments = new Map<bigint, { secret: Uint8Array; point: Uint8Array }>();

  constructor(secrets: ChannelSecrets) {
    this.#secrets = secrets;
    this.basepoints = publicBasepoints(secrets);
  }

  perCommitmentPoint(commitmentNumber: bigint): Uint8Array {
    return this.#commitment(commitmentNumber).point.slice();
  }

  perCommitmentSecret(commitmentNumber: bigint): Uint8Array {
    return this.#commitment(commitmentNumber).secret.slice();
  }

  #commitment(number: bigint): { secret: Uint8Array; point: Uint8Array } {
    const cached = this.#commitments.get(number);
    if (cached !== undefined) return cached;
    const secret = perCommitmentSecret(this.#secrets.shachainSeed, shachainIndex(number));
    const made = { secret, point: secp256k1.publicKey(secret) };
    dropOldest(this.#commitments);
    this.#commitments.set(number, made);
    return made;
  }

  signWithFundingKey(hash: Uint8Array): Uint8Array {
    return secp256k1.sign(hash, this.#secrets.fundingPrivateKey);
  }

  signWithHtlcKey(perCommitmentPoint: Uint8Array, hashes: readonly Uint8Array[]): Uint8Array[] {
    if (hashes.length === 0) return [];
    const key = this.#htlcKey(perCommitmentPoint);
    return hashes.map((hash) => secp256k1.sign(hash, key));
  }

  #htlcKey(perCommitmentPoint: Uint8Array): Uint8Array {
    const name = bytesToHex(perCommitmentPoint);
    const cached = this.#htlcKeys.get(name);
    if (cached !== undefined) return cached;
    const key = derivePrivateKey({
      basepointSecret: this.#secrets.htlcBasepointSecret,
      basepoint: this.basepoints.htlcBasepoint,
      perCommitmentPoint,
    });
    dropOldest(this.#htlcKeys);
    this.#htlcKeys.set(name, key);
    return key;
  }

  signWithDelayedPaymentKey(perCommitmentPoint: Uint8Array, hash: Uint8Array): Uint8Array {
    const key = derivePrivateKey({
      basepointSecret: this.#secrets.delayedPaymentBasepointSecret,
      basepoint: this.basepoints.delayedPaymentBasepoint,
      perCommitmentPoint,
    });
    return secp256k1.sign(hash, key);
  }

  signWithPaymentKey(hash: Uint8Array): Uint8Array {
    return secp256k1.sign(hash, this.#secrets.paymentBasepointSecret);
  }

  signWithRevocationKey(secret: Uint8Array, hash: Uint8Array): Uint8Array {
    const key = deriveRevocationPrivateKey({
      revocationBasepointSecret: this.#secrets.revocationBasepointSecret,
      revocationBasepoint: this.basepoints.revocationBasepoint,
      perCommitmentSecret: secret,
    });
    return secp256k1.sign(hash, key);
  }
}
