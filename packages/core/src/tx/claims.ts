import { equalBytes } from '../bytes/index.js';
import { sha256 } from '../crypto/index.js';
import type { ChannelSigner, CommitmentKeys } from '../keys/index.js';
import {
  anchorScript,
  type HtlcScriptSpec,
  htlcScripts,
  toLocalScript,
  toRemoteOutput,
} from './commitmentScripts.js';
import { p2wpkhScript, p2wpkhScriptCode, p2wshScript } from './script.js';
import { type Outpoint, witnessSize } from './transaction.js';
import { anchorSat, type ChannelType, inputBaseWeight, maxDerSignatureBytes } from './weights.js';

/**
 * One output that we can spend alone, and how. Several of them, of any channels and of the wallet, go
 * into one transaction: see buildSweep.
 */
export interface SweepInput {
  readonly outpoint: Outpoint;
  readonly valueSat: bigint;
  /** The output's script: a taproot signature covers those of all inputs (BIP 341). */
  readonly script: Uint8Array;
  /**
   * What the signature covers (BIP 143): the witness script, or p2wpkhScriptCode of the key; empty for taproot.
   */
  readonly scriptCode: Uint8Array;
  /** The output is P2TR and spent by its key. */
  readonly taproot?: true;
  /** Relative locks (BIP 68) are in here: the output must have this many confirmations. */
  readonly sequence: number;
  /** The least locktime that the transaction needs: an HTLC's expiry, or 0. */
  readonly lockTime: number;
  /** The input's expected weight, its witness included. */
  readonly weight: number;
  /** Signs a sighash (of type ALL, by ECDSA; of type DEFAULT, by BIP 340, for taproot): 64 bytes. */
  sign(hash: Uint8Array): Uint8Array;
  /** The witness with a signature: in DER with its sighash byte, or the 64 bytes of a taproot signature. */
  witness(signature: Uint8Array): Uint8Array[];
}

/** Not final, so that locktimes count and the fee can be raised (BIP 125). */
const replaceableSequence = 0xfffffffd;
const emptyItem = new Uint8Array(0);
const trueItem = Uint8Array.of(1);
const dummySignature = new Uint8Array(maxDerSignatureBytes);

type InputParts = Omit<SweepInput, 'weight' | 'lockTime' | 'script'> & {
  lockTime?: number;
  script?: Uint8Array;
};

/** `scriptCode` is a witness script unless the output's script is given. */
function sweepInput(input: InputParts): SweepInput {
  const weight = inputBaseWeight + witnessSize(input.witness(dummySignature));
  return { lockTime: 0, script: p2wshScript(input.scriptCode), ...input, weight };
}

interface Target {
  signer: ChannelSigner;
  outpoint: Outpoint;
  valueSat: bigint;
}

/** A P2WPKH output, for example one of the wallet that pays fees. */
export function p2wpkhClaim({
  outpoint,
  valueSat,
  pubkey,
  sign,
}: {
  outpoint: Outpoint;
  valueSat: bigint;
  pubkey: Uint8Array;
  sign: (hash: Uint8Array) => Uint8Array;
}): SweepInput {
  return sweepInput({
    outpoint,
    valueSat,
    script: p2wpkhScript(pubkey),
    scriptCode: p2wpkhScriptCode(pubkey),
    sequence: replaceableSequence,
    sign,
    witness: (signature) => [signature, pubkey],
  });
}

/**
 * A P2TR output that is spent by its key, for example one of the wallet that pays fees. `sign` makes a BIP 340
 * signature with the output's (tweaked) key.
 */
export function p2trClaim({
  outpoint,
  valueSat,
  script,
  sign,
}: {
  outpoint: Outpoint;
  valueSat: bigint;
  /** The output's script. */
  script: Uint8Array;
  sign: (hash: Uint8Array) => Uint8Array;
}): SweepInput {
  const witness = (signature: Uint8Array) => [signature];
  const weight = inputBaseWeight + witnessSize(witness(new Uint8Array(64)));
  return {
    outpoint,
    valueSat,
    script,
    scriptCode: emptyItem,
    taproot: true,
    sequence: replaceableSequence,
    lockTime: 0,
    weight,
    sign,
    witness,
  };
}

/**
 * Our own delayed money: `to_local` of our commitment, or the output of our HTLC-timeout or HTLC-success
 * transaction, `toSelfDelay` blocks after it confirmed.
 */
export function delayedClaim({
  signer,
  outpoint,
  valueSat,
  keys,
  toSelfDelay,
}: Target & { keys: CommitmentKeys; toSelfDelay: number }): SweepInput {
  const scriptCode = toLocalScript({ ...keys, toSelfDelay });
  return sweepInput({
    outpoint,
    valueSat,
    scriptCode,
    sequence: toSelfDelay,
    sign: (hash) => signer.signWithDelayedPaymentKey(keys.perCommitmentPoint, hash),
    witness: (signature) => [signature, emptyItem, scriptCode],
  });
}

/** Our `to_remote` output on any commitment of the peer: of anchor channels one block after it confirmed. */
export function toRemoteClaim({
  signer,
  outpoint,
  valueSat,
  channelType,
}: Target & { channelType: ChannelType }): SweepInput {
  const pubkey = signer.basepoints.paymentBasepoint;
  const sign = (hash: Uint8Array) => signer.signWithPaymentKey(hash);
  const { witnessScript } = toRemoteOutput(pubkey, channelType);
  if (witnessScript === undefined) return p2wpkhClaim({ outpoint, valueSat, pubkey, sign });
  return sweepInput({
    outpoint,
    valueSat,
    scriptCode: witnessScript,
    sequence: 1,
    sign,
    witness: (signature) => [signature, witnessScript],
  });
}

/** An HTLC output of the peer's commitment; `htlc.direction` and `keys` as the peer, its holder, sees them. */
interface HtlcTarget extends Target {
  keys: CommitmentKeys;
  channelType: ChannelType;
  htlc: HtlcScriptSpec;
}

function peerHtlcClaim(
  { signer, outpoint, valueSat, keys, channelType, htlc }: HtlcTarget,
  { item, lockTime }: { item: Uint8Array; lockTime: number },
): SweepInput {
  const scriptCode = htlcScripts(keys, channelType)(htlc);
  return sweepInput({
    outpoint,
    valueSat,
    scriptCode,
    lockTime,
    sequence: channelType === 'anchors' ? 1 : replaceableSequence,
    sign: (hash) => signer.signWithHtlcKey(keys.perCommitmentPoint, [hash])[0] as Uint8Array,
    witness: (signature) => [signature, item, scriptCode],
  });
}

/** An HTLC that the peer offered, on its own commitment, with the payment's preimage. */
export function htlcPreimageClaim(target: HtlcTarget & { preimage: Uint8Array }): SweepInput {
  return peerHtlcClaim(target, { item: target.preimage, lockTime: 0 });
}

/** An HTLC that we offered, on the peer's commitment, once it has expired. */
export function htlcTimeoutClaim(target: HtlcTarget): SweepInput {
  return peerHtlcClaim(target, { item: emptyItem, lockTime: target.htlc.cltvExpiry });
}

/**
 * Punishes a revoked commitment: its `to_local`, or the output of the peer's second-stage transaction
 * of one of its HTLCs. To be confirmed before the peer's `toSelfDelay` has passed.
 */
export function revokedToLocalClaim({
  signer,
  outpoint,
  valueSat,
  keys,
  toSelfDelay,
  perCommitmentSecret,
}: Target & { keys: CommitmentKeys; toSelfDelay: number; perCommitmentSecret: Uint8Array }): SweepInput {
  const scriptCode = toLocalScript({ ...keys, toSelfDelay });
  return sweepInput({
    outpoint,
    valueSat,
    scriptCode,
    sequence: replaceableSequence,
    sign: (hash) => signer.signWithRevocationKey(perCommitmentSecret, hash),
    witness: (signature) => [signature, trueItem, scriptCode],
  });
}

/** Punishes a revoked commitment: an HTLC output of either direction that is still unspent. */
export function revokedHtlcClaim({
  signer,
  outpoint,
  valueSat,
  keys,
  channelType,
  htlc,
  perCommitmentSecret,
}: HtlcTarget & { perCommitmentSecret: Uint8Array }): SweepInput {
  const scriptCode = htlcScripts(keys, channelType)(htlc);
  return sweepInput({
    outpoint,
    valueSat,
    scriptCode,
    sequence: replaceableSequence,
    sign: (hash) => signer.signWithRevocationKey(perCommitmentSecret, hash),
    witness: (signature) => [signature, keys.revocationPubkey, scriptCode],
  });
}

/** Our anchor on either side's commitment, to raise its fee by a child. */
export function anchorClaim({ signer, outpoint }: Omit<Target, 'valueSat'>): SweepInput {
  const scriptCode = anchorScript(signer.basepoints.fundingPubkey);
  return sweepInput({
    outpoint,
    valueSat: anchorSat,
    scriptCode,
    sequence: replaceableSequence,
    sign: (hash) => signer.signWithFundingKey(hash),
    witness: (signature) => [signature, scriptCode],
  });
}

/**
 * The preimage that a transaction spending an HTLC output has revealed, from that input's witness (of
 * an HTLC-success transaction or of a direct claim); `undefined` when it holds none of `paymentHash`.
 */
export function preimageInWitness(
  witness: readonly Uint8Array[],
  paymentHash: Uint8Array,
): Uint8Array | undefined {
  return witness.find((item) => item.length === 32 && equalBytes(sha256(item), paymentHash));
}
