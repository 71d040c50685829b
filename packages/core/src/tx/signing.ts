import { secp256k1 } from '../crypto/index.js';
import type { ChannelSigner } from '../keys/index.js';
import type { Commitment, HtlcOutput } from './commitmentTx.js';
import { fundingSpendSighash, fundingWitness } from './funding.js';
import { htlcSighashes, htlcTxOf, htlcTxWitness, remoteHtlcSighashType } from './htlcTx.js';
import { segwitSighash, sighashAll } from './sighash.js';
import { type Transaction, withWitness } from './transaction.js';

/** What both peers sign in a commitment transaction. */
export function commitmentSighash({ params, tx }: Commitment): Uint8Array {
  const { keys, fundingSat } = params;
  return fundingSpendSighash({
    tx,
    fundingSat,
    pubkeys: [keys.localFundingPubkey, keys.remoteFundingPubkey],
  });
}

/** The signatures of a `commitment_signed`: 64 bytes each, `htlcSignatures` in output order. */
export interface CommitmentSignatures {
  signature: Uint8Array;
  htlcSignatures: readonly Uint8Array[];
}

/** Signs the peer's commitment and all its HTLC transactions. `commitment` has the peer as its holder. */
export function signRemoteCommitment(signer: ChannelSigner, commitment: Commitment): CommitmentSignatures {
  const { keys, channelType } = commitment.params;
  const hashes = htlcSighashes(commitment, remoteHtlcSighashType(channelType));
  return {
    signature: signer.signWithFundingKey(commitmentSighash(commitment)),
    htlcSignatures: signer.signWithHtlcKey(keys.perCommitmentPoint, hashes),
  };
}

/** Which of the peer's signatures is wrong; `index` counts in output order. */
export type CommitmentFault =
  | { kind: 'signature' }
  | { kind: 'htlc_signature_count'; expected: number; received: number }
  | { kind: 'htlc_signature'; index: number };

/**
 * Checks the peer's signatures of our own commitment; `undefined` when all are valid. A signature with
 * high S is invalid.
 */
export function verifyLocalCommitment(
  commitment: Commitment,
  { signature, htlcSignatures }: CommitmentSignatures,
): CommitmentFault | undefined {
  const { keys, channelType } = commitment.params;
  // BOLT 2: commitment_signed, receiving node: valid signatures, low S, as many as HTLC outputs
  if (!secp256k1.verify(signature, commitmentSighash(commitment), keys.remoteFundingPubkey)) {
    return { kind: 'signature' };
  }
  const expected = commitment.htlcOutputs.length;
  if (htlcSignatures.length !== expected) {
    return { kind: 'htlc_signature_count', expected, received: htlcSignatures.length };
  }
  const hashes = htlcSighashes(commitment, remoteHtlcSighashType(channelType));
  const index = hashes.findIndex(
    (hash, i) => !secp256k1.verify(htlcSignatures[i] as Uint8Array, hash, keys.remoteHtlcPubkey),
  );
  return index < 0 ? undefined : { kind: 'htlc_signature', index };
}

/**
 * Our own commitment, ready to be published. Only for one that is not revoked: publishing a revoked
 * commitment loses the channel's whole balance.
 */
export function completeCommitment({
  signer,
  commitment,
  remoteSignature,
}: {
  signer: ChannelSigner;
  commitment: Commitment;
  /** 64 bytes: of the peer's commitment_signed. */
  remoteSignature: Uint8Array;
}): Transaction {
  const { localFundingPubkey, remoteFundingPubkey } = commitment.params.keys;
  const localSignature = signer.signWithFundingKey(commitmentSighash(commitment));
  const witness = fundingWitness(
    { pubkey: localFundingPubkey, signature: localSignature },
    { pubkey: remoteFundingPubkey, signature: remoteSignature },
  );
  return withWitness(commitment.tx, 0, witness);
}

/**
 * Our own HTLC-timeout or HTLC-success transaction, ready to be published (with `preimage` for an HTLC
 * that we received). In an anchor channel it pays no fee: there, buildHtlcPackage adds inputs that do.
 */
export function completeHtlcTx({
  signer,
  commitment,
  htlcOutput,
  remoteSignature,
  preimage,
}: {
  signer: ChannelSigner;
  commitment: Commitment;
  htlcOutput: HtlcOutput;
  /** 64 bytes: the one of the peer's htlc_signatures for this output. */
  remoteSignature: Uint8Array;
  preimage?: Uint8Array;
}): Transaction {
  const { witnessScript, valueSat } = htlcOutput;
  const { channelType, keys } = commitment.params;
  const tx = htlcTxOf(commitment, htlcOutput);
  const hash = segwitSighash({
    tx,
    inputIndex: 0,
    scriptCode: witnessScript,
    valueSat,
    sighashType: sighashAll,
  });
  const [localSignature] = signer.signWithHtlcKey(keys.perCommitmentPoint, [hash]) as [Uint8Array];
  return withWitness(
    tx,
    0,
    htlcTxWitness({ channelType, remoteSignature, localSignature, preimage, witnessScript }),
  );
}

/** Our signature (64 bytes) of a closing transaction. */
export function signClosingTx({
  signer,
  tx,
  fundingSat,
  remoteFundingPubkey,
}: {
  signer: ChannelSigner;
  tx: Transaction;
  fundingSat: bigint;
  remoteFundingPubkey: Uint8Array;
}): Uint8Array {
  const pubkeys = [signer.basepoints.fundingPubkey, remoteFundingPubkey] as const;
  return signer.signWithFundingKey(fundingSpendSighash({ tx, fundingSat, pubkeys }));
}

/** A closing transaction and who has to have signed it. */
interface ClosingSpend {
  tx: Transaction;
  fundingSat: bigint;
  localFundingPubkey: Uint8Array;
  remoteFundingPubkey: Uint8Array;
  /** The peer's, 64 bytes. */
  remoteSignature: Uint8Array;
}

/** Whether the peer's signature of a closing transaction is valid; one with high S is not. */
export function verifyClosingSignature(spend: ClosingSpend): boolean {
  const { localFundingPubkey, remoteFundingPubkey, remoteSignature } = spend;
  const pubkeys = [localFundingPubkey, remoteFundingPubkey] as const;
  return secp256k1.verify(remoteSignature, fundingSpendSighash({ ...spend, pubkeys }), remoteFundingPubkey);
}

/** A closing transaction with both signatures, ready to be published. */
export function completeClosingTx({
  tx,
  localFundingPubkey,
  localSignature,
  remoteFundingPubkey,
  remoteSignature,
}: Omit<ClosingSpend, 'fundingSat'> & { localSignature: Uint8Array }): Transaction {
  const witness = fundingWitness(
    { pubkey: localFundingPubkey, signature: localSignature },
    { pubkey: remoteFundingPubkey, signature: remoteSignature },
  );
  return withWitness(tx, 0, witness);
}
