import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import { concatBytes, utf8ToBytes } from '../bytes/index.js';
import { secp256k1 } from '../crypto/index.js';
import { derivePublicKey, deriveRevocationPublicKey } from './derivation.js';

/** The private keys and the seed of one channel. Never leave the signer. */
export interface ChannelSecrets {
  readonly fundingPrivateKey: Uint8Array;
  readonly revocationBasepointSecret: Uint8Array;
  readonly paymentBasepointSecret: Uint8Array;
  readonly delayedPaymentBasepointSecret: Uint8Array;
  readonly htlcBasepointSecret: Uint8Array;
  readonly shachainSeed: Uint8Array;
}

/** The public keys that a peer announces in `open_channel` or `accept_channel`; 33 bytes each. */
export interface ChannelBasepoints {
  readonly fundingPubkey: Uint8Array;
  readonly revocationBasepoint: Uint8Array;
  readonly paymentBasepoint: Uint8Array;
  readonly delayedPaymentBasepoint: Uint8Array;
  readonly htlcBasepoint: Uint8Array;
}

/**
 * All public keys of one commitment transaction. `local` is the commitment's holder (who can publish
 * it), `remote` the other side: not necessarily us and them.
 */
export interface CommitmentKeys {
  readonly perCommitmentPoint: Uint8Array;
  readonly localDelayedPubkey: Uint8Array;
  readonly revocationPubkey: Uint8Array;
  readonly localHtlcPubkey: Uint8Array;
  readonly remoteHtlcPubkey: Uint8Array;
  /** The payment basepoint of the other side: static. */
  readonly remotePaymentPubkey: Uint8Array;
  readonly localFundingPubkey: Uint8Array;
  readonly remoteFundingPubkey: Uint8Array;
}

// Channels' money depends on these labels: they never change.
const labelPrefix = 'rivulet channel v1: ';

function deriveBytes({ seed, id, label }: { seed: Uint8Array; id: Uint8Array; label: string }): Uint8Array {
  const info = concatBytes(utf8ToBytes(labelPrefix + label), Uint8Array.of(0), id);
  return hkdf(nobleSha256, seed, undefined, info, 32);
}

function derivePrivate(input: { seed: Uint8Array; id: Uint8Array; label: string }): Uint8Array {
  let bytes = deriveBytes(input);
  // Practically never: one hash in 2^128 is no private key.
  for (let attempt = 1; !secp256k1.isPrivateKey(bytes); attempt++) {
    bytes = deriveBytes({ ...input, label: `${input.label} ${attempt}` });
  }
  return bytes;
}

/**
 * All secrets of one channel from the node's seed (HKDF-SHA256), so that a backup of the seed and of
 * the channel's id is a backup of its keys. `channelKeyId` is unique for each channel of the node,
 * and must never be used for a second one.
 */
export function deriveChannelSecrets(seed: Uint8Array, channelKeyId: Uint8Array): ChannelSecrets {
  const input = { seed, id: channelKeyId };
  return {
    fundingPrivateKey: derivePrivate({ ...input, label: 'funding' }),
    revocationBasepointSecret: derivePrivate({ ...input, label: 'revocation basepoint' }),
    paymentBasepointSecret: derivePrivate({ ...input, label: 'payment basepoint' }),
    delayedPaymentBasepointSecret: derivePrivate({ ...input, label: 'delayed payment basepoint' }),
    htlcBasepointSecret: derivePrivate({ ...input, label: 'htlc basepoint' }),
    shachainSeed: deriveBytes({ ...input, label: 'per-commitment secrets' }),
  };
}

/** The public side of a channel's secrets. */
export function publicBasepoints(secrets: ChannelSecrets): ChannelBasepoints {
  return {
    fundingPubkey: secp256k1.publicKey(secrets.fundingPrivateKey),
    revocationBasepoint: secp256k1.publicKey(secrets.revocationBasepointSecret),
    paymentBasepoint: secp256k1.publicKey(secrets.paymentBasepointSecret),
    delayedPaymentBasepoint: secp256k1.publicKey(secrets.delayedPaymentBasepointSecret),
    htlcBasepoint: secp256k1.publicKey(secrets.htlcBasepointSecret),
  };
}

/** The keys of the commitment of `holder` that belongs to the holder's `perCommitmentPoint`. */
export function deriveCommitmentKeys({
  perCommitmentPoint,
  holder,
  counterparty,
}: {
  perCommitmentPoint: Uint8Array;
  holder: ChannelBasepoints;
  counterparty: ChannelBasepoints;
}): CommitmentKeys {
  return {
    perCommitmentPoint,
    localDelayedPubkey: derivePublicKey(holder.delayedPaymentBasepoint, perCommitmentPoint),
    revocationPubkey: deriveRevocationPublicKey(counterparty.revocationBasepoint, perCommitmentPoint),
    localHtlcPubkey: derivePublicKey(holder.htlcBasepoint, perCommitmentPoint),
    remoteHtlcPubkey: derivePublicKey(counterparty.htlcBasepoint, perCommitmentPoint),
    remotePaymentPubkey: counterparty.paymentBasepoint,
    localFundingPubkey: holder.fundingPubkey,
    remoteFundingPubkey: counterparty.fundingPubkey,
  };
}
